//! Mistakes inside the production core, one at a time, and the search for a seed of the simulator
//! that shows each. The search is here; the mistakes are in `patches/`, the rules in `tests/sim`.

pub mod runs;
pub mod scripts;

pub use steadfast_mutated::mutant::Mutant;

/// How a mutant was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// The rule that it broke.
    pub rule: String,
    /// The seed of the run (see [`runs::run`]); 0 for a script.
    pub seed: u64,
    /// How many seeds were run, this one included; 0 for a script.
    pub seeds_tried: u64,
}

/// A search and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunt {
    /// How it was found out; `None` if nothing did.
    pub caught: Option<Caught>,
    /// How often the runs came to the place at which the mistake stands.
    pub reached: u64,
}

/// Every mutant.
#[must_use]
pub fn all() -> &'static [Mutant] {
    Mutant::ALL
}

/// Plants a mutant and runs seeds, at most so many, until one breaks a rule.
#[must_use]
pub fn hunt(mutant: Mutant, max_seeds: u64) -> Option<Caught> {
    search(mutant, max_seeds).caught
}

/// Like [`hunt`], and says whether the mistake was reached at all.
#[must_use]
pub fn search(mutant: Mutant, max_seeds: u64) -> Hunt {
    let planted = mutant.plant();
    let caught = match scripts::script(mutant) {
        Some(script) => script().map(|violation| caught(violation.rule.to_string(), 0, 0)),
        None => (0..max_seeds)
            .find_map(|seed| runs::broken_rule(seed).map(|rule| caught(rule, seed, seed + 1))),
    };
    Hunt { caught, reached: planted.reached() }
}

const fn caught(rule: String, seed: u64, seeds_tried: u64) -> Caught {
    Caught { rule, seed, seeds_tried }
}
