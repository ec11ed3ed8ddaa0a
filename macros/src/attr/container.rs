//! `#[ws(..)]` on the enum.

use proc_macro2::{Ident, Span};
use syn::parse::ParseStream;
use syn::{Attribute, Lit, LitInt, LitStr, Path, Token, Type};

use super::{read_lists, set, unknown_key, value};
use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};
use crate::symbol::{
    CLIENT_KEYS, CLIENT_KINDS, ERROR_KEYS, ERROR_KINDS, ROLES, SERVER_KEYS, SERVER_KINDS,
    TOPIC_KEYS, WS,
};

/// Which of the three enums this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
    Error,
}

impl Role {
    pub(crate) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Client => CLIENT_KEYS,
            Self::Server => SERVER_KEYS,
            Self::Error => ERROR_KEYS,
        }
    }

    /// Kinds that its messages may have.
    pub(crate) const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Client => CLIENT_KINDS,
            Self::Server => SERVER_KINDS,
            Self::Error => ERROR_KINDS,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Error => "error",
        }
    }
}

/// What stands in `#[ws(..)]` on the enum.
#[derive(Default)]
pub(crate) struct EnumAttrs {
    pub role: Option<Role>,
    pub protocol: Option<LitStr>,
    pub version: Option<LitStr>,
    pub server: Option<Path>,
    pub error: Option<Path>,
    pub timeout: Option<Lit>,
    pub max_bytes: Option<Lit>,
    pub reserved: Vec<LitStr>,
    pub krate: Option<Path>,
    pub topics: Vec<TopicAttrs>,
    pub own_display: bool,
    /// The key, to point at.
    pub json_schema: Option<Ident>,
    /// A key was not understood: what seems to be missing may be that key.
    pub refused: bool,
    /// Every key, for the check against the role.
    keys: Vec<Ident>,
}

/// `topic(Room, key = room: RoomId, replay = 500, ttl = "10m")`.
pub(crate) struct TopicAttrs {
    pub name: Ident,
    pub key: Option<(Ident, Type)>,
    pub replay: Option<LitInt>,
    pub ttl: Option<Lit>,
    pub max_bytes: Option<Lit>,
    /// A key was not understood.
    pub refused: bool,
}

impl EnumAttrs {
    pub(crate) fn read(attrs: &[Attribute], ctxt: &Ctxt) -> Self {
        let mut read = Self::default();
        read_lists(attrs, WS, ctxt, |key, input| {
            let result = read.key(key, input, ctxt);
            read.refused |= result.is_err();
            result
        });
        read.check_keys(ctxt);
        read
    }

    fn key(&mut self, key: &Ident, input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<()> {
        match key.to_string().as_str() {
            // `error` is a role alone and a key with `=`.
            "error" if input.peek(Token![=]) => {
                set(&mut self.error, key, value(key, input, "ChatError")?)?
            }
            "client" => return set(&mut self.role, key, Role::Client).map_err(|_| two_roles(key)),
            "server" if !input.peek(Token![=]) => {
                return set(&mut self.role, key, Role::Server).map_err(|_| two_roles(key));
            }
            "error" => return set(&mut self.role, key, Role::Error).map_err(|_| two_roles(key)),
            "protocol" => set(&mut self.protocol, key, value(key, input, "\"chat\"")?)?,
            "version" => set(&mut self.version, key, value(key, input, "\"1.0\"")?)?,
            "server" => set(&mut self.server, key, value(key, input, "ChatEvent")?)?,
            "timeout" => set(&mut self.timeout, key, value(key, input, "\"10s\"")?)?,
            "max_bytes" => set(&mut self.max_bytes, key, value(key, input, "\"64KiB\"")?)?,
            "crate" => {
                input.parse::<Token![=]>()?;
                set(&mut self.krate, key, input.call(Path::parse_mod_style)?)?;
            }
            "reserved" => {
                let content;
                syn::parenthesized!(content in input);
                self.reserved.extend(
                    content.parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?,
                );
            }
            "topic" => {
                let content;
                syn::parenthesized!(content in input);
                self.topics.push(TopicAttrs::read(&content, ctxt)?);
            }
            "own_display" => self.own_display = true,
            "json_schema" => set(&mut self.json_schema, key, key.clone())?,
            word => return Err(self.unknown(key, word)),
        }
        self.keys.push(key.clone());
        Ok(())
    }

    fn unknown(&self, key: &Ident, word: &str) -> syn::Error {
        match self.role {
            Some(role) => unknown_key(key, &format!("`#[ws({}, ..)]`", role.word()), role.keys()),
            None => {
                let hint = did_you_mean(word, ROLES.iter().copied());
                let roles = one_of(ROLES.iter().copied());
                syn::Error::new(
                    key.span(),
                    format!("unknown key `{word}`; the first word is {roles}{hint}"),
                )
            }
        }
    }

    fn check_keys(&self, ctxt: &Ctxt) {
        let Some(role) = self.role else { return };
        for key in &self.keys {
            let word = key.to_string();
            if !role.keys().contains(&word.as_str()) {
                let of: Vec<&str> = [Role::Client, Role::Server, Role::Error]
                    .into_iter()
                    .filter(|other| other.keys().contains(&word.as_str()))
                    .map(Role::word)
                    .collect();
                let message = format!(
                    "`{word}` belongs on the {} enum; this one is `#[ws({}, ..)]`",
                    of.join(" or the "),
                    role.word()
                );
                ctxt.error(key, message);
            }
        }
    }
}

fn two_roles(key: &Ident) -> syn::Error {
    let roles = one_of(ROLES.iter().copied());
    syn::Error::new(key.span(), format!("an enum has one role: {roles}"))
}

impl TopicAttrs {
    fn read(input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<Self> {
        let name: Ident = input.parse().map_err(|error| {
            syn::Error::new(
                error.span(),
                "a topic begins with its name: `topic(Room, key = room: RoomId)`",
            )
        })?;
        let mut topic =
            Self { name, key: None, replay: None, ttl: None, max_bytes: None, refused: false };
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        super::read_list(input, ctxt, &mut |key, input| {
            let result = topic.key(key, input);
            topic.refused |= result.is_err();
            result
        });
        Ok(topic)
    }

    fn key(&mut self, key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match key.to_string().as_str() {
            "key" => {
                let field: Ident = value(key, input, "room: RoomId")?;
                if !input.peek(Token![:]) {
                    let message =
                        format!("`key` needs the field's type too: `key = {field}: RoomId`");
                    return Err(syn::Error::new(field.span(), message));
                }
                input.parse::<Token![:]>()?;
                set(&mut self.key, key, (field, input.parse()?))
            }
            "replay" => set(&mut self.replay, key, value(key, input, "500")?),
            "ttl" => set(&mut self.ttl, key, value(key, input, "\"10m\"")?),
            "max_bytes" => set(&mut self.max_bytes, key, value(key, input, "\"64KiB\"")?),
            "latest_by" => {
                Err(not_yet(key.span(), "latest-value topics (`latest_by` in `topic(..)`)"))
            }
            _ => Err(unknown_key(key, "`topic(..)`", TOPIC_KEYS)),
        }
    }
}

/// For what the syntax has a place for and this version has not.
pub(super) fn not_yet(span: Span, what: &str) -> syn::Error {
    syn::Error::new(span, format!("not supported yet: {what}"))
}

/// A list of single words: `latest_by = room` or `latest_by = (room, who)`.
pub(super) fn words(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` needs a field: `{key} = room` or `{key} = (room, who)`"),
        ));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Paren) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    syn::parenthesized!(content in input);
    Ok(content
        .parse_terminated(<Ident as syn::parse::Parse>::parse, Token![,])?
        .into_iter()
        .collect())
}
