//! A protocol's contract: every fact that its wire depends on, as text that people compare and
//! machines hash. Where a contract is kept is not known here.

mod body;
mod compare;
mod diff;
mod facts;
#[cfg(feature = "schema")]
mod shape;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::{ClientEnum, ErrorEnum, ServerEnum};
use facts::Facts;

/// Which lines there are, and what they mean. Another format has another number, so that no two
/// contracts are compared that say the same thing in different words.
const FORMAT: &str = "1";

/// The contract of a protocol: every fact that its wire depends on, and no other. In text it is one
/// fact a line, sorted. Names, kinds, fields, limits and delivery are facts; documentation, the
/// names of Rust types where a schema tells what is in them, and the version are not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contract {
    /// What a fact is about, and what it says.
    facts: BTreeMap<String, String>,
}

/// Why a text is no contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContractError {
    /// It was written in a format that this version of steadfast does not know.
    Format(String),
    /// It holds no fact, or does not name its protocol.
    Empty,
}

impl Contract {
    /// What the three enums of a protocol declare.
    #[must_use]
    pub fn of(client: &ClientEnum, server: &ServerEnum, error: &ErrorEnum) -> Self {
        let mut facts = Facts::default();
        facts.protocol(client, server, error);
        Self { facts: facts.take() }
    }

    /// Reads a contract as [`Display`](fmt::Display) writes it. Lines that begin with `#` are
    /// comments; one says the format.
    ///
    /// # Errors
    /// When it is in a format of another version of steadfast, or no contract at all.
    pub fn parse(text: &str) -> Result<Self, ContractError> {
        let (comments, lines): (Vec<&str>, Vec<&str>) = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .partition(|line| line.starts_with('#'));
        let format = comments.iter().find_map(|line| line.strip_prefix("# format "));
        if let Some(other) = format.filter(|format| *format != FORMAT) {
            return Err(ContractError::Format(other.to_owned()));
        }
        let fact = |line: &&str| match line.split_once(": ") {
            Some((about, says)) => (about.to_owned(), says.to_owned()),
            None => ((*line).to_owned(), String::new()),
        };
        let facts: BTreeMap<String, String> = lines.iter().map(fact).collect();
        match facts.contains_key("protocol") {
            true => Ok(Self { facts }),
            false => Err(ContractError::Empty),
        }
    }

    /// The protocol's name.
    #[must_use]
    pub fn protocol(&self) -> &str {
        self.facts.get("protocol").map_or("", String::as_str)
    }

    /// A short hash of the facts, 16 hexadecimal digits: equal contracts have equal ones. It is the
    /// beginning of the SHA-256 of the lines without comments, each with its line end
    /// (`grep -v '^#' chat.contract | sha256sum`).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for line in self.lines() {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its facts as lines, sorted.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.facts.iter().map(|(about, says)| line(about, says))
    }

    /// What a client of the contract `client` relies on and a server of the contract `server` does
    /// not give it, in words, one difference each; empty if the client finds everything there. What
    /// the server has beyond that is no difference: a client passes over what it does not know.
    #[must_use]
    pub fn missing(client: &Self, server: &Self) -> Vec<String> {
        compare::missing(&client.facts, &server.facts)
    }

    /// How this contract differs from `kept`, for people: the lines that are gone (`-`) and new
    /// (`+`), between lines that stay. `None` if it does not.
    #[must_use]
    pub fn diff(&self, kept: &Self) -> Option<String> {
        diff::diff(&kept.facts, &self.facts)
    }
}

fn line(about: &str, says: &str) -> String {
    if says.is_empty() { about.to_owned() } else { format!("{about}: {says}") }
}

/// As it is kept in a file.
impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol();
        writeln!(f, "# The contract of the protocol `{protocol}`: what its wire depends on.")?;
        writeln!(f, "# format {FORMAT}")?;
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => write!(
                f,
                "the contract is in format {format}; this version of steadfast knows format \
                 {FORMAT}"
            ),
            Self::Empty => f.write_str("this is no contract: no line says `protocol: ..`"),
        }
    }
}

impl std::error::Error for ContractError {}
