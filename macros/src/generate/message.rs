//! The struct of a struct or unit variant, and its way back into the enum.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use super::private;
use crate::model::{Generated, Message, Model, Payload};

/// Which of two things is needed of a struct that the derive makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Beside the enum, for users: with `Debug`, `Clone` and JSON Schema.
    Public,
    /// An error's fields on their way: serde alone.
    Hidden,
}

/// ```text
/// pub struct ChatCommandPost { pub room: RoomId, pub text: String }
/// ```
pub(super) fn structure(model: &Model, message: &Message, of: Use) -> TokenStream {
    let Payload::Generated(Generated { name, fields, rename_all, .. }) = &message.payload else {
        return TokenStream::new();
    };
    let private = private(model);
    let derives = match of {
        Use::Public => quote!(::core::fmt::Debug, ::core::clone::Clone,),
        Use::Hidden => TokenStream::new(),
    };
    let serde_crate = path_text(&quote!(#private::serde));
    let rename_all = rename_all
        .as_ref()
        .filter(|_| !fields.is_empty())
        .map(|(rule, _)| quote!(, rename_all = #rule));
    let (schema_derive, schema_crate) = schema(model, of);
    let vis = (of == Use::Public).then_some(&model.vis);
    let docs = (of == Use::Public).then(|| {
        attributes(message, &format!(" [`{}::{}`] as a struct.", model.ident, message.ident))
    });
    let fields = fields.iter().map(|field| {
        let (attrs, ident, ty) = (&field.attrs, &field.ident, &field.ty);
        let attrs = attrs.iter().filter(|attr| of == Use::Public || attr.path().is_ident("serde"));
        quote!(#(#attrs)* #vis #ident: #ty)
    });
    quote! {
        #docs
        #[derive(#derives #private::serde::Serialize, #private::serde::Deserialize #schema_derive)]
        #[serde(crate = #serde_crate #rename_all)]
        #schema_crate
        #[allow(missing_docs)]
        #vis struct #name { #(#fields,)* }
    }
}

fn schema(model: &Model, of: Use) -> (TokenStream, TokenStream) {
    if of == Use::Hidden || !model.json_schema {
        return (TokenStream::new(), TokenStream::new());
    }
    let private = private(model);
    let schemars_crate = path_text(&quote!(#private::schemars));
    (quote!(, #private::schemars::JsonSchema), quote!(#[schemars(crate = #schemars_crate)]))
}

/// A path as serde wants it: text without spaces.
fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}

/// The variant's documentation and deprecation; `fallback` where it has no documentation.
pub(super) fn attributes(message: &Message, fallback: &str) -> TokenStream {
    let attrs = &message.attrs;
    let fallback = message.docs.is_empty().then(|| quote!(#[doc = #fallback]));
    quote!(#fallback #(#attrs)*)
}

/// ```text
/// impl From<ChatCommandPost> for ChatCommand { .. }
/// ```
pub(super) fn into_enum(model: &Model, message: &Message) -> TokenStream {
    let (ident, ty) = (&model.ident, message.ty());
    let (parameter, value) = match &message.payload {
        Payload::Generated(generated) if generated.fields.is_empty() => {
            (quote!(_), from_struct(message, &TokenStream::new()))
        }
        _ => (quote!(message), from_struct(message, &quote!(message))),
    };
    quote! {
        #[allow(deprecated)]
        impl ::core::convert::From<#ty> for #ident {
            fn from(#parameter: #ty) -> Self {
                #value
            }
        }
    }
}

/// The variant, from its struct.
fn from_struct(message: &Message, value: &TokenStream) -> TokenStream {
    let variant = &message.ident;
    match &message.payload {
        Payload::Own(_) => quote!(Self::#variant(#value)),
        Payload::Generated(Generated { braces: false, .. }) => quote!(Self::#variant),
        Payload::Generated(Generated { fields, .. }) => {
            let fields = fields.iter().map(|field| &field.ident);
            quote!(Self::#variant { #(#fields: #value.#fields),* })
        }
    }
}

/// ```text
/// impl Message for ChatCommandPost { const NAME: &'static str = "post"; }
/// ```
pub(super) fn named(model: &Model, message: &Message) -> TokenStream {
    let (private, ty, wire) = (private(model), message.ty(), &message.wire);
    quote! {
        #[allow(deprecated)]
        impl #private::Message for #ty {
            const NAME: &'static str = #wire;
        }
    }
}

/// Reads every field of the enum: on one side of a protocol nobody else may, and rustc would call
/// them dead.
pub(super) fn reads(model: &Model) -> TokenStream {
    let ident = &model.ident;
    let arms = model.messages.iter().filter_map(|message| {
        let name = &message.ident;
        match &message.payload {
            Payload::Own(_) => Some(quote!(#ident::#name(message) => { let _ = message; })),
            Payload::Generated(generated) if generated.fields.is_empty() => None,
            Payload::Generated(Generated { fields, .. }) => {
                let fields: Vec<_> = fields.iter().map(|field| &field.ident).collect();
                Some(quote!(#ident::#name { #(#fields),* } => { let _ = (#(#fields,)*); }))
            }
        }
    });
    let unknown = model
        .unknown
        .as_ref()
        .map(|unknown| quote!(#ident::#unknown(message) => { let _ = message; }));
    quote! {
        #[allow(deprecated, unreachable_patterns)]
        const _: fn(&#ident) = |message| match message {
            #(#arms)*
            #unknown
            _ => {}
        };
    }
}

/// A message's wire name and aliases, as a pattern.
pub(super) fn pattern(message: &Message) -> impl ToTokens {
    let names = std::iter::once(&message.wire).chain(&message.aliases);
    quote!(#(#names)|*)
}
