//! The shape of a variant decides the shape of its methods: a struct variant is spread into
//! parameters, a newtype is taken whole. What the methods do is for `handler` and `calls`.

use proc_macro2::TokenStream;

use super::message::members;
use crate::hygiene::code;
use crate::model::{Generated, Message, Payload};

/// More parameters than this, `self` and the context aside, are too many for clippy.
const FEW: usize = 5;

/// The parameters of a message's methods; `own` is the name of the user's own struct.
pub(super) fn parameters(message: &Message, own: &TokenStream) -> TokenStream {
    match message.payload() {
        Payload::Own(ty) => code!(#own: #ty,),
        Payload::Generated(generated) => {
            let parameters = generated
                .fields()
                .iter()
                .map(|field| (field.ident(), field.ty()))
                .map(|(ident, ty)| code!(#ident: #ty,));
            parameters.collect()
        }
    }
}

/// The message, from the parameters.
pub(super) fn value(message: &Message) -> TokenStream {
    match message.payload() {
        Payload::Own(_) => code!(__message),
        Payload::Generated(generated) => {
            let (name, fields) = (generated.name(), members(message, generated));
            code!(#name { #(#fields),* })
        }
    }
}

/// The name of the handler's context: not that of a field, which would read as if it were one.
pub(super) fn context(message: &Message) -> TokenStream {
    let taken = |generated: &Generated| generated.idents().any(|field| field == "cx");
    if message.generated().is_some_and(taken) { code!(context) } else { code!(cx) }
}

/// A message may have more fields than a function should have parameters. The one lint that is
/// allowed for a message: a newtype variant has no need of it.
pub(super) fn many(message: &Message) -> Option<TokenStream> {
    let many = message.generated().is_some_and(|generated| generated.fields().len() > FEW);
    many.then(|| code!(#[allow(clippy::too_many_arguments)]))
}
