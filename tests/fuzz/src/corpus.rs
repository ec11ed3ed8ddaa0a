//! The committed inputs: one archive for each target, `corpus/<target>.inputs`. Reads and writes
//! these archives, and knows nothing of what an input means.
//!
//! An archive begins with how many inputs it holds. Each of them has a line with its name and its
//! length in bytes, its bytes, and a line break:
//!
//! ```text
//! 2 inputs
//! 5d41402abc4b2a76 9
//! [1,1,0,1]
//! refused 4
//! p1,0
//! ```
//!
//! An input that taught or found something has a name that says so. The others are named after a
//! hash of their bytes, so each is there once. Everything is in the order of the names: the same
//! inputs make the same archive.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// Digits of a name that is a hash.
const HASH: usize = 16;

/// Where the archive of a target is.
#[must_use]
pub fn archive(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.inputs"))
}

/// The inputs of a target, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, Vec<u8>>);

impl Inputs {
    /// The committed ones of a target.
    ///
    /// # Errors
    /// When its archive can't be read, or is damaged.
    pub fn committed(target: &str) -> Result<Self> {
        let path = archive(target);
        Self::from_archive(&std::fs::read(&path)?)
            .map_err(|why| Error::new(why.kind(), format!("{}: {why}", path.display())))
    }

    /// Every file of a folder, by its name there.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let mut inputs = Self::default();
        for entry in std::fs::read_dir(folder)? {
            inputs.add_file(&entry?.path())?;
        }
        Ok(inputs)
    }

    /// Reads an archive.
    ///
    /// # Errors
    /// When it is not exactly what [`to_archive`](Self::to_archive) writes: cut short, longer than
    /// it says, out of order, or with other bytes under the name of a hash.
    pub fn from_archive(mut archive: &[u8]) -> Result<Self> {
        let mut inputs = Self::default();
        let (count, what) = words(line(&mut archive)?)?;
        if what != "inputs" {
            return Err(damaged("it does not begin with its number of inputs"));
        }
        for _ in 0..number(count)? {
            let (name, length) = words(line(&mut archive)?)?;
            let bytes = take(&mut archive, number(length)?)?;
            if !line(&mut archive)?.is_empty() {
                return Err(damaged(&format!("{name} is longer than it says")));
            }
            if is_hash(name) && name != hash(bytes) {
                return Err(damaged(&format!("{name} has other bytes")));
            }
            if inputs.0.last_key_value().is_some_and(|(last, _)| last.as_str() >= name) {
                return Err(damaged(&format!("{name} is not in its place")));
            }
            inputs.0.insert(name.to_owned(), bytes.to_vec());
        }
        if archive.is_empty() { Ok(inputs) } else { Err(damaged("it goes on behind its end")) }
    }

    /// Writes an archive.
    #[must_use]
    pub fn to_archive(&self) -> Vec<u8> {
        let mut archive = format!("{} inputs\n", self.0.len()).into_bytes();
        for (name, bytes) in &self.0 {
            archive.extend_from_slice(format!("{name} {}\n", bytes.len()).as_bytes());
            archive.extend_from_slice(bytes);
            archive.push(b'\n');
        }
        archive
    }

    /// Adds an input, unless there is one with the same bytes; a name that says something is kept
    /// rather than one that does not.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) {
        let hash = hash(&bytes);
        if is_hash(name) {
            if !self.0.values().any(|there| *there == bytes) {
                self.0.insert(hash, bytes);
            }
        } else {
            self.0.remove(&hash);
            self.0.insert(name.to_owned(), bytes);
        }
    }

    /// Adds a file under its name.
    ///
    /// # Errors
    /// When it can't be read, or its name can't stand in an archive.
    pub fn add_file(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            let why = format!("{} has a name of more than one word", file.display());
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        self.add(name, std::fs::read(file)?);
        Ok(())
    }

    /// Puts each input into a file of a folder that holds nothing else.
    ///
    /// # Errors
    /// When the folder is there already, or a file can't be written.
    pub fn unpack(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir(folder)?;
        self.0.iter().try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and bytes of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:0HASH$x}", xxh3_64(bytes))
}

/// Whether a name is a hash: ours, or the longer one that libFuzzer gives.
fn is_hash(name: &str) -> bool {
    name.len() >= HASH && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// Takes so many bytes off the front.
fn take<'a>(archive: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, rest) =
        archive.split_at_checked(length).ok_or_else(|| damaged("it is cut short"))?;
    *archive = rest;
    Ok(taken)
}

/// Takes a line off the front, without its line break.
fn line<'a>(archive: &mut &'a [u8]) -> Result<&'a str> {
    let end = archive.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| damaged("it is cut short"))?;
    let line = take(archive, end + 1)?;
    std::str::from_utf8(&line[..end]).map_err(|_| damaged("a line of it is no text"))
}

fn words(line: &str) -> Result<(&str, &str)> {
    line.split_once(' ').ok_or_else(|| damaged(&format!("“{line}” are not two words")))
}

fn number(word: &str) -> Result<usize> {
    word.parse().map_err(|_| damaged(&format!("“{word}” is no number")))
}
