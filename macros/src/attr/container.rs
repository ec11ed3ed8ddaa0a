//! `#[ws(..)]` on the enum: its role, and the keys of each role. What must be there together is for
//! `model::check`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Attribute, Lit, LitStr, Path, Token};

use super::list::{read_lists, set, unknown_key, value};
use super::topic::TopicAttrs;
use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};
use crate::symbol::{
    CLIENT_KEYS, CLIENT_KINDS, ERROR_KEYS, ERROR_KINDS, ROLES, SERVER_KEYS, SERVER_KINDS, WS,
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
            "method" | "as" | "deprecated" => {
                let message = format!("`{key}` is of one message; it belongs on a variant");
                return Err(syn::Error::new(key.span(), message));
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
