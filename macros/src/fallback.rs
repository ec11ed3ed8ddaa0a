//! Stubs for what is left out because of a mistake, so that nobody reports the same mistake again:
//! neither the other enum of the protocol nor the program around it. It says nothing itself.
//!
//! What has no stub is not there at all: a recent rustc keeps quiet about a name that is missing
//! beside an error of a macro, while it compares whatever is there by half.

use proc_macro2::{Ident, TokenStream};
use syn::{Data, DeriveInput, Path, Type};

use crate::attr::{EnumAttrs, Role};
use crate::hygiene::code;
use crate::model;

/// For an enum whose own attributes don't say enough: the traits that others ask it for.
pub(crate) fn stub(input: &DeriveInput, attrs: &EnumAttrs) -> TokenStream {
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    let (ident, private) = (&input.ident, model::private(attrs));
    let own_structs = match &input.data {
        Data::Enum(data) => model::strays(data, &[]),
        _ => Vec::new(),
    };
    let own_structs = strays(&private, ident, &own_structs);
    let (client, error) = (client_enum(&private, ident, attrs), error_enum(&private, ident));
    let server = server_enum(&private, ident);
    match attrs.role {
        // Without a server enum to name, it stands in for that as well.
        Some(Role::Client) if attrs.server.is_none() => code!(#client #server),
        Some(Role::Client) => client,
        Some(Role::Server) => code!(#server #own_structs),
        Some(Role::Error) if attrs.own_display => error,
        Some(Role::Error) => {
            let display = display(ident);
            code!(#error #display)
        }
        None => code!(#client #server #own_structs #error),
    }
}

fn client_enum(private: &Path, ident: &Ident, attrs: &EnumAttrs) -> TokenStream {
    let error = model::error(attrs);
    let server = attrs.server.as_ref().map_or_else(|| code!(Self), |server| code!(#server));
    code! {
        #[automatically_derived]
        impl #private::ClientEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ClientEnum =
                &#private::schema::ClientEnum::EMPTY;
            type ServerEnum = #server;
            type Error = #error;
        }
    }
}

fn server_enum(private: &Path, ident: &Ident) -> TokenStream {
    let hooks = hooks(private, ident);
    code! {
        #[automatically_derived]
        impl #private::ServerEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ServerEnum =
                &#private::schema::ServerEnum::EMPTY;
            fn decode(_: &str, _: &[u8], _: #private::Codec) -> Self {
                ::core::unreachable!()
            }
        }
        #private::if_server! { #hooks }
    }
}

fn error_enum(private: &Path, ident: &Ident) -> TokenStream {
    code! {
        #[automatically_derived]
        impl #private::WsError for #ident {
            const DESCRIPTION: &'static #private::schema::ErrorEnum =
                &#private::schema::ErrorEnum::EMPTY;
            fn encode(
                self,
                _: #private::Codec,
            ) -> ::core::result::Result<(#private::Name, #private::Body), #private::EncodeError> {
                ::core::unreachable!()
            }
            fn decode(
                _: &str,
                _: &[u8],
                _: #private::Codec,
            ) -> ::core::result::Result<Self, #private::DecodeError> {
                ::core::unreachable!()
            }
        }
    }
}

fn display(ident: &Ident) -> TokenStream {
    code! {
        #[automatically_derived]
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::unreachable!()
            }
        }
        #[automatically_derived]
        impl ::core::error::Error for #ident {}
    }
}

/// Hooks for topics that nobody needs to answer for: there are none, or they are left out.
pub(crate) fn hooks(private: &Path, ident: &Ident) -> TokenStream {
    code! {
        #[automatically_derived]
        impl<__H> #private::TopicHooks<__H> for #ident {}
    }
}

/// The users' own structs of server messages that were left out: somebody may publish them, or
/// return them as a topic's state.
pub(crate) fn strays(private: &Path, ident: &Ident, strays: &[Type]) -> TokenStream {
    let stubs = strays.iter().map(|ty| {
        code! {
            #[automatically_derived]
            impl #private::Message for #ty {
                const NAME: &'static str = "";
            }
            #[automatically_derived]
            impl #private::Publish for #ty {
                const TOPIC: u16 = 0;
                type Events = #ident;
                fn topic_key(
                    &self,
                ) -> ::core::result::Result<::std::string::String, #private::EncodeError> {
                    ::core::unreachable!()
                }
            }
            #[automatically_derived]
            impl #private::SnapshotState for #ty {
                fn decode(
                    _: &str,
                    _: &[u8],
                    _: #private::Codec,
                ) -> ::core::result::Result<Self, #private::DecodeError> {
                    ::core::unreachable!()
                }
            }
        }
    });
    stubs.collect()
}
