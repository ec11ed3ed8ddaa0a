//! One variant that travels: its names, its fields and how it is delivered. Only `variant` makes
//! one.

use proc_macro2::Ident;
use syn::{Attribute, Type};

use super::names::plain;

/// One variant that travels.
pub(crate) struct Message {
    pub(super) ident: Ident,
    pub(super) docs: String,
    pub(super) attrs: Vec<Attribute>,
    pub(super) deprecated: Option<String>,
    pub(super) wire: String,
    pub(super) aliases: Vec<String>,
    pub(super) method: Ident,
    pub(super) payload: Payload,
    pub(super) kind: Kind,
    pub(super) id: Option<Id>,
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
    pub(super) name: Ident,
    pub(super) fields: Vec<Field>,
    pub(super) braces: bool,
    pub(super) rename_all: Option<String>,
}

/// A field of a generated struct.
pub(crate) struct Field {
    pub(super) ident: Ident,
    pub(super) ty: Type,
    pub(super) attrs: Vec<Attribute>,
    pub(super) wire: String,
    pub(super) aliases: Vec<String>,
    pub(super) with: Option<String>,
    pub(super) optional: bool,
    pub(super) docs: String,
}

/// How a message is delivered. A topic goes by its index in the enum's topics.
pub(crate) enum Kind {
    Request { reply: Box<Type>, ordered: bool, limits: Limits },
    Command { ordered: bool, limits: Limits },
    ClientVolatile { latest_by: Vec<Ident>, limits: Limits },
    Event { topic: usize },
    Snapshot { topic: usize },
    TopicVolatile { topic: usize, latest_by: Vec<Ident> },
    Direct { max_bytes: u32 },
    Error,
}

/// Bounds of a client's message.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(super) timeout_ms: u64,
    pub(super) max_bytes: u32,
}

/// A message's id.
pub(crate) struct Id {
    pub(super) field: Ident,
    pub(super) keep_ms: u64,
}

impl Message {
    pub(crate) fn ident(&self) -> &Ident {
        &self.ident
    }

    pub(crate) fn docs(&self) -> &str {
        &self.docs
    }

    /// Doc comments and `#[deprecated]`, for what is generated from it.
    pub(crate) fn attrs(&self) -> &[Attribute] {
        &self.attrs
    }

    /// The note of `#[deprecated]`, empty if it has none.
    pub(crate) fn deprecated(&self) -> Option<&str> {
        self.deprecated.as_deref()
    }

    pub(crate) fn wire(&self) -> &str {
        &self.wire
    }

    pub(crate) fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Every name that it is understood by; the first is the one that is sent.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.wire).chain(&self.aliases)
    }

    /// The client's and the handler's method.
    pub(crate) fn method(&self) -> &Ident {
        &self.method
    }

    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The application's own id of it, if it declares one.
    pub(crate) fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// The struct that the derive makes of it, if it makes one.
    pub(crate) fn generated(&self) -> Option<&Generated> {
        match &self.payload {
            Payload::Generated(generated) => Some(generated),
            Payload::Own(_) => None,
        }
    }

    /// The struct's type.
    pub(crate) fn ty(&self) -> Type {
        match &self.payload {
            Payload::Generated(Generated { name, .. }) => syn::parse_quote!(#name),
            Payload::Own(ty) => ty.clone(),
        }
    }

    /// A field of the generated struct.
    pub(crate) fn field(&self, name: &Ident) -> Option<&Field> {
        self.generated()?.fields.iter().find(|field| field.ident == *name)
    }

    /// A field's name on the wire. Of the user's own struct it is not known, and its Rust name
    /// stands for it.
    pub(crate) fn wire_field(&self, name: &Ident) -> String {
        self.field(name).map_or_else(|| plain(name), |field| field.wire.clone())
    }
}

impl Generated {
    pub(crate) fn name(&self) -> &Ident {
        &self.name
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields' names.
    pub(crate) fn idents(&self) -> impl Iterator<Item = &Ident> {
        self.fields.iter().map(|field| &field.ident)
    }

    /// Whether the variant has braces: `Ping {}` and not `Ping`.
    pub(crate) fn braces(&self) -> bool {
        self.braces
    }

    /// serde's rule for its fields.
    pub(crate) fn rename_all(&self) -> Option<&str> {
        self.rename_all.as_deref()
    }
}

impl Field {
    pub(crate) fn ident(&self) -> &Ident {
        &self.ident
    }

    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }

    /// What the generated struct's field gets.
    pub(crate) fn attrs(&self) -> &[Attribute] {
        &self.attrs
    }

    pub(crate) fn wire(&self) -> &str {
        &self.wire
    }

    /// Other names by which it is read.
    pub(crate) fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// What writes and reads it in place of its type.
    pub(crate) fn with(&self) -> Option<&str> {
        self.with.as_deref()
    }

    pub(crate) fn deprecated(&self) -> bool {
        self.attrs.iter().any(|attr| attr.path().is_ident("deprecated"))
    }

    /// Whether a peer may leave it out.
    pub(crate) fn optional(&self) -> bool {
        self.optional
    }

    pub(crate) fn docs(&self) -> &str {
        &self.docs
    }
}

impl Id {
    /// The field that has it.
    pub(crate) fn field(&self) -> &Ident {
        &self.field
    }

    /// Milliseconds for which it is kept.
    pub(crate) fn keep_ms(&self) -> u64 {
        self.keep_ms
    }
}

impl Limits {
    /// Without `timeout` and `max_bytes`.
    pub(super) const DEFAULT: Self = Self { timeout_ms: 10_000, max_bytes: 64 * 1024 };

    pub(crate) fn timeout_ms(self) -> u64 {
        self.timeout_ms
    }

    pub(crate) fn max_bytes(self) -> u32 {
        self.max_bytes
    }
}
