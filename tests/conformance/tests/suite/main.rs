//! Our server and our client before the suite, as they are and with mistakes.

#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod client;
mod ours;
mod program;
mod server;
mod wrong_clients;
mod wrong_servers;

use steadfast_conformance::{Ending, Report, Selection};

/// Every case passes, but for those of JSON, which are not applicable.
fn is_kept_in_binary(report: &Report, selection: &Selection, of_json: &[&str]) {
    let is_as_it_should = |ending: &Ending, name: &str| match ending {
        Ending::Passed => !of_json.contains(&name),
        Ending::NotApplicable { .. } => of_json.contains(&name),
        _ => false,
    };
    let endings = report.outcomes.iter().map(|outcome| (&outcome.ending, outcome.case));
    let wrong: Vec<_> = endings.filter(|(ending, name)| !is_as_it_should(ending, name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{report}");
    let left_out = report.outcomes.len() - of_json.len();
    assert!(selection.name.is_some() || left_out > 100, "nearly nothing was shown: {report}");
}
