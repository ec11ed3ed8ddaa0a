//! What was done to files, in order, and what a power cut leaves of it. How it is noticed is not
//! known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written.
    Written {
        /// To which file.
        file: PathBuf,
        /// From where on.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file was cut to a length.
    Truncated {
        /// Which.
        file: PathBuf,
        /// Its length.
        length: u64,
    },
    /// A file was flushed.
    Flushed {
        /// Which.
        file: PathBuf,
    },
    /// A file was deleted.
    Deleted {
        /// Which.
        file: PathBuf,
        /// Whether its directory was flushed afterwards, so that it can't come back.
        for_good: bool,
    },
    /// The test says that it has come so far.
    Mark(u64),
}

/// How the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Writes find no room.
    Full,
    /// Flushes fail, though what was written may be there.
    Flush,
}

/// How much of what was not flushed a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Any sector or none, by this seed.
    Some(u64),
}

/// The disk.
pub struct Disk {
    held: Mutex<Held>,
}

struct Held {
    events: Vec<Event>,
    fault: Option<Fault>,
    recording: bool,
}

impl Disk {
    pub(crate) const fn new() -> Self {
        let held = Held { events: Vec::new(), fault: None, recording: false };
        Self { held: Mutex::new(held) }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to remember, with nothing.
    pub fn record(&self) {
        let mut held = self.lock();
        held.events.clear();
        held.recording = true;
    }

    /// Remembers no more, and gives what happened.
    pub fn stop(&self) -> Vec<Event> {
        let mut held = self.lock();
        held.recording = false;
        std::mem::take(&mut held.events)
    }

    /// The test has come so far.
    pub fn mark(&self, mark: u64) {
        self.push(|| Event::Mark(mark));
    }

    /// Lets every write or flush fail, or none any more.
    pub fn fail(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.lock().fault
    }

    pub(crate) fn push(&self, event: impl FnOnce() -> Event) {
        let mut held = self.lock();
        if held.recording {
            held.events.push(event());
        }
    }

    /// The files as a power cut leaves them after these events.
    #[must_use]
    pub fn after_cut(events: &[Event], cut: Cut) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
        for event in events {
            let Some(name) = event.file() else { continue };
            let file = files.entry(name.to_owned()).or_default();
            match event {
                Event::Flushed { .. } => file.flush(),
                Event::Deleted { for_good: true, .. } => *file = File::default(),
                event => file.waiting.push(event.clone()),
            }
        }
        let mut keeps = Keeps::new(cut);
        let left = files.into_iter().filter_map(|(name, mut file)| {
            for event in std::mem::take(&mut file.waiting) {
                file.apply_part(&event, &mut keeps);
            }
            file.content.map(|content| (name, content))
        });
        left.collect()
    }

    /// Writes files as a cut has left them into a directory.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn put(files: &BTreeMap<PathBuf, Vec<u8>>, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        for (name, content) in files {
            let name = name.file_name().unwrap_or_default();
            std::fs::write(directory.join(name), content)?;
        }
        Ok(())
    }
}

impl Event {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::Written { file, .. }
            | Self::Truncated { file, .. }
            | Self::Flushed { file }
            | Self::Deleted { file, .. } => Some(file),
            Self::Mark(_) => None,
        }
    }
}

/// A file, and what of it is not flushed.
#[derive(Default)]
struct File {
    /// `None` if there is no such file.
    content: Option<Vec<u8>>,
    waiting: Vec<Event>,
}

impl File {
    fn flush(&mut self) {
        let mut all = Keeps::new(Cut::Everything);
        for event in std::mem::take(&mut self.waiting) {
            self.apply_part(&event, &mut all);
        }
        self.content.get_or_insert_default();
    }

    fn apply_part(&mut self, event: &Event, keeps: &mut Keeps) {
        match event {
            Event::Written { offset, bytes, .. } => {
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    if keeps.next() {
                        self.write(*offset as usize + index * SECTOR, sector);
                    }
                }
            }
            Event::Truncated { length, .. } => {
                if keeps.next() {
                    self.content.get_or_insert_default().resize(*length as usize, 0);
                }
            }
            Event::Deleted { .. } => {
                if keeps.next() {
                    self.content = None;
                }
            }
            Event::Flushed { .. } | Event::Mark(_) => {}
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let content = self.content.get_or_insert_default();
        if content.len() < offset + bytes.len() {
            content.resize(offset + bytes.len(), 0);
        }
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Which of the sectors that were not flushed are kept.
enum Keeps {
    All(bool),
    Some(Rng),
}

impl Keeps {
    fn new(cut: Cut) -> Self {
        match cut {
            Cut::Nothing => Self::All(false),
            Cut::Everything => Self::All(true),
            Cut::Some(seed) => Self::Some(Rng::with_seed(seed)),
        }
    }

    fn next(&mut self) -> bool {
        match self {
            Self::All(kept) => *kept,
            Self::Some(rng) => rng.bool(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(offset: u64, bytes: &[u8]) -> Event {
        Event::Written { file: "a".into(), offset, bytes: bytes.to_vec() }
    }

    fn left(events: &[Event], cut: Cut) -> Option<Vec<u8>> {
        Disk::after_cut(events, cut).remove(Path::new("a"))
    }

    #[test]
    fn what_was_flushed_is_left_and_the_rest_may_not_be() {
        let flushed = Event::Flushed { file: "a".into() };
        let events = [written(0, b"one"), flushed, written(3, b"two")];
        assert_eq!(left(&events[..1], Cut::Nothing), None);
        assert_eq!(left(&events, Cut::Nothing), Some(b"one".to_vec()));
        assert_eq!(left(&events, Cut::Everything), Some(b"onetwo".to_vec()));
    }

    #[test]
    fn a_deleted_file_may_come_back_unless_its_directory_was_flushed() {
        for (for_good, comes_back) in [(false, Some(b"one".to_vec())), (true, None)] {
            let flushed = Event::Flushed { file: "a".into() };
            let events =
                [written(0, b"one"), flushed, Event::Deleted { file: "a".into(), for_good }];
            assert_eq!(left(&events, Cut::Nothing), comes_back);
            assert_eq!(left(&events, Cut::Everything), None);
        }
    }

    #[test]
    fn a_write_can_be_torn_between_sectors() {
        let events = [written(0, &[1; 8 * SECTOR])];
        let torn = (0..32).filter_map(|seed| left(&events, Cut::Some(seed)));
        assert!(torn.into_iter().any(|file| file.contains(&0) && file.contains(&1)));
    }
}
