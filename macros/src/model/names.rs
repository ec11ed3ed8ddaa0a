//! What can be a name: on the wire, and as a Rust identifier. Whether a name is taken is for
//! `unique`.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

use crate::ctxt::Ctxt;

const MAX_NAME_BYTES: usize = 64;

/// An identifier's text, without `r#`.
pub(super) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// A wire name fits PROTOCOL.md 3.4.
pub(super) fn check_wire_name(name: &str, at: Span, ctxt: &Ctxt) {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !fits {
        let message = format!(
            "`{name}` can't be a name on the wire: 1 to {MAX_NAME_BYTES} characters of \
             a-z A-Z 0-9 _ . - (PROTOCOL.md 3.4)"
        );
        ctxt.push(syn::Error::new(at, message));
    }
}

/// A method's name as an identifier; keywords gain `_`, also those of later editions.
pub(super) fn method_ident(name: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(_) if name != "gen" => Ident::new(name, span),
        _ => Ident::new(&format!("{name}_"), span),
    }
}
