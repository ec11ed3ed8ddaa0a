//! What the client enum becomes: a struct per message, its description, and what `calls` and
//! `handler` make of it. Methods are theirs.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;

use super::expansion::Expansion;
use super::message::{Use, into_enum, named, reads, structure};
use super::{calls, describe, handler};
use crate::hygiene::code;
use crate::model::{Client, Message, Model};

pub(super) fn expand(model: &Model, client: &Client) -> Expansion {
    let common = common(model, client);
    if model.partial() {
        // A handler or client that lacks a method is reported once more, at each use of the method;
        // one that is not there at all is not, beside the mistake that was reported here.
        return Expansion { common, ..Expansion::default() };
    }
    Expansion {
        common,
        client: calls::client(model, client),
        server: [
            handler::handler(model, client),
            handler::dispatch(model, client),
            handler::server(model, client),
        ]
        .into_iter()
        .collect(),
    }
}

fn common(model: &Model, client: &Client) -> TokenStream {
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    let messages = model.messages().iter().map(|message| {
        let structure = structure(model, message, Use::Public);
        // The user's own struct may be in both enums, and a client's message is known by its index.
        let named = message.generated().map(|_| named(model, message));
        let into_enum = unique(model, message).then(|| into_enum(model, message));
        code!(#structure #named #into_enum)
    });
    let description = describe::client(model, client);
    let (server, error, reads) = (client.server(), client.error(), reads(model));
    let same_protocol = respanned(code!(#private::assert_same_protocol::<#ident>()), server.span());
    code! {
        #(#messages)*
        #[automatically_derived]
        #(#lints)*
        impl #private::ClientEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ClientEnum = #description;
            type ServerEnum = #server;
            type Error = #error;
        }
        const _: () = #same_protocol;
        #reads
    }
}

/// The tokens, all pointing to one place: for an assertion about what stands there.
fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let each = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), respanned(group.stream(), span)).into();
        }
        token.set_span(span);
        token
    });
    each.collect()
}

/// Two variants may bring the same struct; then it does not say which.
fn unique(model: &Model, message: &Message) -> bool {
    model.messages().iter().filter(|other| other.ty() == message.ty()).count() == 1
}
