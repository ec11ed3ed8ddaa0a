//! What a case is: a claim, the clauses that it shows, and its steps, with the three ways in which
//! one ends early. It knows nothing of servers and clients.

use std::fmt;

use futures_util::future::BoxFuture;

/// A clause that was seen broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The clause.
    pub clause: &'static str,
    /// What was seen instead.
    pub what: String,
}

/// Why a case ends before its last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A clause was seen broken.
    Broken(Broken),
    /// It can't be carried out here, which is nobody's fault.
    NotApplicable(String),
    /// It could not be carried out, because the adapter or the machine failed.
    Trouble(String),
}

impl Stop {
    pub(crate) fn broken(clause: &'static str, what: impl Into<String>) -> Self {
        Self::Broken(Broken { clause, what: what.into() })
    }

    pub(crate) fn trouble(what: impl fmt::Display) -> Self {
        Self::Trouble(what.to_string())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// How a step ends.
pub(crate) type Step<T = ()> = Result<T, Stop>;

/// A claim about the implementation under test.
pub(crate) struct Case<T: 'static> {
    /// The claim.
    pub(crate) name: &'static str,
    /// The clauses that it shows when it passes.
    pub(crate) clauses: &'static [&'static str],
    /// The steps.
    pub(crate) run: for<'a> fn(&'a T) -> BoxFuture<'a, Step>,
}

/// Lists a file's cases: the name of each function, and the clauses that it shows.
macro_rules! cases {
    ($trial:ty; $($name:ident: $($clause:literal)+;)+) => {
        /// The cases of this file.
        pub(in super::super) const CASES: &[$crate::case::Case<$trial>] = &[$($crate::case::Case {
            name: stringify!($name),
            clauses: &[$($clause),+],
            run: |trial| Box::pin($name(trial)),
        }),+];
    };
}

/// Ends the case with a broken clause unless the condition holds.
macro_rules! ensure {
    ($clause:expr, $condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::case::Stop::broken($clause, format!($($what)+)));
        }
    };
}

pub(crate) use {cases, ensure};
