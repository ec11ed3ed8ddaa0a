//! JSON Schemas of message bodies, made by schemars. A schema is an export: what travels is decided
//! by the model and the types, never by what is written here.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;

use crate::Message;

/// A message's name with the schema of its body.
#[derive(Debug, Clone, Serialize)]
pub struct BodySchema {
    /// Wire name.
    pub name: &'static str,
    /// The schema, complete in itself.
    pub schema: schemars::Schema,
}

/// The schemas of those `messages` that have one. A protocol has none if its derive ran without the
/// feature `schema`.
#[must_use]
pub fn bodies(messages: &[Message]) -> Vec<BodySchema> {
    let with_schema =
        messages.iter().filter_map(|message| Some((message.name, message.json_schema?)));
    with_schema.map(|(name, describe)| BodySchema { name, schema: complete(describe) }).collect()
}

fn complete(describe: fn(&mut SchemaGenerator) -> schemars::Schema) -> schemars::Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = describe(&mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), serde_json::Value::Object(definitions));
    }
    schema
}
