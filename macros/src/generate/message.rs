//! The struct of a struct or unit variant, and what every enum does with its messages: names,
//! patterns, and the way from a struct into the enum. Delivery is for the files of the three enums.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;

use crate::hygiene::code;
use crate::model::{Message, Model, Payload};

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
    let Some(generated) = message.generated() else { return TokenStream::new() };
    let (private, name) = (model.private(), generated.name());
    let derives = match of {
        Use::Public => code!(::core::fmt::Debug, ::core::clone::Clone,),
        Use::Hidden => TokenStream::new(),
    };
    let serde_crate = path_text(&code!(#private::serde));
    let rename_all = generated
        .rename_all()
        .filter(|_| !generated.fields().is_empty())
        .map(|rule| code!(, rename_all = #rule));
    let (schema_derive, schema_crate) = schema(model, of);
    let vis = (of == Use::Public).then_some(model.vis());
    let docs = (of == Use::Public).then(|| {
        attributes(message, &format!(" [`{}::{}`] as a struct.", model.ident(), message.ident()))
    });
    let fields = generated.fields().iter().map(|field| {
        let (attrs, ident, ty) = (field.attrs(), field.ident(), field.ty());
        let attrs = attrs.iter().filter(|attr| of == Use::Public || attr.path().is_ident("serde"));
        code!(#(#attrs)* #vis #ident: #ty)
    });
    code! {
        #docs
        #[derive(#derives #private::serde::Serialize, #private::serde::Deserialize #schema_derive)]
        #[serde(crate = #serde_crate #rename_all)]
        #schema_crate
        #[allow(missing_docs)]
        #vis struct #name { #(#fields,)* }
    }
}

fn schema(model: &Model, of: Use) -> (TokenStream, TokenStream) {
    if of == Use::Hidden || !model.json_schema() {
        return (TokenStream::new(), TokenStream::new());
    }
    let private = model.private();
    let schemars_crate = path_text(&code!(#private::schemars));
    (code!(, #private::schemars::JsonSchema), code!(#[schemars(crate = #schemars_crate)]))
}

/// A path as serde wants it: text without spaces.
fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}

/// The variant's documentation and deprecation; `fallback` where it has no documentation.
pub(super) fn attributes(message: &Message, fallback: &str) -> TokenStream {
    let attrs = message.attrs();
    let fallback = message.docs().is_empty().then(|| code!(#[doc = #fallback]));
    code!(#fallback #(#attrs)*)
}

/// ```text
/// impl From<ChatCommandPost> for ChatCommand { .. }
/// ```
pub(super) fn into_enum(model: &Model, message: &Message) -> TokenStream {
    let (ident, ty) = (model.ident(), message.ty());
    let (parameter, value) = match message.payload() {
        Payload::Generated(generated) if generated.fields().is_empty() => {
            (code!(_), from_struct(message, &TokenStream::new()))
        }
        _ => (code!(message), from_struct(message, &code!(message))),
    };
    code! {
        #[automatically_derived]
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
    let variant = message.ident();
    match message.payload() {
        Payload::Own(_) => code!(Self::#variant(#value)),
        Payload::Generated(generated) if !generated.braces() => code!(Self::#variant),
        Payload::Generated(generated) => {
            let fields = generated.idents();
            code!(Self::#variant { #(#fields: #value.#fields),* })
        }
    }
}

/// ```text
/// impl Message for ChatCommandPost { const NAME: &'static str = "post"; }
/// ```
pub(super) fn named(model: &Model, message: &Message) -> TokenStream {
    let (private, ty, wire) = (model.private(), message.ty(), message.wire());
    code! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #private::Message for #ty {
            const NAME: &'static str = #wire;
        }
    }
}

/// Reads every field of the enum: on one side of a protocol nobody else may, and rustc would call
/// them dead.
pub(super) fn reads(model: &Model) -> TokenStream {
    let ident = model.ident();
    let arms = model.messages().iter().filter_map(|message| {
        let name = message.ident();
        match message.payload() {
            Payload::Own(_) => Some(code!(#ident::#name(message) => { let _ = message; })),
            Payload::Generated(generated) if generated.fields().is_empty() => None,
            Payload::Generated(generated) => {
                let fields: Vec<&Ident> = generated.idents().collect();
                Some(code!(#ident::#name { #(#fields),* } => { let _ = (#(#fields,)*); }))
            }
        }
    });
    let unknown =
        model.unknown().map(|unknown| code!(#ident::#unknown(message) => { let _ = message; }));
    code! {
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
    let names = message.names();
    code!(#(#names)|*)
}

/// An arm for variants that were left out for a mistake.
pub(super) fn left_out(model: &Model) -> Option<TokenStream> {
    model.partial().then(|| code!(_ => ::core::unreachable!(),))
}

/// What a volatile is conflated by, from its struct `message`.
pub(super) fn conflation(model: &Model, latest_by: &[Ident], message: &TokenStream) -> TokenStream {
    if latest_by.is_empty() {
        return code!(::core::result::Result::Ok(::std::string::String::new()));
    }
    let private = model.private();
    code!(#private::conflation_key(&(#(&#message.#latest_by,)*)))
}
