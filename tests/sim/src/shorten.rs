//! A failing run made smaller: deeds that it does not need are left out, troubles that it does not
//! need are taken away, as long as it breaks the same rule. It knows what can be left out, and does
//! not judge a run.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::rng::Rng;
use crate::{Failure, Variant, attempt};

/// Runs that a failure is worth.
const TRIES: u32 = 1_500;

/// Something that chance makes happen in a run: the k-th action of an application, or the k-th
/// fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// An application does something.
    Work(u32),
    /// Something goes wrong.
    Fault(u32),
}

impl Deed {
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Work(k) => Self::Work(k + 1),
            Self::Fault(k) => Self::Fault(k + 1),
        }
    }

    /// A source of chance of its own.
    pub(crate) const fn chances(self, seed: u64) -> Rng {
        let name = match self {
            Self::Work(k) => (k as u64) << 1,
            Self::Fault(k) => (k as u64) << 1 | 1,
        };
        Rng::new(seed ^ name.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(k) => write!(f, "w{k}"),
            Self::Fault(k) => write!(f, "f{k}"),
        }
    }
}

impl FromStr for Deed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a deed: w3, f0, …");
        let number = |text: &str| text.parse().map_err(|_| wrong());
        match text.split_at_checked(1) {
            Some(("w", k)) => Ok(Self::Work(number(k)?)),
            Some(("f", k)) => Ok(Self::Fault(number(k)?)),
            _ => Err(wrong()),
        }
    }
}

/// A trouble that can be taken away from a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ease {
    /// The store answers at once, and truly.
    Store,
    /// Handlers and hooks end soon, and well.
    Handlers,
    /// Frames take a millisecond.
    Latency,
    /// One client.
    Clients,
    /// One node.
    Nodes,
}

impl Ease {
    const ALL: [Self; 5] = [Self::Store, Self::Handlers, Self::Latency, Self::Clients, Self::Nodes];
}

impl fmt::Display for Ease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Handlers => "handlers",
            Self::Latency => "latency",
            Self::Clients => "clients",
            Self::Nodes => "nodes",
        })
    }
}

impl FromStr for Ease {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|ease| ease.to_string() == text)
            .ok_or_else(|| format!("{text:?} can't be eased"))
    }
}

/// Searches for the smallest run that breaks the same rule.
struct Search {
    best: Box<Failure>,
    tries: u32,
}

impl Search {
    /// Whether this variant breaks the rule too; then it is the best so far.
    fn breaks(&mut self, variant: Variant) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        match attempt(self.best.seed, &variant, crate::trace::Recording::Off) {
            Err(failure) if failure.violation.rule == self.best.violation.rule => {
                self.best = failure;
                true
            }
            _ => false,
        }
    }

    fn ease(&mut self) {
        for ease in Ease::ALL {
            let mut variant = self.best.variant.clone();
            if !variant.ease.contains(&ease) {
                variant.ease.push(ease);
                self.breaks(variant);
            }
        }
    }

    /// Leaves out runs of deeds, long ones first (delta debugging).
    fn leave_out(&mut self) {
        let mut length = self.best.deeds.len().div_ceil(2);
        while length > 0 && self.tries > 0 {
            let mut from = 0;
            while from < self.best.deeds.len() {
                let (before, rest) = self.best.deeds.split_at(from);
                let kept: BTreeSet<Deed> =
                    before.iter().chain(rest.iter().skip(length)).copied().collect();
                let variant = Variant { only: Some(Arc::new(kept)), ..self.best.variant.clone() };
                if !self.breaks(variant) {
                    from += length;
                }
            }
            length /= 2;
        }
    }
}

/// The smallest run found that breaks the same rule.
#[must_use]
pub fn shorten(failure: Box<Failure>) -> Box<Failure> {
    let mut search = Search { best: failure, tries: TRIES };
    search.ease();
    search.leave_out();
    search.ease();
    let Failure { seed, variant, .. } = &*search.best;
    match attempt(*seed, variant, crate::trace::Recording::Tail) {
        Err(told) => told,
        Ok(_) => search.best,
    }
}
