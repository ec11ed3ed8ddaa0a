//! Stubs for an enum whose own attributes are wrong: the other enum of its protocol names it, and
//! must not report the same mistake again. It says nothing itself.

use proc_macro2::{Ident, TokenStream};
use syn::{DeriveInput, Path};

use crate::attr::{EnumAttrs, Role};
use crate::hygiene::code;
use crate::model;

/// For an enum whose own attributes don't say enough: the traits that others ask it for.
pub(crate) fn stub(input: &DeriveInput, attrs: &EnumAttrs) -> TokenStream {
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    let (ident, private) = (&input.ident, model::private(attrs));
    match attrs.role {
        Some(Role::Server) => server_enum(&private, ident),
        Some(Role::Error) => error_enum(&private, ident),
        Some(Role::Client) | None => TokenStream::new(),
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
            ) -> ::core::result::Result<(#private::Name, #private::Bytes), #private::EncodeError> {
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

/// Hooks for topics that nobody needs to answer for: there are none.
pub(crate) fn hooks(private: &Path, ident: &Ident) -> TokenStream {
    code! {
        #[automatically_derived]
        impl<__H> #private::TopicHooks<__H> for #ident {}
    }
}
