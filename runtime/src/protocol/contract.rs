//! What a protocol's enums say together: its contract, its JSON Schemas, and the code that the
//! derive makes of them. It asks their types alone; nothing runs.

use steadfast_schema as schema;

use super::error::WsError;
use super::message::{ClientEnum, ServerEnum};

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
