//! Stubs for an enum whose own attributes are wrong: the other enum of its protocol names it, and
//! must not report the same mistake again. Says nothing itself.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::attr::{EnumAttrs, Role};
use crate::model::krate;

/// The traits that other enums ask for, without meaning.
pub(crate) fn stub(input: &DeriveInput, attrs: &EnumAttrs) -> TokenStream {
    let ident = &input.ident;
    let krate = krate(attrs);
    let private = quote!(#krate::private);
    let (generics, params, bounds) = input.generics.split_for_impl();
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    match attrs.role {
        Some(Role::Server) => quote! {
            impl #generics #private::ServerEnum for #ident #params #bounds {
                const DESCRIPTION: &'static #private::schema::ServerEnum = &#private::schema::ServerEnum::EMPTY;
                fn decode(_: &str, _: &[u8], _: #private::Codec) -> Self {
                    ::core::unreachable!()
                }
            }
            #krate::private::if_server! {
                impl<__H> #private::TopicHooks<__H> for #ident {}
            }
        },
        Some(Role::Error) => quote! {
            impl #private::WsError for #ident {
                const DESCRIPTION: &'static #private::schema::ErrorEnum = &#private::schema::ErrorEnum::EMPTY;
                fn encode(
                    self,
                    _: #private::Codec,
                ) -> ::core::result::Result<(#private::Name, #private::Bytes), #private::EncodeError> {
                    ::core::unreachable!()
                }
                fn decode(_: &str, _: &[u8], _: #private::Codec) -> ::core::result::Result<Self, #private::DecodeError> {
                    ::core::unreachable!()
                }
            }
        },
        Some(Role::Client) | None => TokenStream::new(),
    }
}
