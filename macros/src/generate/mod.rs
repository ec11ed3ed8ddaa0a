//! [`Model`] → tokens: one file per generated thing. Finds nothing wrong, and puts no protocol
//! logic into `quote!`.

mod client;
mod describe;
mod display;
mod error;
mod message;
mod server;

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Model, RoleModel};

/// What one enum becomes, by the feature of the runtime that it needs.
#[derive(Default)]
pub(crate) struct Expansion {
    pub common: TokenStream,
    pub client: TokenStream,
    pub server: TokenStream,
}

/// Every item, with those of one side behind the runtime's `if_client!` and `if_server!`.
pub(crate) fn generate(model: &Model) -> TokenStream {
    let private = private(model);
    let Expansion { common, client, server } = expand(model);
    let client = (!client.is_empty()).then(|| quote!(#private::if_client! { #client }));
    let server = (!server.is_empty()).then(|| quote!(#private::if_server! { #server }));
    quote!(#common #client #server)
}

/// The same, apart.
pub(crate) fn expand(model: &Model) -> Expansion {
    match &model.role {
        RoleModel::Client(client) => client::expand(model, client),
        RoleModel::Server(server) => server::expand(model, server),
        RoleModel::Error { own_display } => error::expand(model, *own_display),
    }
}

/// The one module that generated code may name.
fn private(model: &Model) -> TokenStream {
    let krate = &model.krate;
    quote!(#krate::private)
}
