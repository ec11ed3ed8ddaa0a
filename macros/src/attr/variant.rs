//! `#[ws(..)]` on a variant: the kind is the first word, and what belongs to a kind nests under it.
//! Whether the variant and its enum suit the kind is for `model`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Attribute, Lit, LitStr, Token, Type};

use super::container::Role;
use super::list::{nested, not_yet, read_lists, set, unknown_key, value, words};
use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};
use crate::symbol::{COMMAND_KEYS, DIRECT_KEYS, REQUEST_KEYS, VARIANT_KEYS, VOLATILE_KEYS, WS};

/// Said of a request without its reply, wherever that is noticed.
pub(crate) const NO_REPLY: &str =
    "a request has a reply: `request(reply = MessageId)`; without one it is a `command`";

/// What stands in `#[ws(..)]` on a variant.
#[derive(Default)]
pub(crate) struct VariantAttrs {
    pub kind: Option<KindAttr>,
    /// With the key, to point at.
    pub timeout: Option<(Ident, Lit)>,
    pub max_bytes: Option<(Ident, Lit)>,
    pub id: Option<(Ident, Ident)>,
    pub keep: Option<(Ident, Lit)>,
    pub method: Option<(Ident, LitStr)>,
    pub payload: Option<(Ident, Ident)>,
    /// A kind was there but not understood: saying that there is none would be a second message for
    /// one mistake.
    pub kind_refused: bool,
}

/// A kind, and the word that named it.
pub(crate) struct KindAttr {
    pub word: Ident,
    pub kind: RawKind,
}

/// A kind as written.
pub(crate) enum RawKind {
    Request { reply: Option<Box<Type>>, concurrent: bool },
    Command { concurrent: bool },
    Volatile { topic: Option<Ident>, latest_by: Vec<Ident> },
    Event { topic: Option<Ident> },
    Snapshot { topic: Option<Ident> },
    Direct,
    Unknown,
}

impl VariantAttrs {
    pub(crate) fn read(attrs: &[Attribute], role: Role, ctxt: &Ctxt) -> Self {
        let mut read = Self::default();
        read_lists(attrs, WS, ctxt, |key, input| read.key(key, input, role, ctxt));
        read
    }

    fn key(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        role: Role,
        ctxt: &Ctxt,
    ) -> syn::Result<()> {
        match key.to_string().as_str() {
            "request" => self.request(key, input, ctxt),
            "command" => self.command(key, input, ctxt),
            "volatile" => self.volatile(key, input, ctxt),
            "event" | "snapshot" => self.of_topic(key, input),
            "unknown" => self.kind(key, RawKind::Unknown),
            "timeout" | "max_bytes" => self.limit(key, input),
            "id" | "keep" => self.own_id(key, input),
            "method" => set(&mut self.method, key, (key.clone(), value(key, input, "\"post\"")?)),
            "as" => set(&mut self.payload, key, (key.clone(), value(key, input, "Post")?)),
            "direct" => self.direct(key, input, ctxt),
            "deprecated" => Err(syn::Error::new(
                key.span(),
                "deprecation is Rust's own: `#[deprecated(note = \"..\")]` beside `#[ws(..)]`",
            )),
            "reserved" => Err(syn::Error::new(
                key.span(),
                "`reserved` retires wire names of the whole enum: `#[ws(client, .., \
                 reserved(\"old_name\"))]`",
            )),
            word => Err(match belongs_elsewhere(word) {
                Some(place) => syn::Error::new(key.span(), format!("`{word}` belongs to {place}")),
                None => self.unknown(key, word, role),
            }),
        }
    }

    fn unknown(&mut self, key: &Ident, word: &str, role: Role) -> syn::Error {
        if self.kind.is_some() {
            return unknown_key(key, "`#[ws(..)]` of a variant", VARIANT_KEYS);
        }
        self.kind_refused = true;
        let kinds = || role.kinds().iter().copied();
        let (kinds, hint) = (one_of(kinds()), did_you_mean(word, kinds()));
        syn::Error::new(
            key.span(),
            format!("unknown message kind `{word}`; expected {kinds}{hint}"),
        )
    }

    fn kind(&mut self, word: &Ident, kind: RawKind) -> syn::Result<()> {
        match &self.kind {
            Some(first) => {
                let message =
                    format!("a message has one kind, and this one is a `{}` already", first.word);
                Err(syn::Error::new(word.span(), message))
            }
            None => {
                self.kind = Some(KindAttr { word: word.clone(), kind });
                Ok(())
            }
        }
    }

    fn limit(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        if key == "timeout" {
            set(&mut self.timeout, key, (key.clone(), value(key, input, "\"5s\"")?))
        } else {
            set(&mut self.max_bytes, key, (key.clone(), value(key, input, "\"16KiB\"")?))
        }
    }

    fn own_id(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        if key == "id" {
            set(&mut self.id, key, (key.clone(), value(key, input, "order_id")?))
        } else {
            set(&mut self.keep, key, (key.clone(), value(key, input, "\"24h\"")?))
        }
    }

    fn request(&mut self, word: &Ident, input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<()> {
        let (mut reply, mut concurrent) = (None, false);
        if !input.peek(syn::token::Paren) {
            self.kind_refused = true;
            return Err(syn::Error::new(word.span(), NO_REPLY));
        }
        nested(word, input, ctxt, &mut |key, input| match key.to_string().as_str() {
            "reply" => set(&mut reply, key, Box::new(value(key, input, "MessageId")?)),
            "concurrent" => flag(&mut concurrent),
            "timeout" | "max_bytes" => self.limit(key, input),
            "id" | "keep" => self.own_id(key, input),
            "idempotent" => Err(syn::Error::new(
                key.span(),
                "every request and command is idempotent; drop `idempotent`",
            )),
            _ => Err(unknown_key(key, "`request(..)`", REQUEST_KEYS)),
        })?;
        self.kind(word, RawKind::Request { reply, concurrent })
    }

    fn command(&mut self, word: &Ident, input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<()> {
        let mut concurrent = false;
        if input.peek(syn::token::Paren) {
            nested(word, input, ctxt, &mut |key, input| match key.to_string().as_str() {
                "concurrent" => flag(&mut concurrent),
                "timeout" | "max_bytes" => self.limit(key, input),
                "id" | "keep" => self.own_id(key, input),
                "reply" => Err(syn::Error::new(
                    key.span(),
                    "commands have no reply; use `request(reply = ..)` or drop it",
                )),
                "ack" => Err(not_yet(
                    key.span(),
                    "`ack`; a command is answered after its handler has committed",
                )),
                _ => Err(unknown_key(key, "`command(..)`", COMMAND_KEYS)),
            })?;
        }
        self.kind(word, RawKind::Command { concurrent })
    }

    fn volatile(&mut self, word: &Ident, input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<()> {
        let (mut topic, mut latest_by) = (None, None);
        if input.peek(syn::token::Paren) {
            nested(word, input, ctxt, &mut |key, input| match key.to_string().as_str() {
                "latest_by" => set(&mut latest_by, key, words(key, input)?),
                "max_bytes" => self.limit(key, input),
                "timeout" | "ack" | "reply" | "concurrent" | "id" | "keep" => Err(syn::Error::new(
                    key.span(),
                    format!(
                        "`volatile` messages are never answered, so `{key}` has no meaning; \
                         use `command`"
                    ),
                )),
                _ if !input.peek(Token![=]) => set(&mut topic, key, key.clone()),
                _ => Err(unknown_key(key, "`volatile(..)`", VOLATILE_KEYS)),
            })?;
        }
        self.kind(word, RawKind::Volatile { topic, latest_by: latest_by.unwrap_or_default() })
    }

    fn direct(&mut self, word: &Ident, input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<()> {
        if input.peek(syn::token::Paren) {
            nested(word, input, ctxt, &mut |key, input| match key.to_string().as_str() {
                "max_bytes" => self.limit(key, input),
                _ if !input.peek(Token![=]) => Err(syn::Error::new(
                    key.span(),
                    format!("a direct message belongs to no topic; drop `{key}`"),
                )),
                _ => Err(unknown_key(key, "`direct(..)`", DIRECT_KEYS)),
            })?;
        }
        self.kind(word, RawKind::Direct)
    }

    fn of_topic(&mut self, word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let mut topic = None;
        if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            topic = Some(content.parse::<Ident>().map_err(|error| {
                self.kind_refused = true;
                syn::Error::new(
                    error.span(),
                    format!("expected the name of a topic: `{word}(Room)`"),
                )
            })?);
            if !content.is_empty() {
                self.kind_refused = true;
                return Err(syn::Error::new(
                    content.span(),
                    format!("`{word}` takes the name of a topic, and nothing else"),
                ));
            }
        }
        let kind =
            if word == "event" { RawKind::Event { topic } } else { RawKind::Snapshot { topic } };
        self.kind(word, kind)
    }
}

fn flag(flag: &mut bool) -> syn::Result<()> {
    *flag = true;
    Ok(())
}

/// Where a key stands that a variant does not have.
fn belongs_elsewhere(word: &str) -> Option<&'static str> {
    Some(match word {
        "reply" => "the kind: `#[ws(request(reply = MessageId))]`",
        "concurrent" => {
            "the kind: `#[ws(command(concurrent))]`, `#[ws(request(reply = MessageId, concurrent))]`"
        }
        "latest_by" => "the kind: `#[ws(volatile(latest_by = room))]`",
        "key" | "replay" | "ttl" => {
            "a topic of the enum: `topic(Room, key = room: RoomId, replay = 500, ttl = \"10m\")`"
        }
        _ => return None,
    })
}
