//! The application's own id of a message: which field has it, and for how long it is kept. How the
//! field becomes a text is the runtime's.

use proc_macro2::Ident;
use syn::{Lit, Type};

use super::message::{Field, Id, Kind, Payload};
use super::names::plain;
use crate::attr::{VariantAttrs, bare};
use crate::ctxt::Ctxt;
use crate::suggest::did_you_mean;
use crate::units::kept_ms;

/// What certainly tells no two commands apart, or not reliably.
const NOT_AN_ID: &[&str] = &["bool", "f32", "f64", "HashMap", "HashSet"];

/// `None` if the message has none, or it is wrong; that was reported.
pub(super) fn check_id(
    variant: &Ident,
    attrs: &VariantAttrs,
    (payload, kind): (&Payload, &Kind),
    ctxt: &Ctxt,
) -> Option<Id> {
    let Some((key, field)) = &attrs.id else {
        if let Some((key, _)) = &attrs.keep {
            ctxt.error(key, "`keep` says how long an id is kept: `id = order_id, keep = \"24h\"`");
        }
        return None;
    };
    if !matches!(kind, Kind::Request { .. } | Kind::Command { .. }) {
        let message = "`id` belongs on a request or command: it is for whoever asks again and \
                       wants the first outcome";
        ctxt.error(key, message);
        return None;
    }
    let fits = check_field(variant, field, payload, ctxt);
    let keep_ms = check_keep(key, attrs.keep.as_ref(), ctxt);
    fits.then_some(Id { field: field.clone(), keep_ms: keep_ms? })
}

fn check_keep(id: &Ident, keep: Option<&(Ident, Lit)>, ctxt: &Ctxt) -> Option<u64> {
    let Some((_, lit)) = keep else {
        let message = "an id is kept for a time after the first outcome: add `keep = \"24h\"`";
        ctxt.error(id, message);
        return None;
    };
    ctxt.ok(kept_ms(lit))
}

/// Of the user's own struct only the compiler can say.
fn check_field(variant: &Ident, field: &Ident, payload: &Payload, ctxt: &Ctxt) -> bool {
    let Payload::Generated(generated) = payload else { return true };
    let Some(known) = generated.fields.iter().find(|known| known.ident == *field) else {
        let names: Vec<String> = generated.fields.iter().map(|field| plain(&field.ident)).collect();
        let name = plain(field);
        let hint = did_you_mean(&name, names.iter().map(String::as_str));
        ctxt.error(field, format!("`{variant}` has no field `{name}`{hint}"));
        return false;
    };
    let refusal = refusal(known);
    if let Some(refusal) = &refusal {
        ctxt.error(field, refusal);
    }
    refusal.is_none()
}

fn refusal(field: &Field) -> Option<String> {
    let name = plain(&field.ident);
    if field.optional {
        return Some(format!(
            "every message has its id: `{name}` must not be an `Option` or have \
             `#[serde(default)]`"
        ));
    }
    let Type::Path(path) = bare(&field.ty) else { return None };
    let ty = path.path.segments.last()?.ident.to_string();
    NOT_AN_ID.contains(&&*ty).then(|| {
        format!("a `{ty}` names no command; an id is a string, an integer, or a type of your own")
    })
}
