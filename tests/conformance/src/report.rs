//! What a run has shown, clause by clause: the verdict on a clause from all of its cases, and the
//! words for people. Cases are carried out elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use crate::clause::{Clause, clauses};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Everything was as the clauses say.
    Passed,
    /// A clause was seen broken.
    Failed {
        /// The clause, which need not be one of the case's own.
        clause: &'static str,
        /// What was seen instead.
        what: String,
    },
    /// It could not be carried out, because the adapter or the machine failed. That says nothing of
    /// its clauses.
    Trouble {
        /// What failed.
        what: String,
    },
    /// It can't be carried out with this implementation.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// One case, carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The claim.
    pub case: &'static str,
    /// The clauses that it shows when it passes.
    pub clauses: &'static [&'static str],
    /// How it ended.
    pub ending: Ending,
    /// What was said, oldest line first: the frames of all sockets, and the lines of the adapter.
    /// The length is bounded.
    pub exchange: Vec<String>,
}

impl Outcome {
    fn is_trouble(&self) -> bool {
        matches!(self.ending, Ending::Trouble { .. })
    }
}

/// What is known of a clause after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At least one case showed it kept, and none showed it broken.
    Pass,
    /// A case showed it broken.
    Fail,
    /// No case showed it kept or broken, and one could not be carried out.
    Trouble,
    /// Its cases can't be carried out here, or ended early because of another clause.
    NotShown,
    /// It has no case for this side.
    NoCase,
    /// It is a definition.
    Definition,
}

/// A run of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which end was tested: `server` or `client`.
    pub side: &'static str,
    /// Every case that was asked for, in the order of the suite.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The verdict on a clause, by its number.
    #[must_use]
    pub fn verdict(&self, clause: &str) -> Verdict {
        if self.failures(clause).next().is_some() {
            return Verdict::Fail;
        }
        let mut of_clause =
            self.outcomes.iter().filter(|outcome| outcome.clauses.contains(&clause));
        if of_clause.clone().any(|outcome| outcome.ending == Ending::Passed) {
            Verdict::Pass
        } else if of_clause.clone().any(Outcome::is_trouble) {
            Verdict::Trouble
        } else if of_clause.next().is_some() {
            Verdict::NotShown
        } else if clauses().iter().any(|known| known.id == clause && known.definition.is_some()) {
            Verdict::Definition
        } else {
            Verdict::NoCase
        }
    }

    /// The cases that show a clause broken.
    pub fn failures<'a>(&'a self, clause: &'a str) -> impl Iterator<Item = &'a Outcome> {
        self.outcomes.iter().filter(move |outcome| match &outcome.ending {
            Ending::Failed { clause: broken, .. } => *broken == clause,
            Ending::Trouble { .. } | Ending::Passed | Ending::NotApplicable { .. } => false,
        })
    }

    /// Whether some case could not be carried out.
    #[must_use]
    pub fn has_trouble(&self) -> bool {
        self.outcomes.iter().any(Outcome::is_trouble)
    }

    /// Whether some clause was seen broken.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.ending, Ending::Failed { .. }))
    }

    /// Whether no clause was seen broken and every case could be carried out or is not applicable.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let fine = |outcome: &Outcome| {
            matches!(outcome.ending, Ending::Passed | Ending::NotApplicable { .. })
        };
        self.outcomes.iter().all(fine)
    }

    /// Why the cases of a clause were not applicable, each reason once.
    fn reasons(&self, clause: &str) -> String {
        let mut reasons: Vec<&str> = Vec::new();
        for outcome in self.outcomes.iter().filter(|outcome| outcome.clauses.contains(&clause)) {
            let reason = match &outcome.ending {
                Ending::NotApplicable { reason } => reason.as_str(),
                Ending::Failed { .. } => "its case ended early over another clause",
                _ => continue,
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons.join("; ")
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, clause: &Clause) -> fmt::Result {
        let id = clause.id;
        match self.verdict(id) {
            Verdict::Pass => {
                let passed = self.outcomes.iter().filter(|outcome| outcome.clauses.contains(&id));
                let passed = passed.filter(|outcome| outcome.ending == Ending::Passed).count();
                writeln!(f, "  pass  {id:<5} {passed} case{}", if passed == 1 { "" } else { "s" })
            }
            Verdict::Fail => writeln!(f, "  FAIL  {id:<5} {} broken", self.failures(id).count()),
            Verdict::Trouble => writeln!(f, "  ?     {id:<5} its case could not be carried out"),
            Verdict::NotShown => writeln!(f, "  n/a   {id:<5} {}", self.reasons(id)),
            Verdict::NoCase => writeln!(f, "  –     {id:<5} nothing for a {} to keep", self.side),
            Verdict::Definition => {
                writeln!(f, "  def   {id:<5} {}", clause.definition.unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Report {
    /// One line per clause, then each failure with the exchange that shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clauses = clauses();
        writeln!(f, "{} against the {} clauses of PROTOCOL.md", self.side, clauses.len())?;
        for clause in &clauses {
            self.line(f, clause)?;
        }
        for outcome in &self.outcomes {
            let (clause, what) = match &outcome.ending {
                Ending::Failed { clause, what } => (*clause, what),
                Ending::Trouble { what } => ("could not be carried out", what),
                Ending::Passed | Ending::NotApplicable { .. } => continue,
            };
            writeln!(f, "\n{}\n  {clause}: {what}", outcome.case)?;
            for line in &outcome.exchange {
                writeln!(f, "    {line}")?;
            }
        }
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        for clause in &clauses {
            let name = match self.verdict(clause.id) {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::Trouble => "not carried out",
                Verdict::NotShown => "not applicable",
                Verdict::NoCase => "without a case for this side",
                Verdict::Definition => "definitions",
            };
            *verdicts.entry(name).or_default() += 1;
        }
        let verdicts: Vec<String> =
            verdicts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        writeln!(f, "\n{} cases; clauses: {}", self.outcomes.len(), verdicts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(endings: impl IntoIterator<Item = Ending>) -> Report {
        let outcome =
            |ending| Outcome { case: "a_case", clauses: &["4.1"], ending, exchange: Vec::new() };
        Report { side: "client", outcomes: endings.into_iter().map(outcome).collect() }
    }

    #[test]
    fn trouble_is_told_and_is_no_failed_clause() {
        let trouble = || Ending::Trouble { what: "no answer to `start`".to_owned() };
        let alone = report([trouble()]);
        assert_eq!(alone.verdict("4.1"), Verdict::Trouble);
        assert!(alone.has_trouble() && !alone.has_failures() && !alone.is_clean());
        assert!(!alone.to_string().contains("FAIL"), "{alone}");
        assert!(alone.to_string().contains("no answer to `start`"), "{alone}");
        assert_eq!(report([trouble(), Ending::Passed]).verdict("4.1"), Verdict::Pass);
        let broken = Ending::Failed { clause: "4.1", what: "silence".to_owned() };
        assert_eq!(report([trouble(), broken]).verdict("4.1"), Verdict::Fail);
    }
}
