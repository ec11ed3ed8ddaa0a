//! A [`Model`] becomes tokens, one file per generated thing. Nothing is found wrong here, and no
//! protocol logic goes into generated code.

mod calls;
mod client;
mod describe;
mod display;
mod error;
mod expansion;
mod handler;
mod hooks;
mod message;
mod parameters;
mod server;
mod views;

pub(crate) use expansion::Expansion;

use proc_macro2::TokenStream;

use crate::hygiene::code;
use crate::model::{Model, RoleModel};

/// Every item, with those of one side behind the runtime's `if_client!` and `if_server!`.
pub(crate) fn generate(model: &Model) -> TokenStream {
    let private = model.private();
    let Expansion { common, client, server } = expand(model);
    let client = (!client.is_empty()).then(|| code!(#private::if_client! { #client }));
    let server = (!server.is_empty()).then(|| code!(#private::if_server! { #server }));
    let alias = message::aliased(model);
    code!(#alias #common #client #server)
}

/// The same, apart.
pub(crate) fn expand(model: &Model) -> Expansion {
    match model.role() {
        RoleModel::Client(client) => client::expand(model, client),
        RoleModel::Server(server) => server::expand(model, server),
        RoleModel::Error { own_display } => error::expand(model, *own_display),
    }
}
