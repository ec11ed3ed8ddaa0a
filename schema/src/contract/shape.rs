//! What a JSON Schema says of a value, as facts. What schemars writes for people (titles, examples,
//! the way in which it writes the same thing) makes no fact, so that a contract stays as it is when
//! they change.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::facts::{Facts, escape};
use crate::Describe;

/// Says nothing of what travels.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Has a line of its own shape, below.
const STRUCTURE: &[&str] = &[
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "format",
    "items",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
];

/// What may be written at `at`, as a reader takes it. Types are written out, since their names do
/// not travel; one that holds itself is named once.
pub(super) fn describe(facts: &mut Facts, at: &str, describe: Describe) {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut generator =
        settings.with(|settings| settings.inline_subschemas = true).into_generator();
    let schema = describe(&mut generator);
    value(facts, at, schema.as_value());
    for (name, schema) in generator.take_definitions(false) {
        value(facts, &format!("type {}", escape(&name)), &schema);
    }
}

fn value(facts: &mut Facts, at: &str, schema: &Value) {
    match schema {
        Value::Object(schema) => object_schema(facts, at, schema),
        Value::Bool(true) => facts.say(at.to_owned(), "any"),
        _ => facts.say(at.to_owned(), "nothing"),
    }
}

fn object_schema(facts: &mut Facts, at: &str, schema: &Map<String, Value>) {
    let (choices, nullable) = choices(schema);
    // `Option<T>` is written as `T` or null, in one of two ways.
    if let ([only], true) = (choices.as_slice(), nullable) {
        value(facts, at, only);
        facts.say(format!("{at} nullable"), "");
        return;
    }
    let kind = kind(schema);
    let listed = values(facts, at, schema);
    let text = match &kind {
        // Whether its values are listed or described one by one is up to their documentation.
        _ if listed || !choices.is_empty() => "one of",
        Some(kind) => &kind.text,
        None => "any",
    };
    facts.say(at.to_owned(), text);
    if nullable || kind.as_ref().is_some_and(|kind| kind.nullable) {
        facts.say(format!("{at} nullable"), "");
    }
    members(facts, at, schema);
    elements(facts, at, schema);
    for choice in choices {
        alternative(facts, at, choice);
    }
    let bounds = implied(schema.get("format").and_then(Value::as_str));
    for (word, says) in schema {
        let known = [ANNOTATIONS, STRUCTURE].iter().any(|words| words.contains(&word.as_str()));
        let implied = match word.as_str() {
            "minimum" => bounds.0.is_some_and(|min| says.as_i64() == Some(min)),
            "maximum" => bounds.1.is_some_and(|max| says.as_i64() == Some(max)),
            _ => false,
        };
        if !known && !implied {
            facts.say(format!("{at} {}", escape(word)), canonical(says));
        }
    }
}

/// The least and the greatest value of an integer's format.
fn implied(format: Option<&str>) -> (Option<i64>, Option<i64>) {
    match format {
        Some("uint8") => (Some(0), Some(255)),
        Some("uint16") => (Some(0), Some(65_535)),
        Some("int8") => (Some(-128), Some(127)),
        Some("int16") => (Some(-32_768), Some(32_767)),
        Some(unsigned) if unsigned.starts_with("uint") => (Some(0), None),
        _ => (None, None),
    }
}

/// The alternatives beside null, and whether null is one.
fn choices(schema: &Map<String, Value>) -> (Vec<&Value>, bool) {
    let lists = ["oneOf", "anyOf"].iter().filter_map(|word| schema.get(*word)?.as_array());
    let (null, others): (Vec<&Value>, Vec<&Value>) =
        lists.flatten().partition(|choice| choice.get("type").is_some_and(|ty| ty == "null"));
    (others, !null.is_empty())
}

struct Kind {
    text: String,
    nullable: bool,
}

fn kind(schema: &Map<String, Value>) -> Option<Kind> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        return Some(Kind { text: format!("type {}", escape(name)), nullable: false });
    }
    let mut types: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    types.sort_unstable();
    let nullable = types.len() > 1 && types.contains(&"null");
    types.retain(|ty| !nullable || *ty != "null");
    let format = schema.get("format").and_then(Value::as_str);
    let text = types.join(" or ") + &format.map(|format| format!(" {format}")).unwrap_or_default();
    Some(Kind { text, nullable })
}

/// The values of an enum; whether it lists any.
fn values(facts: &mut Facts, at: &str, schema: &Map<String, Value>) -> bool {
    let listed = schema.get("enum").and_then(Value::as_array);
    let values: Vec<&Value> = listed.into_iter().flatten().chain(schema.get("const")).collect();
    for value in &values {
        // Of an `Option` of an enum.
        match value.is_null() && values.len() > 1 {
            true => facts.say(format!("{at} nullable"), ""),
            false => facts.say(format!("{at} value {}", canonical(value)), ""),
        }
    }
    !values.is_empty()
}

fn members(facts: &mut Facts, at: &str, schema: &Map<String, Value>) {
    let required = |name: &str| {
        let required = schema.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|it| it == name))
    };
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let at = format!("{at}.{}", escape(name));
        value(facts, &at, schema);
        if !required(name) {
            facts.say(format!("{at} optional"), "");
        }
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) if !schema.contains_key("patternProperties") => {
            facts.say(format!("{at} closed"), "");
        }
        None | Some(Value::Bool(_)) => {}
        Some(others) => value(facts, &format!("{at}{{}}"), others),
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    for (pattern, others) in patterns.into_iter().flatten() {
        value(facts, &format!("{at}{{{}}}", escape(pattern)), others);
    }
}

fn elements(facts: &mut Facts, at: &str, schema: &Map<String, Value>) {
    if let Some(items) = schema.get("items").filter(|items| **items != Value::Bool(false)) {
        value(facts, &format!("{at}[]"), items);
    }
    let places = schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
    for (index, schema) in places.enumerate() {
        value(facts, &format!("{at}[{index}]"), schema);
    }
}

/// One of several shapes. It goes by what tells it from the others: its only member, or its tag.
fn alternative(facts: &mut Facts, at: &str, schema: &Value) {
    let Some(object) = schema.as_object() else { return value(facts, &format!("{at}|"), schema) };
    let properties = object.get("properties").and_then(Value::as_object);
    let tags = properties.into_iter().flatten().filter_map(|(name, schema)| {
        let tag = schema.get("const")?.as_str()?;
        Some(format!("{}={}", escape(name), escape(tag)))
    });
    // Members may come in any order.
    let tag = tags.min();
    let only = properties.filter(|members| members.len() == 1);
    let only = only.and_then(|members| members.keys().next()).map(|name| escape(name));
    if object.contains_key("const") || object.contains_key("enum") {
        // A unit variant, documented or not: only the value travels.
        values(facts, at, object);
        return;
    }
    match tag.or(only).or_else(|| kind(object).map(|kind| kind.text)) {
        Some(name) => value(facts, &format!("{at}|{name}"), schema),
        None => facts.say(format!("{at} or {}", escape(&canonical(schema))), ""),
    }
}

/// JSON without annotations, with its members in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut kept: Vec<(&String, &Value)> =
                members.iter().filter(|(name, _)| !ANNOTATIONS.contains(&name.as_str())).collect();
            kept.sort_unstable_by_key(|(name, _)| *name);
            let each = kept.into_iter().map(|(name, value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            });
            format!("{{{}}}", each.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let each: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", each.join(","))
        }
        other => other.to_string(),
    }
}
