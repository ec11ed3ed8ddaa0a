//! How clients of every age fit the nodes: which contract a process was built with follows from its
//! number, and so does the verdict that both ends have to come to (PROTOCOL.md 4.19).

use steadfast::session::Build;
use steadfast::wire::{Hello, Verdict, Welcome};
use steadfast_rig::{Rule, fixtures};

use super::Checkers;

/// The contract of a client process; some tell none.
pub fn contract_of(process: u64) -> Option<&'static str> {
    [None, Some(fixtures::CONTRACT), Some(fixtures::FITTING), Some(fixtures::OUTDATED)]
        [process as usize % 4]
}

fn verdict_of(process: u64) -> Verdict {
    match contract_of(process) {
        Some(fixtures::CONTRACT) => Verdict::Same,
        Some(fixtures::FITTING) => Verdict::Compatible,
        Some(fixtures::OUTDATED) => Verdict::ClientOutdated,
        // The versions are equal.
        _ => Verdict::Unknown,
    }
}

impl Checkers {
    /// WELCOME tells a client how it fits, and its process alone decides that.
    pub(super) fn a_server_tells_the_verdict(
        &mut self,
        process: u64,
        hello: &Hello,
        welcome: &Welcome,
    ) {
        let verdict = verdict_of(process);
        let (told, contract) = (&welcome.server, contract_of(process));
        let fits = told.verdict == Some(verdict)
            && told.version.as_deref() == Some(fixtures::VERSION)
            && told.fingerprint.as_ref().is_some_and(|it| it.as_str() == fixtures::CONTRACT)
            && hello.fingerprint.as_ref().map(|it| it.as_str()) == contract;
        self.require(fits, Rule::VerdictIsTrue, || format!("process {process}: {told:?}"));
        self.sometimes.count(&format!("verdict {verdict}"));
    }

    /// What a client shows its application of the server, once it has been welcomed.
    pub fn a_client_knows_the_verdict(&mut self, process: u64, server: Option<&Build>) {
        let fits = server.is_none_or(|server| server.verdict == verdict_of(process));
        self.require(fits, Rule::VerdictIsTrue, || format!("process {process}: {server:?}"));
    }
}
