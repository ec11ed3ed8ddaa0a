//! `topic(..)` in the server enum's `#[ws(..)]`. Whether a message fits its topic is for `model`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Lit, LitInt, Token, Type};

use super::list::{not_yet, read_list, set, unknown_key, value};
use crate::ctxt::Ctxt;
use crate::symbol::TOPIC_KEYS;

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

impl TopicAttrs {
    pub(super) fn read(input: ParseStream<'_>, ctxt: &Ctxt) -> syn::Result<Self> {
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
        read_list(input, ctxt, &mut |key, input| {
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
