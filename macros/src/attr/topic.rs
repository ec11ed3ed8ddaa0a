//! `topic(..)` in the server enum's `#[ws(..)]`. Whether a message fits its topic is for `model`.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Lit, LitInt, Token, Type};

use super::list::{read_list, set, unknown_key, value};
use crate::ctxt::Ctxt;
use crate::symbol::TOPIC_KEYS;

/// `topic(Room, key = room: RoomId, replay = 500, ttl = "10m")`, or, if it is keyed,
/// `topic(Book, key = symbol: Symbol, latest_by = price: Price, items = 1_000)`.
pub(crate) struct TopicAttrs {
    pub name: Ident,
    pub key: Option<(Ident, Type)>,
    pub replay: Option<(Ident, LitInt)>,
    pub latest_by: Option<(Ident, Vec<(Ident, Type)>)>,
    pub items: Option<(Ident, LitInt)>,
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
        let mut topic = Self {
            name,
            key: None,
            replay: None,
            latest_by: None,
            items: None,
            ttl: None,
            max_bytes: None,
            refused: false,
        };
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
                let ty = type_of(key, &field, "RoomId", input)?;
                set(&mut self.key, key, (field, ty))
            }
            "replay" => set(&mut self.replay, key, (key.clone(), value(key, input, "500")?)),
            "latest_by" => set(&mut self.latest_by, key, (key.clone(), items(key, input)?)),
            "items" => set(&mut self.items, key, (key.clone(), value(key, input, "1_000")?)),
            "ttl" => set(&mut self.ttl, key, value(key, input, "\"10m\"")?),
            "max_bytes" => set(&mut self.max_bytes, key, value(key, input, "\"64KiB\"")?),
            _ => Err(unknown_key(key, "`topic(..)`", TOPIC_KEYS)),
        }
    }
}

/// The type behind a field's name.
fn type_of(key: &Ident, field: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<Type> {
    if !input.peek(Token![:]) {
        let message = format!("`{key}` needs the field's type too: `{key} = {field}: {example}`");
        return Err(syn::Error::new(field.span(), message));
    }
    input.parse::<Token![:]>()?;
    input.parse()
}

/// `= price: Price` or `= (side: Side, price: Price)`.
fn items(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<(Ident, Type)>> {
    let one = |input: ParseStream<'_>| {
        let field: Ident = input.parse()?;
        let ty = type_of(key, &field, "Price", input)?;
        syn::Result::Ok((field, ty))
    };
    if !input.peek(Token![=]) {
        let message = "`latest_by` needs the fields that name an item: \
                       `latest_by = price: Price` or `latest_by = (side: Side, price: Price)`";
        return Err(syn::Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Paren) {
        return Ok(vec![one(input)?]);
    }
    let content;
    syn::parenthesized!(content in input);
    let mut fields = Vec::new();
    while !content.is_empty() {
        fields.push(one(&content)?);
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    if fields.is_empty() {
        let message = "an item has a name: `latest_by = price: Price`";
        return Err(syn::Error::new(key.span(), message));
    }
    Ok(fields)
}
