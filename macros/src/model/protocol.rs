//! One enum of a protocol as its attributes describe it. Only `check` makes one; what one variant
//! is stands in `message`.

use proc_macro2::Ident;
use syn::{Attribute, Path, Type, Visibility};

use super::message::Message;
use super::names::{method_ident, plain};
use crate::case::snake;
use crate::hygiene::derived;

/// One enum.
pub(crate) struct Model {
    pub(super) ident: Ident,
    pub(super) vis: Visibility,
    pub(super) docs: String,
    pub(super) private: Path,
    pub(super) lints: Vec<Attribute>,
    pub(super) messages: Vec<Message>,
    pub(super) unknown: Option<Ident>,
    pub(super) json_schema: bool,
    pub(super) partial: bool,
    pub(super) role: RoleModel,
}

/// What only one of the three enums has.
pub(crate) enum RoleModel {
    Client(Client),
    Server(Server),
    Error { own_display: bool },
}

/// The enum of what clients send.
pub(crate) struct Client {
    pub(super) protocol: Protocol,
    pub(super) version: String,
    pub(super) server: Path,
    pub(super) error: Path,
    pub(super) reserved: Vec<String>,
}

/// The enum of what a server sends.
pub(crate) struct Server {
    pub(super) protocol: Protocol,
    pub(super) error: Path,
    pub(super) topics: Vec<Topic>,
    pub(super) strays: Vec<Type>,
    pub(super) reserved: Vec<String>,
}

/// A protocol's name: on the wire, and as the stem of generated names.
pub(crate) struct Protocol {
    pub(super) name: String,
    pub(super) stem: String,
}

/// A declared topic.
pub(crate) struct Topic {
    pub(super) ident: Ident,
    pub(super) field: Ident,
    pub(super) ty: Type,
    pub(super) replay: u32,
    pub(super) ttl_ms: u64,
    pub(super) max_bytes: u32,
    pub(super) snapshot: Option<Type>,
}

impl Model {
    pub(crate) fn ident(&self) -> &Ident {
        &self.ident
    }

    pub(crate) fn vis(&self) -> &Visibility {
        &self.vis
    }

    pub(crate) fn docs(&self) -> &str {
        &self.docs
    }

    /// The one module that generated code may name.
    pub(crate) fn private(&self) -> &Path {
        &self.private
    }

    /// What the user allows anywhere in the enum: what is made of it repeats its types.
    pub(crate) fn lints(&self) -> &[Attribute] {
        &self.lints
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The `#[ws(unknown)]` variant.
    pub(crate) fn unknown(&self) -> Option<&Ident> {
        self.unknown.as_ref()
    }

    /// Whether bodies are described by schemars too.
    pub(crate) fn json_schema(&self) -> bool {
        self.json_schema
    }

    /// Whether variants or topics with mistakes were left out: what is generated compiles, and
    /// never runs.
    pub(crate) fn partial(&self) -> bool {
        self.partial
    }

    pub(crate) fn role(&self) -> &RoleModel {
        &self.role
    }
}

impl Client {
    pub(crate) fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The server enum.
    pub(crate) fn server(&self) -> &Path {
        &self.server
    }

    /// What commands fail with.
    pub(crate) fn error(&self) -> &Path {
        &self.error
    }

    pub(crate) fn reserved(&self) -> &[String] {
        &self.reserved
    }
}

impl Server {
    pub(crate) fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// What snapshot hooks fail with.
    pub(crate) fn error(&self) -> &Path {
        &self.error
    }

    pub(crate) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The users' own structs of variants that were left out.
    pub(crate) fn strays(&self) -> &[Type] {
        &self.strays
    }

    pub(crate) fn reserved(&self) -> &[String] {
        &self.reserved
    }
}

impl Protocol {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `ChatHandler` for `Handler`; spanned at the enum's name.
    pub(crate) fn ident(&self, suffix: &str, at: &Ident) -> Ident {
        derived(&Ident::new(&format!("{}{suffix}", self.stem), at.span()))
    }
}

impl Topic {
    pub(crate) fn ident(&self) -> &Ident {
        &self.ident
    }

    /// The field that messages have its key in.
    pub(crate) fn field(&self) -> &Ident {
        &self.field
    }

    /// The type of its key.
    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }

    pub(crate) fn replay(&self) -> u32 {
        self.replay
    }

    pub(crate) fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    pub(crate) fn max_bytes(&self) -> u32 {
        self.max_bytes
    }

    /// Its snapshot's struct.
    pub(crate) fn snapshot(&self) -> Option<&Type> {
        self.snapshot.as_ref()
    }

    /// Its wire name, and the stem of its hooks' names.
    pub(crate) fn wire(&self) -> String {
        snake(&plain(&self.ident))
    }

    /// `may_subscribe_room`.
    pub(crate) fn authorize(&self) -> Ident {
        Ident::new(&format!("may_subscribe_{}", self.wire()), self.ident.span())
    }

    /// The trait of its views: `RoomView`.
    pub(crate) fn view(&self) -> Ident {
        derived(&Ident::new(&format!("{}View", plain(&self.ident)), self.ident.span()))
    }

    /// The view's method for what begins anew: `room_reset`.
    pub(crate) fn reset(&self) -> Ident {
        Ident::new(&format!("{}_reset", self.wire()), self.ident.span())
    }

    /// The view's method for what goes on: `room_resumed`.
    pub(crate) fn resumed(&self) -> Ident {
        Ident::new(&format!("{}_resumed", self.wire()), self.ident.span())
    }

    /// `room_snapshot`.
    pub(crate) fn snapshot_hook(&self) -> Ident {
        Ident::new(&format!("{}_snapshot", self.wire()), self.ident.span())
    }
}

/// A view's method for messages that this build does not know, named after their variant.
pub(crate) fn unknown_method(variant: &Ident) -> Ident {
    method_ident(&snake(&plain(variant)), variant.span())
}
