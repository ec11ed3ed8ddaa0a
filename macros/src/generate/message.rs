//! The struct of a struct or unit variant, and what every enum does with its messages: names,
//! patterns, and the way from a struct into the enum. Delivery is for the files of the three enums.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident};
use syn::Attribute;
use syn::ext::IdentExt;

use crate::case::snake;
use crate::hygiene::{code, derived};
use crate::model::{Field, Generated, Message, Model, Payload};

/// Which of two things is needed of a struct that the derive makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Beside the enum, for users: with `Debug`, `Clone` and JSON Schema.
    Public,
    /// An error's fields on their way: serde and JSON Schema.
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
    let serde_crate = path_text(model, "serde");
    let rename_all = generated
        .rename_all()
        .filter(|_| !generated.fields().is_empty())
        .map(|rule| code!(, rename_all = #rule));
    let (schema_derive, schema_crate) = schema(model);
    let vis = (of == Use::Public).then_some(model.vis());
    let docs = (of == Use::Public).then(|| {
        attributes(message, &format!(" [`{}::{}`] as a struct.", model.ident(), message.ident()))
    });
    let fields = generated.fields().iter().map(|field| {
        let (ident, ty, attrs) = (field.ident(), field.ty(), field_attributes(model, field, of));
        let ident = member(message, ident);
        code!(#attrs #vis #ident: #ty)
    });
    let lints = model.lints();
    code! {
        #docs
        #(#lints)*
        #[derive(#derives #private::serde::Serialize, #private::serde::Deserialize #schema_derive)]
        #[serde(crate = #serde_crate #rename_all)]
        #schema_crate
        #vis struct #name { #(#fields,)* }
    }
}

fn schema(model: &Model) -> (TokenStream, TokenStream) {
    if !model.json_schema() {
        return (TokenStream::new(), TokenStream::new());
    }
    let private = model.private();
    let schemars_crate = path_text(model, "schemars");
    (code!(, #private::schemars::JsonSchema), code!(#[schemars(crate = #schemars_crate)]))
}

/// What a field of a struct gets of the attributes that the variant's field has: those of other
/// derives mean nothing here. A field without docs gets some, as users may ask for docs everywhere.
fn field_attributes(model: &Model, field: &Field, of: Use) -> TokenStream {
    let known = |name: &str| match name {
        "serde" => true,
        "deprecated" | "allow" => of == Use::Public,
        // A schema has them, too.
        "doc" => of == Use::Public || model.json_schema(),
        "schemars" => model.json_schema(),
        _ => false,
    };
    let known =
        |attr: &&Attribute| attr.path().get_ident().is_some_and(|name| known(&name.to_string()));
    let attrs = field.attrs().iter().filter(known);
    let undocumented = of == Use::Public && field.docs().is_empty();
    let docs = undocumented.then(|| {
        let doc = format!(" The field `{}`.", field.ident().unraw());
        // A schema describes what users have described.
        let described = field.attrs().iter().any(|attr| attr.path().is_ident("schemars"));
        let plain =
            (model.json_schema() && !described).then(|| code!(#[schemars(description = "")]));
        code!(#[doc = #doc] #plain)
    });
    code!(#docs #(#attrs)*)
}

/// The path to the runtime's `name` as serde wants it: text without spaces.
fn path_text(model: &Model, name: &str) -> String {
    let path = match alias(model) {
        Some(alias) => alias.to_string(),
        None => model.private().to_token_stream().to_string().replace(' ', ""),
    };
    format!("{path}::{name}")
}

/// `$crate` can't be told in a text, so the module that it leads to has a name of ours beside the
/// enum.
fn alias(model: &Model) -> Option<Ident> {
    let untold = model.private().segments.iter().any(|segment| segment.ident == "$crate");
    let name = snake(&model.ident().unraw().to_string());
    untold.then(|| derived(&format_ident!("__{name}_steadfast")))
}

/// The item that makes [`alias`] a name.
pub(super) fn aliased(model: &Model) -> Option<TokenStream> {
    let (alias, private) = (alias(model)?, model.private());
    Some(code! {
        #[doc(hidden)]
        use #private as #alias;
    })
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
    let (ident, ty, lints) = (model.ident(), message.ty(), model.lints());
    let (parameter, value) = match message.payload() {
        Payload::Generated(generated) if generated.fields().is_empty() => {
            (code!(_), from_struct(message, &TokenStream::new()))
        }
        _ => (code!(__message), from_struct(message, &code!(__message))),
    };
    code! {
        #[automatically_derived]
        #(#lints)*
        impl ::core::convert::From<#ty> for #ident {
            fn from(#parameter: #ty) -> Self {
                #value
            }
        }
    }
}

/// A field as a member. Of a deprecated message or field, whose every use is a warning, it is a
/// name of the derive's own.
pub(super) fn member(message: &Message, field: &Ident) -> Ident {
    if warns(message, field) { derived(field) } else { field.clone() }
}

/// Every field with a local variable of its name, in a pattern or a value.
pub(super) fn members(message: &Message, fields: &Generated) -> Vec<TokenStream> {
    let member = |field: &Ident| {
        let member = warns(message, field).then(|| derived(field));
        let member = member.map(|member| code!(#member:));
        code!(#member #field)
    };
    fields.idents().map(member).collect()
}

fn warns(message: &Message, field: &Ident) -> bool {
    message.deprecated().is_some() || message.field(field).is_some_and(Field::deprecated)
}

/// The variant, from its struct.
fn from_struct(message: &Message, value: &TokenStream) -> TokenStream {
    let variant = derived(message.ident());
    match message.payload() {
        Payload::Own(_) => code!(Self::#variant(#value)),
        Payload::Generated(generated) if !generated.braces() => code!(Self::#variant),
        Payload::Generated(generated) => {
            let fields: Vec<Ident> = generated.idents().map(|of| member(message, of)).collect();
            code!(Self::#variant { #(#fields: #value.#fields),* })
        }
    }
}

/// ```text
/// impl Message for ChatCommandPost { const NAME: &'static str = "post"; }
/// ```
pub(super) fn named(model: &Model, message: &Message) -> TokenStream {
    let (private, ty, wire) = (model.private(), message.ty(), message.wire());
    let lints = model.lints();
    code! {
        #[automatically_derived]
        #(#lints)*
        impl #private::Message for #ty {
            const NAME: &'static ::core::primitive::str = #wire;
        }
    }
}

/// Reads every field of the enum: on one side of a protocol nobody else may, and rustc would call
/// them dead.
pub(super) fn reads(model: &Model) -> TokenStream {
    let ident = model.ident();
    let arms = model.messages().iter().map(|message| {
        let name = derived(message.ident());
        match message.payload() {
            Payload::Own(_) => code!(#ident::#name(__message) => { let _ = __message; }),
            Payload::Generated(generated) if generated.fields().is_empty() => {
                code!(#ident::#name { .. } => {})
            }
            Payload::Generated(generated) => {
                let (fields, members) = (generated.idents(), members(message, generated));
                code!(#ident::#name { #(#members),* } => { let _ = (#(#fields,)*); })
            }
        }
    });
    let unknown = model.unknown().map(derived);
    let unknown =
        unknown.map(|unknown| code!(#ident::#unknown(__message) => { let _ = __message; }));
    let empty = model.messages().is_empty() && model.unknown().is_none();
    let rest = (empty || model.partial()).then(|| code!(_ => {}));
    code! {
        const _: fn(&#ident) = |__message| match __message {
            #(#arms)*
            #unknown
            #rest
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

/// What a volatile is conflated by, from its struct `value`.
pub(super) fn conflation(
    model: &Model,
    message: &Message,
    latest_by: &[Ident],
    value: &TokenStream,
) -> TokenStream {
    if latest_by.is_empty() {
        return code!(::core::result::Result::Ok(::std::string::String::new()));
    }
    let private = model.private();
    let members = latest_by.iter().map(|field| member(message, field));
    code!(#private::conflation_key(&(#(&#value.#members,)*)))
}
