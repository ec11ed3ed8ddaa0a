//! Reads an export into a store, in bounded pieces. It refuses what does not make sense, with the
//! number of the line, and what has no end.

use std::io::{self, BufRead};

use super::figures::ExportFigures;
use super::line::{FORMAT, Line};
use crate::session::store::TopicId;
use crate::store::admin::{AdminError, Exported, StoreAdmin};

/// How many lines are imported at once.
const LINES: u32 = 256;
/// The same in bytes of lines.
const BYTES: usize = 1024 * 1024;
/// The longest line.
const LINE_BYTES: u64 = 256 * 1024 * 1024;

/// Why an export could not be imported. What came before is in the store: begin again with an empty
/// one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The store did not take a piece.
    #[error(transparent)]
    Store(#[from] AdminError),
    /// It could not be read.
    #[error("the export could not be read")]
    Read(#[from] io::Error),
    /// A line that belongs into no export, or not to its place.
    #[error("line {line} of the export: {what}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// It was written by a later version.
    #[error("the export has format {found}; this version knows formats up to {FORMAT}")]
    TooNew {
        /// Its format.
        found: u32,
    },
    /// Its end is missing.
    #[error("the export ends after {pieces} pieces, without its last line: it was cut off")]
    Cut {
        /// Pieces that were there.
        pieces: u64,
    },
}

/// Puts an [`export`](super::export) into a store, which should be empty and used by no node.
/// `incarnation` is a random number: topics get other epochs, so that no client takes what was
/// imported for what it has seen, and each is told of a gap of reason `epoch`.
///
/// Entries that are older than their topic's retention are left out. It blocks while `from` does.
///
/// # Errors
/// See [`ImportError`].
///
/// # Cancellation
/// After the future was dropped the store has a part of the export: begin again with an empty one.
///
/// # Example
/// See [`export`](super::export).
pub async fn import<S: StoreAdmin>(
    store: &S,
    incarnation: u64,
    from: &mut (impl BufRead + Send),
) -> Result<ExportFigures, ImportError> {
    let mut reader = Reader { from, line: 0, text: String::new() };
    match reader.next()? {
        Some(Line::Export { format: FORMAT }) => {}
        Some(Line::Export { format }) => return Err(ImportError::TooNew { found: format }),
        Some(_) => return Err(reader.wrong("it does not begin as an export does")),
        None => return Err(ImportError::Cut { pieces: 0 }),
    }
    let mut figures = ExportFigures::default();
    let (mut pieces, mut lines, mut bytes, mut topic) = (Vec::new(), 0, 0, None);
    loop {
        let read = figures.topics + figures.entries + figures.ids;
        let Some(line) = reader.next()? else { return Err(ImportError::Cut { pieces: read }) };
        bytes += reader.text.len();
        if let Line::End { pieces: written } = line {
            if written != read {
                return Err(reader.wrong(format!("{written} pieces were written, {read} are here")));
            }
            if !reader.is_at_end()? {
                return Err(reader.wrong("something comes behind the end"));
            }
            store.import(incarnation, pieces).await?;
            return Ok(figures);
        }
        reader.add(&line, &mut topic, &mut pieces, &mut figures)?;
        lines += 1;
        if lines >= LINES || bytes >= BYTES {
            store.import(incarnation, std::mem::take(&mut pieces)).await?;
            (lines, bytes) = (0, 0);
        }
    }
}

struct Reader<'r, R> {
    from: &'r mut R,
    line: u64,
    text: String,
}

impl<R: BufRead> Reader<'_, R> {
    fn wrong(&self, what: impl Into<String>) -> ImportError {
        ImportError::Line { line: self.line, what: what.into() }
    }

    /// The next line; `None` at the end, and for a line that breaks off there.
    fn next(&mut self) -> Result<Option<Line>, ImportError> {
        self.text.clear();
        let mut bounded = io::Read::take(&mut *self.from, LINE_BYTES);
        bounded.read_line(&mut self.text)?;
        self.line += 1;
        if !self.text.ends_with('\n') {
            let long = self.text.len() as u64 == LINE_BYTES;
            return if long { Err(self.wrong("it is too long")) } else { Ok(None) };
        }
        let line = serde_json::from_str(&self.text);
        line.map(Some).map_err(|error| self.wrong(error.to_string()))
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        self.line += 1;
        Ok(self.from.fill_buf()?.is_empty())
    }

    fn add(
        &self,
        line: &Line,
        topic: &mut Option<TopicId>,
        pieces: &mut Vec<Exported>,
        figures: &mut ExportFigures,
    ) -> Result<(), ImportError> {
        if let Some((id, head, retention)) = line.as_topic() {
            *topic = Some(id.clone());
            figures.topics += 1;
            pieces.push(Exported::Topic { topic: id, head, retention });
        } else if let Some(id) = line.as_id() {
            figures.ids += 1;
            pieces.push(Exported::Id(id));
        } else if let Some(entry) = line.as_entry() {
            let Some(of) = topic else { return Err(self.wrong("an entry without a topic")) };
            figures.entries += 1;
            match pieces.last_mut() {
                Some(Exported::Entries { topic, entries }) if topic == of => entries.push(entry),
                _ => pieces.push(Exported::Entries { topic: of.clone(), entries: vec![entry] }),
            }
        } else {
            return Err(self.wrong("it says nothing that makes sense here"));
        }
        Ok(())
    }
}
