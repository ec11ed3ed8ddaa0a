//! What the command line may change, and how it is read.

/// See [`HELP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) seeds: u64,
    pub(crate) first: u64,
    /// 0 for one per core.
    pub(crate) threads: usize,
    pub(crate) mutant_seeds: u64,
    pub(crate) quick: bool,
}

pub(crate) const HELP: &str = "\
steadfast-proof: simulator, model checker, mutants, fuzz corpus and clauses, with a table of what
they came to

  --seeds N          seeds of the simulator (100000)
  --first SEED       the first of them (0)
  --threads N        0 for one per core (0)
  --mutant-seeds N   seeds after which a mutant counts as not caught (20000)
  --quick            without the large configurations of the model";

impl Default for Settings {
    fn default() -> Self {
        Self { seeds: 100_000, first: 0, threads: 0, mutant_seeds: 20_000, quick: false }
    }
}

impl Settings {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// [`HELP`], after what is wrong.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self::default();
        while let Some(name) = given.next() {
            match name.as_str() {
                "--quick" => settings.quick = true,
                "--help" => return Err(HELP.to_owned()),
                "--seeds" => settings.seeds = number(&name, given.next())?,
                "--first" => settings.first = number(&name, given.next())?,
                // No machine has more threads than fit into a u16.
                "--threads" => {
                    settings.threads = usize::from(
                        u16::try_from(number(&name, given.next())?).unwrap_or(u16::MAX),
                    );
                }
                "--mutant-seeds" => settings.mutant_seeds = number(&name, given.next())?,
                _ => return Err(format!("{name} is not known\n\n{HELP}")),
            }
        }
        Ok(settings)
    }

    /// How many threads to use.
    pub(crate) fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

fn number(name: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{name} needs a value\n\n{HELP}"))?;
    value.replace('_', "").parse().map_err(|error| format!("{name} {value}: {error}\n\n{HELP}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, String> {
        Settings::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn each_argument_is_read() {
        let settings = parse("--seeds 1_000 --first 7 --threads 2 --mutant-seeds 9 --quick");
        assert_eq!(
            settings,
            Ok(Settings { seeds: 1_000, first: 7, threads: 2, mutant_seeds: 9, quick: true })
        );
        assert_eq!(parse(""), Ok(Settings::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, what) in
            [("--seed 3", "--seed"), ("--seeds", "needs a value"), ("--seeds many", "many")]
        {
            assert!(
                parse(line).is_err_and(|why| why.contains(what) && why.contains("--quick")),
                "{line}"
            );
        }
    }
}
