//! What a protocol's enums say together: its contract, its JSON Schemas, and the code that the
//! derive makes of them. It asks their types alone; nothing runs.

#[cfg(feature = "tokio")]
use std::collections::BTreeMap;
#[cfg(feature = "tokio")]
use std::sync::{Mutex, PoisonError};

use steadfast_schema as schema;

use super::error::WsError;
use super::message::{ClientEnum, ServerEnum};
#[cfg(feature = "tokio")]
use crate::session::{Contracts, Fit};
#[cfg(feature = "tokio")]
use crate::wire::Name;

/// The contract of a protocol: every fact that its wire depends on. It is made anew by each call.
///
/// The derive sees the names of field types, and not what is in them. With the key `json_schema`
/// on the enums (feature `schema`) the contract holds what is in them too, and no names.
///
/// ```
/// # use steadfast::WsProtocol;
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
/// # pub enum ChatCommand { #[ws(command)] Leave { room: String } }
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(server, protocol = "chat")]
/// # pub enum ChatEvent { #[ws(unknown)] Unknown(steadfast::UnknownMessage) }
/// let contract = steadfast::protocol::contract::<ChatCommand>();
/// assert!(contract.lines().any(|line| line == "client Leave body.room: String"));
/// assert_eq!(contract.fingerprint().len(), 16);
/// ```
#[must_use]
pub fn contract<C: ClientEnum>() -> schema::Contract {
    schema::Contract::of(C::DESCRIPTION, C::ServerEnum::DESCRIPTION, C::Error::DESCRIPTION)
}

/// The JSON Schema (draft 2020-12) of each body of a protocol, by a name that stays:
/// `client.post`, `reply.post`, `server.posted`, `error.Muted`. Each is complete in itself. Those of
/// enums without the key `json_schema` are missing.
#[cfg(feature = "schema")]
#[must_use]
pub fn json_schemas<C: ClientEnum>() -> std::collections::BTreeMap<String, schemars::Schema> {
    schema::json_schemas(C::DESCRIPTION, C::ServerEnum::DESCRIPTION, C::Error::DESCRIPTION)
}

/// An enum whose generated code can be read: every one, where the feature `expanded` is on. It is
/// always here, because a build may switch the feature on for the derive alone.
pub trait Expanded {
    /// The code, formatted.
    const EXPANDED: &'static str;
}

/// What `#[derive(WsProtocol)]` has made of an enum, formatted, for a snapshot in the team's own
/// tests. Needs the feature `expanded`, which belongs among the dev-dependencies: it makes every
/// enum carry this text while it is compiled, and a program holds it only where it is asked for.
#[cfg(feature = "expanded")]
#[must_use]
pub const fn expanded<E: Expanded>() -> &'static str {
    E::EXPANDED
}

/// What the drivers tell of a protocol. The fingerprint is computed once in a process.
#[cfg(feature = "tokio")]
pub(crate) fn contracts<C: ClientEnum>() -> Contracts {
    /// By where the three descriptions are.
    static KNOWN: Mutex<BTreeMap<[usize; 3], Name>> = Mutex::new(BTreeMap::new());
    let at = [
        std::ptr::from_ref(C::DESCRIPTION).addr(),
        std::ptr::from_ref(<C::ServerEnum as ServerEnum>::DESCRIPTION).addr(),
        std::ptr::from_ref(<C::Error as WsError>::DESCRIPTION).addr(),
    ];
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = known.entry(at).or_insert_with(|| name(&contract::<C>())).clone();
    let mut contracts = Contracts::new(C::DESCRIPTION.version);
    contracts.fingerprint = Some(name);
    contracts
}

/// Adds a contract of before; what a client of `client` misses at a server of `server`.
///
/// # Panics
/// When `text` is no contract of this protocol, in a format that this version of steadfast knows.
#[cfg(feature = "tokio")]
pub(crate) fn released<C: ClientEnum>(
    contracts: &mut Contracts,
    text: &str,
    missing: impl Fn(&schema::Contract, &schema::Contract) -> Vec<String>,
) {
    let (earlier, own) = (schema::Contract::parse(text), contract::<C>());
    let why = match &earlier {
        Ok(earlier) if earlier.protocol() == own.protocol() => None,
        Ok(earlier) => Some(format!("it is of the protocol `{}`", earlier.protocol())),
        Err(error) => Some(error.to_string()),
    };
    assert!(
        why.is_none(),
        "a released contract of `{}` can't be used: {}",
        own.protocol(),
        why.unwrap_or_default()
    );
    let Ok(earlier) = earlier else { return };
    let missing = missing(&earlier, &own);
    let fit = if missing.is_empty() { Fit::Whole } else { Fit::Partly };
    if !missing.is_empty() {
        let fingerprint = earlier.fingerprint();
        tracing::info!(%fingerprint, ?missing, "what clients miss beside a released contract");
    }
    contracts.earlier.insert(name(&earlier), fit);
}

#[cfg(feature = "tokio")]
fn name(contract: &schema::Contract) -> Name {
    Name::copy_from(contract.fingerprint().as_bytes()).expect("hexadecimal digits are a name")
}
