//! Which contracts an end knows, and how the other end fits them (PROTOCOL.md 4.18, 4.19). What is in
//! a contract is not known here: one is as good as its fingerprint.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::{Hello, Name, Told, Verdict};

/// The contract that an end was built with, and earlier ones of the same protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Contracts {
    /// The version of the application's protocol.
    pub version: Arc<str>,
    /// What stands for the contract; `None`: the other end is not told.
    pub fingerprint: Option<Name>,
    /// Earlier contracts of the other end, and how an end that was built with one fits this one.
    pub earlier: BTreeMap<Name, Fit>,
}

/// How a client's contract fits a server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// The server has everything that the client knows of.
    Whole,
    /// It has not, or has some of it in another way.
    Partly,
}

/// What the other end was built from, as it told, and how the two fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Build {
    /// The version of the application's protocol; empty if it told none.
    pub version: Arc<str>,
    /// What stands for its contract, if it told that. Equal ones are of equal contracts; nothing
    /// else can be read from it.
    pub fingerprint: Option<Name>,
    /// How client and server fit. It is for people and for the application: the protocol does the
    /// same whatever it is.
    pub verdict: Verdict,
}

impl Contracts {
    /// An end of this version, with a contract that stands for nothing.
    #[must_use]
    pub fn new(version: impl Into<Arc<str>>) -> Self {
        Self { version: version.into(), ..Self::default() }
    }

    /// A client, as a server sees it.
    #[must_use]
    pub fn client(&self, hello: &Hello) -> Build {
        let (version, fingerprint) = (Arc::from(&*hello.version), hello.fingerprint.clone());
        let verdict = self
            .known(fingerprint.as_ref(), Verdict::ClientOutdated)
            .unwrap_or_else(|| by_version(&hello.version, &self.version));
        Build { version, fingerprint, verdict }
    }

    /// A server, as a client sees it: what it knows itself counts first, then what it is told.
    #[must_use]
    pub fn server(&self, told: &Told) -> Build {
        let version: Arc<str> = told.version.as_deref().unwrap_or_default().into();
        let fingerprint = told.fingerprint.clone();
        let said = || told.verdict.filter(|verdict| *verdict != Verdict::Unknown);
        let known = self.known(fingerprint.as_ref(), Verdict::ServerOutdated);
        let verdict = known.or_else(said);
        let verdict = verdict.unwrap_or_else(|| by_version(&self.version, &version));
        Build { version, fingerprint, verdict }
    }

    /// What this end tells of itself when it is a server.
    #[must_use]
    pub fn told(&self, verdict: Verdict) -> Told {
        let version = (!self.version.is_empty()).then(|| self.version.as_ref().to_owned());
        Told { version, fingerprint: self.fingerprint.clone(), verdict: Some(verdict) }
    }

    /// How the other end fits, if its contract is known; `outdated` says that it is the older one.
    fn known(&self, fingerprint: Option<&Name>, outdated: Verdict) -> Option<Verdict> {
        let fingerprint = fingerprint?;
        if self.fingerprint.as_ref() == Some(fingerprint) {
            return Some(Verdict::Same);
        }
        Some(match self.earlier.get(fingerprint)? {
            Fit::Whole => Verdict::Compatible,
            Fit::Partly => outdated,
        })
    }
}

/// Which end is older, if the versions say so.
fn by_version(client: &str, server: &str) -> Verdict {
    let (Some(client), Some(server)) = (numbers(client), numbers(server)) else {
        return Verdict::Unknown;
    };
    match client.cmp(&server) {
        Ordering::Less => Verdict::ClientOutdated,
        Ordering::Greater => Verdict::ServerOutdated,
        Ordering::Equal => Verdict::Unknown,
    }
}

/// One to four numbers with dots between them; what is missing is 0.
fn numbers(version: &str) -> Option<[u32; 4]> {
    let mut numbers = [0; 4];
    let mut parts = version.split('.');
    for (place, part) in numbers.iter_mut().zip(parts.by_ref()) {
        let plain = (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        *place = part.parse().ok().filter(|_| plain)?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::copy_from(text.as_bytes()).unwrap()
    }

    fn contracts(version: &str, fingerprint: &str, earlier: &[(&str, Fit)]) -> Contracts {
        Contracts {
            version: version.into(),
            fingerprint: Some(name(fingerprint)),
            earlier: earlier.iter().map(|(text, fit)| (name(text), *fit)).collect(),
        }
    }

    fn told(version: &str, fingerprint: Option<&str>, verdict: Option<Verdict>) -> Told {
        let version = (!version.is_empty()).then(|| version.to_owned());
        Told { version, fingerprint: fingerprint.map(name), verdict }
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        use Verdict::{ClientOutdated, ServerOutdated, Unknown};
        let cases = [
            ("1.0", "1.1", ClientOutdated),
            ("1.10", "1.9", ServerOutdated),
            ("1", "1.0.0", Unknown),
            ("1.0.0.1", "1", ServerOutdated),
            ("2.0", "1.0-beta", Unknown),
            ("2026-11", "2026-12", Unknown),
            ("1.0.0.0.1", "1", Unknown),
            ("+1", "2", Unknown),
            ("1.", "2", Unknown),
            ("", "1", Unknown),
            ("9999999999", "1", Unknown),
        ];
        for (client, server, verdict) in cases {
            assert_eq!(by_version(client, server), verdict, "{client} and {server}");
        }
    }

    #[test]
    fn a_client_goes_by_what_it_knows_then_by_what_it_is_told_then_by_versions() {
        let client = contracts("2.0", "b", &[("a", Fit::Partly), ("whole", Fit::Whole)]);
        let wrong = Some(Verdict::Compatible);
        let cases = [
            (told("2.0", Some("b"), wrong), Verdict::Same),
            (told("1.0", Some("a"), wrong), Verdict::ServerOutdated),
            (told("1.0", Some("whole"), Some(Verdict::ServerOutdated)), Verdict::Compatible),
            (told("3.0", Some("c"), wrong), Verdict::Compatible),
            (told("3.0", Some("c"), Some(Verdict::Unknown)), Verdict::ClientOutdated),
            (told("3.0", None, None), Verdict::ClientOutdated),
            (told("", None, None), Verdict::Unknown),
        ];
        for (told, verdict) in cases {
            assert_eq!(client.server(&told).verdict, verdict, "{told:?}");
        }
    }
}
