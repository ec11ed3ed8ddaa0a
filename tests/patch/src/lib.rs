//! Copies of source files with changes in them, for build scripts: so tests compile the production
//! sources with mistakes planted, or with other locks, and no production line is there for a test.
//! Knows texts only, and nothing of what they mean to a compiler; `README.md` has the language.

mod change;
mod find;
mod mutants;
mod sources;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

pub use change::{Change, Patch, changes, parse};
pub use mutants::{listed, mutants};
pub use sources::Sources;

/// Why a copy can't be made, in one line for the person who is to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(String);

/// All mistakes are told at once: a change of the sources usually moves the ground under several.
pub type Result<T> = std::result::Result<T, Vec<Mistake>>;

impl Mistake {
    /// One, from its line.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    fn of_file(path: &Path, error: &std::io::Error) -> Vec<Self> {
        vec![Self(format!("{}: {error}", path.display()))]
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ends a build script: cargo shows each mistake as an error of its own.
#[must_use]
#[expect(clippy::print_stdout, reason = "how a build script speaks")]
pub fn report(built: Result<()>) -> ExitCode {
    let Err(mistakes) = built else { return ExitCode::SUCCESS };
    for mistake in mistakes {
        println!("cargo::error={mistake}");
    }
    ExitCode::FAILURE
}

/// Has cargo run the build script again when this changes; every file, if it is a folder.
#[expect(clippy::print_stdout, reason = "how a build script speaks")]
fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Nothing if there is no mistake.
///
/// # Errors
/// All of them, if there are some.
pub fn none(mistakes: Vec<Mistake>) -> Result<()> {
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}
