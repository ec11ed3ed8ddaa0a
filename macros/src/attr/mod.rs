//! The syntax of attributes becomes raw values with their spans, key by key. Rules between keys
//! are for `model::check`.

mod container;
mod docs;
mod field;
mod list;
mod serde;
mod topic;
mod variant;

pub(crate) use container::{EnumAttrs, Role};
pub(crate) use docs::{allowed, deprecated, docs};
pub(crate) use field::{FieldAttrs, bare};
pub(crate) use serde::{SerdeEnum, SerdeVariant};
pub(crate) use topic::TopicAttrs;
pub(crate) use variant::{KindAttr, NO_REPLY, RawKind, VariantAttrs};
