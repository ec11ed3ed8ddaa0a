//! What the files of a source tree need of each other, from their text: paths that begin with
//! `crate` or `super`, in `use` lines and elsewhere. Comments and tests are left out; macros are
//! not expanded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module as its path from the crate's root: `["session", "node"]`.
type Module = Vec<String>;

/// The files of a crate, and which needs which.
pub struct Sources {
    /// By module; the file as its path below `src`.
    files: BTreeMap<Module, String>,
    /// File by file: what it imports.
    pub imports: BTreeMap<String, BTreeSet<String>>,
    /// File by file: the files of the modules that it declares.
    pub children: BTreeMap<String, BTreeSet<String>>,
}

impl Sources {
    pub fn below(src: &Path) -> Self {
        let mut texts = Vec::new();
        read(src, "", &mut texts);
        Self::of(texts)
    }

    /// From paths below `src` with their texts. `lib.rs` is the table of contents, and left out.
    pub fn of(texts: Vec<(String, String)>) -> Self {
        let code: BTreeMap<String, String> =
            texts.into_iter().map(|(file, text)| (file, without_comments(&text))).collect();
        let tests: BTreeSet<Module> = code
            .iter()
            .flat_map(|(file, text)| declared(text, "#[cfg(test)]\nmod ", module(file)))
            .collect();
        let is_test = |file: &str| tests.iter().any(|test| module(file).starts_with(test));
        let files: BTreeMap<Module, String> = code
            .keys()
            .filter(|file| *file != "lib.rs" && !is_test(file))
            .map(|file| (module(file), file.clone()))
            .collect();
        let mut sources = Self { files, imports: BTreeMap::new(), children: BTreeMap::new() };
        for (module, file) in sources.files.clone() {
            let text = before_tests(&code[&file]);
            let paths = paths(text).into_iter().filter_map(|path| absolute(&module, path));
            let imported = paths.filter_map(|path| sources.file_of(&path)).collect();
            let child = |path: Module| sources.files.get(&path).cloned();
            let declared = declared(text, "mod ", module).filter_map(child).collect();
            sources.imports.insert(file.clone(), imported);
            sources.children.insert(file, declared);
        }
        for (file, imported) in &mut sources.imports {
            imported.remove(file);
        }
        sources
    }

    /// The file of the module that a path leads into; what is behind it is an item.
    fn file_of(&self, path: &[String]) -> Option<String> {
        (1..=path.len()).rev().find_map(|len| self.files.get(&path[..len])).cloned()
    }
}

fn read(folder: &Path, below: &str, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), texts);
        } else if name.ends_with(".rs") {
            texts.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

fn module(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim_end().to_owned() + "\n")
        .collect()
}

fn before_tests(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap_or_default()
}

/// The modules that `text` declares with files of their own.
fn declared<'a>(text: &'a str, how: &'a str, parent: Module) -> impl Iterator<Item = Module> + 'a {
    text.match_indices(how).filter_map(move |(at, _)| {
        let name = text[at + how.len()..].split_once(';')?.0;
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        plain.then(|| [parent.clone(), vec![name.to_owned()]].concat())
    })
}

/// Every path that begins with `crate` or `super`, groups taken apart.
fn paths(text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            // Whom something is shown to is no need of whoever shows it.
            let shown = text[..at].ends_with("pub(in ");
            if !shown && !before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                tree(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads `a::b::{c, d::e}` at the beginning of `text`; what is left of it.
fn tree<'a>(mut text: &'a str, path: &mut Module, found: &mut Vec<Module>) -> &'a str {
    let depth = path.len();
    loop {
        let len = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        path.push(text[..len].to_owned());
        text = &text[len..];
        let Some(rest) = text.strip_prefix("::") else { break };
        text = rest;
        if let Some(mut group) = rest.strip_prefix('{') {
            while !group.starts_with('}') {
                let from = group.find(|c: char| c.is_alphanumeric() || "_*}".contains(c)).unwrap();
                group = &group[from..];
                if !group.starts_with('}') {
                    group = tree(group, path, found).trim_start_matches('*');
                    // A name after `as` is no path.
                    let end = group.find([',', '}']).unwrap();
                    group = &group[end..];
                }
            }
            path.truncate(depth);
            return &group[1..];
        }
    }
    found.push(path.clone());
    path.truncate(depth);
    text
}

fn absolute(from: &Module, path: Module) -> Option<Module> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let parent = from.len().checked_sub(ups)?;
    let base = if ups > 0 { from[..parent].to_vec() } else { Vec::new() };
    let rest = path.into_iter().skip(ups.max(1)).filter(|name| name != "self");
    Some(base.into_iter().chain(rest).collect())
}
