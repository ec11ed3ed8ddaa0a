//! JSON Schemas (draft 2020-12) of everything that travels as a body, made by schemars. A schema is
//! an export: what travels is decided by the model and the types, never by what is written here.

use std::collections::BTreeMap;

use schemars::Schema;
use schemars::generate::SchemaSettings;

use crate::{ClientEnum, Describe, ErrorEnum, ServerEnum};

/// The schema of each body, complete in itself, by a name that stays: `client.post` of what clients
/// send, `reply.post` of what a request is answered with, `server.posted` of what the server sends,
/// and `error.Muted`. What clients send is described as a server reads it, everything else as a
/// server writes it. Enums without the key `json_schema` have none.
#[must_use]
pub fn json_schemas(
    client: &ClientEnum,
    server: &ServerEnum,
    error: &ErrorEnum,
) -> BTreeMap<String, Schema> {
    let mut schemas = BTreeMap::new();
    let mut add = |side: &str, name: &str, describe: Option<Describe>| {
        let settings = SchemaSettings::draft2020_12();
        let settings = match side {
            "client" => settings.for_deserialize(),
            _ => settings.for_serialize(),
        };
        if let Some(describe) = describe {
            schemas.insert(format!("{side}.{name}"), complete(describe, settings));
        }
    };
    for message in client.messages {
        add("client", message.name, message.json_schema);
        add("reply", message.name, message.reply_json_schema);
    }
    for (side, messages) in [("server", server.messages), ("error", error.messages)] {
        messages.iter().for_each(|message| add(side, message.name, message.json_schema));
    }
    schemas
}

fn complete(describe: Describe, settings: SchemaSettings) -> Schema {
    let mut generator = settings.into_generator();
    let mut schema = describe(&mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".into(), serde_json::Value::Object(definitions));
    }
    if let Some(dialect) = generator.settings().meta_schema.clone() {
        schema.insert("$schema".into(), dialect.into());
    }
    schema
}
