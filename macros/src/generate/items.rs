//! Keyed topics: which item a message is about, as text for the log and as a value for a client's
//! mirror. What is kept of an item is the runtime's.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::server::own_field;
use crate::hygiene::{code, derived};
use crate::model::{Kind, Message, Model, Payload, Topic};

/// In `impl Publish`: the text of the item.
pub(super) fn item(model: &Model, message: &Message, topic: &Topic) -> Option<TokenStream> {
    let (private, keyed) = (model.private(), topic.keyed()?);
    let ty = item_type(keyed);
    let value = match keyed {
        [(field, ty)] => {
            let field = own_field(message, field);
            let this = Ident::new("self", field.span());
            (this.clone(), quote_spanned!(field.span()=> #private::topic_key::<#ty>(&#this.#field)))
        }
        _ => {
            // They have one `self`, which stands in the signature.
            let this = Ident::new("self", message.ident().span());
            let fields = keyed.iter().map(|(field, ty)| {
                let field = own_field(message, field);
                quote_spanned!(field.span()=> <#ty as ::core::clone::Clone>::clone(&#this.#field))
            });
            let tuple = code!((#(#fields,)*));
            (this, code!(#private::topic_key::<#ty>(&#tuple)))
        }
    };
    let (this, text) = value;
    Some(code! {
        fn item(
            &#this,
        ) -> ::core::result::Result<
            ::core::option::Option<::std::string::String>,
            #private::EncodeError,
        > {
            #text.map(::core::option::Option::Some)
        }
    })
}

/// ```text
/// impl KeyedTopic for Book { type Item = Price; .. }
/// ```
pub(super) fn keyed(model: &Model, at: usize, topic: &Topic) -> Option<TokenStream> {
    let keyed = topic.keyed()?;
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    let (name, ty) = (derived(topic.ident()), item_type(keyed));
    let of = |message: &&Message| match message.kind() {
        Kind::Event { topic } | Kind::Removal { topic } => *topic == at,
        _ => false,
    };
    let arms = model.messages().iter().filter(of).map(|message| arm(model, message, keyed));
    Some(code! {
        #[automatically_derived]
        #(#lints)*
        impl #private::KeyedTopic for #name {
            type Item = #ty;
            fn change(
                __event: &#ident,
            ) -> ::core::option::Option<
                ::core::result::Result<
                    (::std::string::String, ::core::primitive::bool),
                    #private::EncodeError,
                >,
            > {
                match __event {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}

fn arm(model: &Model, message: &Message, keyed: &[(Ident, syn::Type)]) -> TokenStream {
    let (private, ident) = (model.private(), model.ident());
    let (variant, removes) =
        (derived(message.ident()), matches!(message.kind(), Kind::Removal { .. }));
    let (pattern, item) = match message.payload() {
        Payload::Own(own) => {
            (code!(#ident::#variant(__message)), code!(#private::item_of::<#own>(__message)))
        }
        Payload::Generated(_) => {
            let fields = keyed.iter().map(|(field, _)| own_field(message, field));
            let local = |at| Ident::new(&format!("__item_{at}"), Span::mixed_site());
            let names: Vec<Ident> = (0..keyed.len()).map(local).collect();
            // Of the fields' own types: where one is another than the topic says, `item` tells.
            let text = match &*names {
                [name] => code!(#private::topic_key(#name)),
                _ => code!(#private::topic_key(&(#(::core::clone::Clone::clone(#names),)*))),
            };
            (code!(#ident::#variant { #(#fields: #names,)* .. }), text)
        }
    };
    code! {
        #pattern => ::core::option::Option::Some(
            #item.map(|__item| (__item, #removes)),
        ),
    }
}

fn item_type(keyed: &[(Ident, syn::Type)]) -> TokenStream {
    match keyed {
        [(_, ty)] => code!(#ty),
        _ => {
            let types = keyed.iter().map(|(_, ty)| ty);
            code!((#(#types,)*))
        }
    }
}
