//! What the checks came to: a table for `docs/figures.md`, and one line for a script.

use std::fmt;

/// One line of the table.
#[derive(Debug, Clone)]
struct Row {
    what: &'static str,
    came_to: String,
}

/// What all checks came to. One that was not made leaves zeros behind, and zeros don't hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    rows: Vec<Row>,
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) violations: usize,
    pub(crate) mutants: usize,
    pub(crate) caught: usize,
    pub(crate) states: usize,
    /// What was left out because somebody asked for that.
    skipped: Vec<&'static str>,
    /// What should have happened and did not, or was not looked at. With such a hole, the proof
    /// proves less than it says.
    pub(crate) holes: Vec<String>,
}

impl Verdict {
    pub(crate) fn row(&mut self, what: &'static str, came_to: impl Into<String>) {
        self.rows.push(Row { what, came_to: came_to.into() });
    }

    pub(crate) fn hole(&mut self, what: impl Into<String>) {
        self.holes.push(what.into());
    }

    pub(crate) fn skipped(&mut self, what: &'static str) {
        self.skipped.push(what);
    }

    pub(crate) fn holds(&self) -> bool {
        let looked = self.seeds > 0 && self.steps > 0 && self.states > 0 && self.mutants > 0;
        looked && self.violations == 0 && self.caught == self.mutants && self.holes.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| check | came to |\n|---|---|")?;
        for Row { what, came_to } in &self.rows {
            writeln!(f, "| {what} | {came_to} |")?;
        }
        writeln!(f)?;
        for hole in &self.holes {
            writeln!(f, "not proven: {hole}")?;
        }
        for what in &self.skipped {
            writeln!(f, "left out, as asked for: {what}")?;
        }
        let Self { seeds, steps, violations, mutants, caught, states, .. } = self;
        writeln!(
            f,
            "proof: seeds={seeds} steps={steps} violations={violations} \
             mutants={caught}/{mutants} states={states}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Verdict {
        Verdict { seeds: 1, steps: 2, mutants: 3, caught: 3, states: 4, ..Verdict::default() }
    }

    #[test]
    fn only_a_whole_proof_holds() {
        assert!(whole().holds());
        for broken in [
            Verdict::default(),
            Verdict { violations: 1, ..whole() },
            Verdict { caught: 2, ..whole() },
            Verdict { states: 0, ..whole() },
            Verdict { holes: vec!["a rare path was never taken".to_owned()], ..whole() },
        ] {
            assert!(!broken.holds(), "{broken}");
        }
    }

    #[test]
    fn the_last_line_is_for_scripts() {
        let line = "proof: seeds=1 steps=2 violations=0 mutants=3/3 states=4";
        assert_eq!(whole().to_string().lines().last(), Some(line));
    }
}
