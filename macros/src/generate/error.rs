//! What the error enum becomes: a wire name and fields per error, and the standard traits. How it
//! reads is for `display`.

use proc_macro2::TokenStream;

use super::expansion::Expansion;
use super::message::{Use, left_out, members, pattern, structure};
use super::{describe, display};
use crate::hygiene::{code, derived};
use crate::model::{Message, Model, Payload};

pub(super) fn expand(model: &Model, own_display: bool) -> Expansion {
    let display = (!own_display).then(|| display::display(model));
    let errors = ws_error(model);
    Expansion { common: code!(#errors #display), ..Expansion::default() }
}

/// The structs live in a block: errors are used as the enum.
fn ws_error(model: &Model) -> TokenStream {
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    let structures = model
        .messages()
        .iter()
        .filter(|message| !is_empty(message))
        .map(|message| structure(model, message, Use::Hidden));
    let (encode, decode) = (encode(model), decode(model));
    let description = describe::error(model);
    code! {
        const _: () = {
            #(#structures)*
            #[automatically_derived]
            #(#lints)*
            impl #private::WsError for #ident {
                const DESCRIPTION: &'static #private::schema::ErrorEnum = #description;
                #encode
                #decode
            }
        };
    }
}

fn is_empty(message: &Message) -> bool {
    message.generated().is_some_and(|generated| generated.fields().is_empty())
}

/// The type that an error's fields travel as.
fn body_type(model: &Model, message: &Message) -> TokenStream {
    let (private, ty) = (model.private(), message.ty());
    if is_empty(message) { code!(#private::Empty) } else { code!(#ty) }
}

fn encode(model: &Model) -> TokenStream {
    let private = model.private();
    let arms = model.messages().iter().map(|message| {
        let (wire, body) = (message.wire(), body(model, message));
        let pattern = variant(message);
        code!(#pattern => (#private::error_name(#wire)?, #private::encode_body(&#body, __codec)?),)
    });
    let unknown = model.unknown().map(|unknown| {
        let unknown = derived(unknown);
        code! {
            Self::#unknown(__message) => (
                #private::error_name(__message.name)?,
                ::core::convert::Into::into(__message.body),
            ),
        }
    });
    let codec = if model.messages().is_empty() { code!(_) } else { code!(__codec) };
    let left_out = left_out(model);
    code! {
        fn encode(
            self,
            #codec: #private::Codec,
        ) -> ::core::result::Result<(#private::Name, #private::Body), #private::EncodeError> {
            ::core::result::Result::Ok(match self {
                #(#arms)*
                #unknown
                #left_out
            })
        }
    }
}

/// The variant as a pattern or, with the same names, as a value.
fn variant(message: &Message) -> TokenStream {
    let name = derived(message.ident());
    match message.payload() {
        Payload::Own(_) => code!(Self::#name(__message)),
        Payload::Generated(generated) if !generated.braces() => code!(Self::#name),
        Payload::Generated(generated) => {
            let fields = members(message, generated);
            code!(Self::#name { #(#fields),* })
        }
    }
}

fn body(model: &Model, message: &Message) -> TokenStream {
    let private = model.private();
    match message.payload() {
        Payload::Own(_) => code!(__message),
        Payload::Generated(_) if is_empty(message) => code!(#private::Empty {}),
        Payload::Generated(generated) => {
            let (name, fields) = (generated.name(), members(message, generated));
            code!(#name { #(#fields),* })
        }
    }
}

fn decode(model: &Model) -> TokenStream {
    let private = model.private();
    let arms = model.messages().iter().map(|message| decode_arm(model, message));
    let unknown_name = code!(#private::DecodeError::UNKNOWN_NAME);
    let unknown = match model.unknown().map(derived) {
        Some(unknown) => code!(Self::#unknown(#private::undecoded(__name, __body, #unknown_name))),
        None => code!(return ::core::result::Result::Err(#unknown_name)),
    };
    let codec = if model.messages().is_empty() { code!(_) } else { code!(__codec) };
    code! {
        fn decode(
            __name: &::core::primitive::str,
            __body: &[::core::primitive::u8],
            #codec: #private::Codec,
        ) -> ::core::result::Result<Self, #private::DecodeError> {
            ::core::result::Result::Ok(match __name {
                #(#arms)*
                _ => #unknown,
            })
        }
    }
}

fn decode_arm(model: &Model, message: &Message) -> TokenStream {
    let private = model.private();
    let (pattern, value) = (pattern(message), variant(message));
    let ty = body_type(model, message);
    let decoded = code!(#private::decode_body::<#ty>(__body, __codec)?);
    let binding = match message.payload() {
        Payload::Own(_) => code!(let __message = #decoded;),
        Payload::Generated(_) if is_empty(message) => code!(#decoded;),
        Payload::Generated(generated) => {
            let (name, fields) = (generated.name(), members(message, generated));
            code!(let #name { #(#fields),* } = #decoded;)
        }
    };
    code!(#pattern => { #binding #value })
}
