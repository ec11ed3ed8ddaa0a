//! The language of changes: names, what each is for, and what it puts in place of what. Reads it;
//! whether a text stands where a change looks for it is for `sources.rs` to say.

use std::path::Path;

use crate::{Mistake, Result, none, watch};

/// A change with a name, in as many places as it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it is for, line by line.
    pub doc: Vec<String>,
    /// What it does to the sources.
    pub patches: Vec<Patch>,
}

/// One text in place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The file and line that it is written in.
    pub written_at: String,
    /// The file that it changes.
    pub file: String,
    /// What must stand there once.
    pub find: String,
    /// What is put in its place.
    pub replace: String,
}

/// Reads every `.patch` of a folder, in the order of their names, and has cargo watch them.
///
/// # Errors
/// When one can't be read or understood, or two changes have the same name.
pub fn changes(folder: &Path) -> Result<Vec<Change>> {
    watch(folder);
    let entries = std::fs::read_dir(folder).map_err(|why| Mistake::of_file(folder, &why))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    paths.sort();
    let mut changes: Vec<Change> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|why| Mistake::of_file(&path, &why))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        changes.extend(parse(&name, &text)?);
    }
    let twice = changes.iter().enumerate().filter(|(index, change)| {
        changes.iter().take(*index).any(|earlier| earlier.name == change.name)
    });
    none(twice.map(|(_, change)| Mistake(format!("{} is there twice", change.name))).collect())?;
    Ok(changes)
}

/// Reads changes; `name` is that of the file that they stand in.
///
/// # Errors
/// Every line that is not understood.
pub fn parse(name: &str, text: &str) -> Result<Vec<Change>> {
    let (mut reader, mut mistakes) = (Reader::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", index + 1);
        if let Err(why) = reader.line(&at, line) {
            mistakes.push(Mistake(format!("{at}: {why}")));
        }
    }
    let patches = reader.changes.iter().flat_map(|change| &change.patches);
    for patch in patches.filter(|patch| patch.replace.is_empty()) {
        mistakes.push(Mistake(format!("{}: nothing is put in its place", patch.written_at)));
    }
    none(mistakes)?;
    Ok(reader.changes)
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    changes: Vec<Change>,
    /// The file that the patches of the last change are for.
    file: Option<String>,
}

impl Reader {
    fn line(&mut self, at: &str, line: &str) -> std::result::Result<(), &'static str> {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if line.is_empty() || mark == "#" {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            self.file = None;
            let (name, doc, patches) = (name.to_owned(), Vec::new(), Vec::new());
            self.changes.push(Change { name, doc, patches });
            return Ok(());
        }
        let change = self.changes.last_mut().ok_or("there is no [Name] above it")?;
        match mark {
            "///" => change.doc.push(rest.to_owned()),
            "in" => self.file = Some(rest.to_owned()),
            "-" => {
                let file = self.file.clone().ok_or("no `in` above it names a file")?;
                match change.patches.last_mut() {
                    Some(last) if last.file == file && last.replace.is_empty() => {
                        push_line(&mut last.find, rest);
                    }
                    _ => change.patches.push(Patch {
                        written_at: at.to_owned(),
                        file,
                        find: rest.to_owned(),
                        replace: String::new(),
                    }),
                }
            }
            "+" => {
                let last = change.patches.last_mut().ok_or("there is no `-` above it")?;
                push_line(&mut last.replace, rest);
            }
            _ => return Err("it begins with none of [Name], ///, in, -, +, #"),
        }
        Ok(())
    }
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
