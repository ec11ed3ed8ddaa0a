//! The derive of [steadfast](https://docs.rs/steadfast): two annotated enums become a typed
//! WebSocket client and server. Generated code is thin calls into `steadfast::private`; there is no
//! protocol logic here.
//!
//! One step per module: `attr` reads syntax, `model::check` turns it into a `Model` and says every
//! mistake at once, `generate` turns the model into tokens, and `fallback` stands in for what a
//! mistake has left out.

mod attr;
mod case;
mod ctxt;
mod expand;
#[cfg(any(test, feature = "expanded"))]
mod expanded;
mod fallback;
mod generate;
mod hygiene;
mod model;
mod suggest;
mod symbol;
mod units;

#[cfg(test)]
mod tests;

#[doc = include_str!("../docs/derive.md")]
#[proc_macro_derive(WsProtocol, attributes(ws, serde, schemars))]
pub fn ws_protocol(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::derive(&input).into()
}
