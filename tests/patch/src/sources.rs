//! Source files held as texts: read, changed and written elsewhere. Every change is looked for in
//! the files as they were read, so that the order of changes means nothing.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::find::find;
use crate::{Change, Mistake, Patch, Result, none, watch};

/// Texts by their path below the folder that they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    files: BTreeMap<String, String>,
}

impl Sources {
    /// Reads everything in a folder, and has cargo watch it.
    ///
    /// # Errors
    /// When something there is no text.
    pub fn read(folder: &Path) -> Result<Self> {
        watch(folder);
        let mut sources = Self::default();
        sources.read_folder(folder, "")?;
        Ok(sources)
    }

    /// Reads parts of a folder, each a file or a folder with everything in it, and has cargo watch
    /// them.
    ///
    /// # Errors
    /// When a part is not there or is no text.
    pub fn read_parts(folder: &Path, parts: &[&str]) -> Result<Self> {
        let mut sources = Self::default();
        for part in parts {
            watch(&folder.join(part));
            sources.read_part(&folder.join(part), part)?;
        }
        Ok(sources)
    }

    fn read_part(&mut self, path: &Path, part: &str) -> Result<()> {
        if path.is_dir() {
            return self.read_folder(path, &format!("{part}/"));
        }
        let text = fs::read_to_string(path).map_err(|why| Mistake::of_file(path, &why))?;
        self.put(part, text);
        Ok(())
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(|why| Mistake::of_file(folder, &why))? {
            let path = entry.map_err(|why| Mistake::of_file(folder, &why))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.read_part(&path, &format!("{prefix}{name}"))?;
        }
        Ok(())
    }

    /// Puts a file in the place of the one that has this path, or beside the others.
    pub fn put(&mut self, file: &str, text: String) {
        self.files.insert(file.to_owned(), text);
    }

    /// Like [`put`](Self::put), with the text of a file elsewhere, which cargo watches then.
    ///
    /// # Errors
    /// When that can't be read.
    pub fn put_file(&mut self, file: &str, from: &Path) -> Result<()> {
        watch(from);
        let text = fs::read_to_string(from).map_err(|why| Mistake::of_file(from, &why))?;
        self.put(file, text);
        Ok(())
    }

    /// Adds to the end of a file.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn append(&mut self, file: &str, text: &str) -> Result<()> {
        self.text_mut(file)?.push_str(text);
        Ok(())
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// Makes all changes; `tail` is added to each file that has one.
    ///
    /// # Errors
    /// Every patch whose text does not stand exactly once in its file, or overlaps another.
    pub fn apply(&mut self, changes: &[Change], tail: &str) -> Result<()> {
        let (mut places, mut mistakes) = (BTreeMap::<&str, Vec<Place<'_>>>::new(), Vec::new());
        for change in changes {
            for patch in &change.patches {
                match self.place(change, patch) {
                    Ok(place) => places.entry(&patch.file).or_default().push(place),
                    Err(mistake) => mistakes.push(mistake),
                }
            }
        }
        for places in places.values_mut() {
            places.sort_by_key(|place| place.range.start);
            let pairs = places.iter().zip(places.iter().skip(1));
            mistakes.extend(pairs.filter_map(|(one, next)| one.overlaps(next)));
        }
        none(mistakes)?;
        for (file, places) in places {
            let text = self.files.get_mut(file).expect("a place was found in it");
            for place in places.iter().rev() {
                text.replace_range(place.range.clone(), &place.patch.replace);
            }
            text.push_str(tail);
        }
        Ok(())
    }

    /// The one place of a patch.
    fn place<'a>(
        &self,
        change: &'a Change,
        patch: &'a Patch,
    ) -> std::result::Result<Place<'a>, Mistake> {
        let Patch { written_at, file, find: wanted, .. } = patch;
        let name = &change.name;
        let Some(text) = self.files.get(file) else {
            return Err(Mistake(format!("{written_at}: {name}: there is no {file}")));
        };
        match find(text, wanted).as_slice() {
            [range] => Ok(Place { name, patch, range: range.clone() }),
            found => {
                let shown = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
                let times = found.len();
                let mut why = format!(
                    "{written_at}: {name}: `{shown}` stands {times} times in {file}, not once"
                );
                for (index, range) in found.iter().enumerate() {
                    why += if index == 0 { ": line " } else { ", " };
                    why += &(text[..range.start].matches('\n').count() + 1).to_string();
                }
                Err(Mistake(why))
            }
        }
    }

    /// Takes the inner attributes and docs off the head of a file, which can't be there when it is
    /// the argument of `include!`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn behead(&mut self, file: &str) -> Result<()> {
        let text = self.text_mut(file)?;
        let head = head(text);
        text.replace_range(..head, "");
        Ok(())
    }

    fn text_mut(&mut self, file: &str) -> Result<&mut String> {
        let none = || vec![Mistake(format!("there is no {file}"))];
        self.files.get_mut(file).ok_or_else(none)
    }

    /// Writes everything into a folder that holds nothing else then.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn write(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|why| Mistake::of_file(folder, &why))?;
        }
        for (file, text) in &self.files {
            let path = folder.join(file);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, text))
                .map_err(|why| Mistake::of_file(&path, &why))?;
        }
        Ok(())
    }
}

/// Where a patch goes.
struct Place<'a> {
    name: &'a str,
    patch: &'a Patch,
    range: Range<usize>,
}

impl Place<'_> {
    fn overlaps(&self, next: &Self) -> Option<Mistake> {
        let (name, Patch { written_at, file, .. }) = (&next.name, next.patch);
        let earlier = self.name;
        (next.range.start < self.range.end).then(|| {
            Mistake(format!("{written_at}: {name}: its text overlaps that of {earlier} in {file}"))
        })
    }
}

/// How many bytes of a file are inner attributes, inner docs and what stands between.
fn head(text: &str) -> usize {
    let mut end = 0;
    loop {
        let rest = text[end..].trim_start();
        let start = text.len() - rest.len();
        if rest.starts_with("//!") {
            end = start + rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("#![") {
            end = start + attribute(rest);
        } else {
            return end;
        }
    }
}

/// The length of the attribute that a text begins with.
fn attribute(text: &str) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return index + 1,
            b']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
