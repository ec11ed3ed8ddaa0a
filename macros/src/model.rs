//! A validated message enum. Only `model::check` makes one; generators read it and find nothing
//! left to refuse. Knows neither attributes' syntax nor tokens to emit.

mod check;
mod names;
mod variant;

pub(crate) use check::{check, krate};

use proc_macro2::Ident;
use syn::{Attribute, Path, Type, Visibility};

use crate::case::{RenameRule, snake};

/// One enum.
pub(crate) struct Model {
    pub ident: Ident,
    pub vis: Visibility,
    pub docs: String,
    /// Path of the runtime crate.
    pub krate: Path,
    pub messages: Vec<Message>,
    /// The `#[ws(unknown)]` variant.
    pub unknown: Option<Ident>,
    /// Whether bodies are described by schemars too.
    pub json_schema: bool,
    /// Variants with mistakes were left out: what is generated compiles, and never runs.
    pub partial: bool,
    pub role: RoleModel,
}

/// What only one of the three enums has.
pub(crate) enum RoleModel {
    Client(Client),
    Server(Server),
    Error { own_display: bool },
}

/// The enum of what clients send.
pub(crate) struct Client {
    pub protocol: Protocol,
    pub version: String,
    pub server: Path,
    pub error: Option<Path>,
    pub reserved: Vec<String>,
}

/// The enum of what a server sends.
pub(crate) struct Server {
    pub protocol: Protocol,
    /// What snapshot hooks fail with.
    pub error: Option<Path>,
    pub topics: Vec<Topic>,
    pub reserved: Vec<String>,
}

/// A protocol's name: on the wire, and as the stem of generated names.
pub(crate) struct Protocol {
    pub name: String,
    pub stem: String,
}

impl Protocol {
    /// `ChatHandler` for `Handler`; spanned at the enum's name.
    pub(crate) fn ident(&self, suffix: &str, at: &Ident) -> Ident {
        Ident::new(&format!("{}{suffix}", self.stem), at.span())
    }
}

/// A declared topic.
pub(crate) struct Topic {
    pub ident: Ident,
    pub field: Ident,
    pub ty: Type,
    pub replay: u32,
    pub ttl_ms: u64,
    pub max_bytes: u32,
    /// Its snapshot's struct.
    pub snapshot: Option<Type>,
}

impl Topic {
    /// Its wire name, and the stem of its hooks' names.
    pub(crate) fn snake(&self) -> String {
        snake(&names::plain(&self.ident))
    }

    /// `may_subscribe_room`.
    pub(crate) fn authorize(&self) -> Ident {
        Ident::new(&format!("may_subscribe_{}", self.snake()), self.ident.span())
    }

    /// `room_snapshot`.
    pub(crate) fn snapshot_hook(&self) -> Ident {
        Ident::new(&format!("{}_snapshot", self.snake()), self.ident.span())
    }
}

/// One variant that travels.
pub(crate) struct Message {
    pub ident: Ident,
    pub docs: String,
    /// Doc comments, `#[deprecated]` and lint levels, for what is generated from it.
    pub attrs: Vec<Attribute>,
    pub deprecated: Option<String>,
    pub wire: String,
    pub aliases: Vec<String>,
    pub method: Ident,
    /// The client has another method of that name: reported, and left out there.
    pub shadowed: bool,
    pub payload: Payload,
    pub kind: Kind,
}

/// Where a message's fields are.
pub(crate) enum Payload {
    /// In a struct that the derive makes.
    Generated(Generated),
    /// In the user's own struct: a newtype variant.
    Own(Type),
}

/// A struct that the derive makes.
pub(crate) struct Generated {
    pub name: Ident,
    pub fields: Vec<Field>,
    /// Whether the variant has braces: `Ping {}` and not `Ping`.
    pub braces: bool,
    /// serde's rule for its fields.
    pub rename_all: Option<(String, RenameRule)>,
}

impl Message {
    /// The struct's type.
    pub(crate) fn ty(&self) -> Type {
        match &self.payload {
            Payload::Generated(generated) => ident_type(&generated.name),
            Payload::Own(ty) => ty.clone(),
        }
    }

    /// A field's name on the wire. Of the user's own struct it is not known, and its Rust name
    /// stands for it.
    pub(crate) fn wire_field(&self, field: &Ident) -> String {
        let known = match &self.payload {
            Payload::Generated(generated) => {
                generated.fields.iter().find(|known| known.ident == *field)
            }
            Payload::Own(_) => None,
        };
        known.map_or_else(|| names::plain(field), |known| known.wire.clone())
    }
}

fn ident_type(ident: &Ident) -> Type {
    syn::parse_quote!(#ident)
}

/// A field of a generated struct.
pub(crate) struct Field {
    pub ident: Ident,
    pub ty: Type,
    pub attrs: Vec<Attribute>,
    pub wire: String,
    pub optional: bool,
    pub docs: String,
}

/// How a message is delivered.
pub(crate) enum Kind {
    Request { reply: Box<Type>, ordered: bool, limits: Limits },
    Command { ordered: bool, limits: Limits },
    ClientVolatile { latest_by: Vec<Ident>, limits: Limits },
    Event { topic: usize },
    Snapshot { topic: usize },
    TopicVolatile { topic: usize, latest_by: Vec<Ident> },
    Error,
}

/// Bounds of a client's message.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub timeout_ms: u64,
    pub max_bytes: u32,
}
