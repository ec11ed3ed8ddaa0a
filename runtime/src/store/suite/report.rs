//! What the suite says of a store. It judges nothing.

use std::fmt;

/// How many characters of an answer are shown: bodies can be long.
const SHOWN: usize = 400;

/// A rule that a case found broken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Broken {
    /// What the rule asks for.
    pub expected: String,
    /// What came instead.
    pub came: String,
}

impl Broken {
    pub(super) fn new(expected: impl Into<String>, came: &impl fmt::Debug) -> Self {
        let came = format!("{came:?}").chars().take(SHOWN).collect();
        Self { expected: expected.into(), came }
    }
}

/// Says that something is as the rule asks for, or what came instead.
pub(super) fn ensure(
    holds: bool,
    expected: impl Into<String>,
    came: &impl fmt::Debug,
) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(expected, came)) }
}

/// [`ensure`] for two values.
pub(super) fn same<T: fmt::Debug + PartialEq + ?Sized>(
    what: &str,
    expected: &T,
    came: &T,
) -> Result<(), Broken> {
    ensure(expected == came, format!("{what}: {expected:?}"), &came)
}

/// How a case was put to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Way {
    /// Alone, each operation after the answer to the one before.
    InOrder,
    /// Several copies at a time, each with leases and topics of its own.
    Together,
    /// The same behind a [`Hostile`](super::Hostile) of this seed.
    Hostile(u64),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InOrder => f.write_str("in order"),
            Self::Together => f.write_str("together"),
            Self::Hostile(seed) => write!(f, "hostile, seed {seed}"),
        }
    }
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Finding {
    /// The case's name.
    pub case: &'static str,
    /// The rule that it is about.
    pub rule: &'static str,
    /// How it was put to the store.
    pub way: Way,
    /// What was expected, and what came.
    pub broken: Broken,
}

/// What the suite found. Its `Display` has a paragraph for each finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many times a case was put to a fresh store.
    pub runs: usize,
    /// Those that failed, in the order of the cases.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A case was put to a store.
    pub(super) fn add(
        &mut self,
        (case, rule): (&'static str, &'static str),
        way: Way,
        came: Result<(), Broken>,
    ) {
        self.runs += 1;
        if let Err(broken) = came {
            self.findings.push(Finding { case, rule, way, broken });
        }
    }

    /// Whether every rule held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} runs failed", self.findings.len(), self.runs)?;
        for Finding { case, rule, way, broken } in &self.findings {
            let Broken { expected, came } = broken;
            write!(f, "\n\n{case} ({way})\n  rule: {rule}\n  expected: {expected}")?;
            write!(f, "\n  came: {came}")?;
        }
        Ok(())
    }
}
