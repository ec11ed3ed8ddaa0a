//! Carries out cases side by side, and turns the end of each into an outcome. How many run at a
//! time, and how long one may take, is bounded.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::binary;
use crate::case::{Broken, Case, Step, Stop};
use crate::exchange::Exchange;
use crate::report::{Ending, Outcome};
use crate::socket::SUBPROTOCOL;
use crate::{PATIENCE, with_patience};

/// How many cases run at a time, if nothing else is said. Each has a server or a client of its own,
/// and most of them just wait.
const AT_A_TIME: usize = 12;
/// No case takes this long, unless something hangs.
const CASE: Duration = Duration::from_secs(60);

/// What the suite speaks (2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// `steadfast.v1.json`, which everybody has.
    #[default]
    Json,
    /// `steadfast.v1.bin`. Cases about JSON, and about both codecs, are not applicable then.
    Binary,
}

impl Codec {
    pub(crate) const fn is_binary(self) -> bool {
        matches!(self, Self::Binary)
    }

    pub(crate) const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => SUBPROTOCOL,
            Self::Binary => binary::SUBPROTOCOL,
        }
    }

    pub(crate) fn is_of_json(self) -> Step {
        match self {
            Self::Json => Ok(()),
            Self::Binary => Err(Stop::NotApplicable(OF_JSON.into())),
        }
    }
}

/// Why a case is not carried out in binary.
const OF_JSON: &str = "it is about JSON, or about both codecs";

/// Which cases to carry out.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only those that show one of these clauses; all if the list is empty.
    pub clauses: Vec<String>,
    /// Only those whose name contains this.
    pub name: Option<String>,
    /// Not those whose name contains one of these.
    pub except: Vec<String>,
    /// How long to wait for something that must happen, before it counts as missing: 10 s if not
    /// given. Less makes sense only if something is known to be missing.
    pub patience: Option<Duration>,
    /// What the suite speaks: JSON if not given.
    pub codec: Codec,
    /// How many cases run at a time: 12 if not given. Adapters that are slow to start, on a machine
    /// that is busy, need fewer.
    pub jobs: Option<usize>,
}

impl Selection {
    /// Only the cases of these clauses.
    #[must_use]
    pub fn of(clauses: &[&str]) -> Self {
        Self {
            clauses: clauses.iter().map(|&clause| clause.to_owned()).collect(),
            ..Self::default()
        }
    }

    fn has<T>(&self, case: &Case<T>) -> bool {
        let clause = self.clauses.is_empty()
            || self.clauses.iter().any(|id| case.clauses.contains(&id.as_str()));
        let excepted = self.except.iter().any(|part| case.name.contains(part.as_str()));
        clause
            && !excepted
            && self.name.as_ref().is_none_or(|part| case.name.contains(part.as_str()))
    }
}

/// Carries out the selected cases. Outcomes come in the order of the suite.
pub(crate) async fn run<T: Send + Sync + 'static>(
    cases: impl Iterator<Item = &'static Case<T>>,
    selection: &Selection,
    trial: impl Fn(Exchange) -> T,
) -> Vec<Outcome> {
    let selected: Vec<_> = cases.filter(|case| selection.has(case)).collect();
    let patience = selection.patience.unwrap_or(PATIENCE);
    let outcomes = selected.into_iter().map(|case| {
        let exchange = Exchange::default();
        let trial = trial(exchange.clone());
        async move {
            let ended =
                tokio::time::timeout(CASE, with_patience(patience, (case.run)(&trial))).await;
            let ending = match ended {
                _ if exchange.is_formless() => Ending::NotApplicable { reason: OF_JSON.into() },
                Ok(Ok(())) => Ending::Passed,
                Ok(Err(Stop::Broken(Broken { clause, what }))) => Ending::Failed { clause, what },
                Ok(Err(Stop::NotApplicable(reason))) => Ending::NotApplicable { reason },
                Ok(Err(Stop::Trouble(what))) => Ending::Trouble { what },
                Err(_) => Ending::Trouble {
                    what: format!("it has not ended within {} s", CASE.as_secs()),
                },
            };
            Outcome { case: case.name, clauses: case.clauses, ending, exchange: exchange.lines() }
        }
    });
    stream::iter(outcomes).buffered(selection.jobs.unwrap_or(AT_A_TIME).max(1)).collect().await
}
