//! What happened, in words: the last lines for a report, all lines for a replay, a hash for the
//! proof of determinism.

use std::collections::VecDeque;

/// How much of a run is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Nothing: the fast way through thousands of seeds.
    Off,
    /// The last lines and a hash over all.
    Tail,
    /// All lines, printed at once.
    Print,
}

const TAIL: usize = 60;

/// The record of a run.
#[derive(Debug, Clone)]
pub struct Trace {
    recording: Recording,
    lines: VecDeque<String>,
    hash: u64,
}

impl Trace {
    /// An empty record.
    #[must_use]
    pub const fn new(recording: Recording) -> Self {
        Self { recording, lines: VecDeque::new(), hash: 0xcbf2_9ce4_8422_2325 }
    }

    /// Whether lines are wanted at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.recording != Recording::Off
    }

    /// Adds a line.
    #[expect(clippy::print_stdout, reason = "a replay is for a person at a terminal")]
    pub fn push(&mut self, line: String) {
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.recording == Recording::Print {
            println!("{line}");
        }
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A hash over every line so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self) -> String {
        self.lines.iter().map(|line| format!("  {line}\n")).collect()
    }
}
