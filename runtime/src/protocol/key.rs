//! The text of a topic's key, and the key of a text: one of each (PROTOCOL.md 7.1); and in the same
//! way the text of a message's id (5.20). What a topic holds, or an id stands for, is elsewhere.

use std::fmt::{self, Display};
use std::io;

use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserializer, Serialize, de::DeserializeOwned, forward_to_deserialize_any};

use super::body::{DecodeError, EncodeError};
use super::finite;

/// A topic key's text: a string as it is, anything else as compact JSON.
///
/// # Errors
/// When `Serialize` fails, or the text reads back as another key: with an untagged enum of a number
/// and a string, the number 7 would be taken for the string "7". Keys with an order of their own
/// (maps, sets) need a sorted type, or they read back differently.
pub fn topic_key<K: Serialize + DeserializeOwned>(key: &K) -> Result<String, EncodeError> {
    let json = finite::to_string(key)?;
    let string =
        json.starts_with('"').then(|| serde_json::from_str::<String>(&json)).transpose()?;
    let text = string.as_ref().unwrap_or(&json);
    match read::<K>(text) {
        Ok(same) if is_written(&same, &json) => Ok(string.unwrap_or(json)),
        Ok(other) => Err(EncodeError::new(format!(
            "as a key, `{text}` means {} and not {json}",
            finite::to_string(&other)?
        ))),
        Err(error) => Err(EncodeError::new(format!("as a key, `{text}` {error}"))),
    }
}

/// A message id's text, as a topic key would have it.
///
/// # Errors
/// Those of [`topic_key`], and for a value that is no id: `null`, which messages of all kinds would
/// share.
pub fn id_text<K: Serialize + DeserializeOwned>(id: &K) -> Result<String, EncodeError> {
    let text = topic_key(id)?;
    if text == "null" && finite::to_string(id)? == text {
        return Err(EncodeError::new("has no id"));
    }
    Ok(text)
}

/// Reads a topic key: as a string if the type takes one, else as JSON.
///
/// # Errors
/// When it is neither, or is not what [`topic_key`] writes for the key: a topic has one name.
pub fn decode_topic_key<K: Serialize + DeserializeOwned>(text: &str) -> Result<K, DecodeError> {
    let key = read(text)?;
    let same = match text.starts_with('"') {
        false if is_written(&key, text) => true,
        _ => is_written(&key, &quoted(text)?),
    };
    if same { Ok(key) } else { Err(DecodeError::new("it is not how this key is written")) }
}

fn read<K: DeserializeOwned>(text: &str) -> Result<K, DecodeError> {
    match K::deserialize(Text(text)) {
        Ok(key) => Ok(key),
        Err(NoString) => Ok(serde_json::from_str(text)?),
    }
}

fn quoted(text: &str) -> Result<String, DecodeError> {
    let mut json = Vec::with_capacity(text.len() + 2);
    serde_json::to_writer(&mut json, text)?;
    String::from_utf8(json).map_err(|error| DecodeError::new(error.to_string()))
}

/// Whether this is the JSON of a key.
fn is_written(key: &impl Serialize, json: &str) -> bool {
    let mut rest = Expected(json.as_bytes());
    finite::to_writer(&mut rest, key).is_ok() && rest.0.is_empty()
}

/// Takes what it expects, and fails at anything else.
struct Expected<'t>(&'t [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A text, for types that take a string: a string, a newtype of one, a unit variant.
struct Text<'t>(&'t str);

/// The type takes no string, or not this one.
#[derive(Debug)]
struct NoString;

impl Display for NoString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a string")
    }
}

impl std::error::Error for NoString {}

impl de::Error for NoString {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = NoString;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoString> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoString> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NoString> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoString> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct RoomId(u64);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Symbol(String);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Side {
        Buy,
        At(u8),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair {
        base: String,
        lot: u32,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Num(u64),
        Str(String),
    }

    fn survives<K: Serialize + DeserializeOwned + PartialEq + Debug>(key: K, text: &str) {
        assert_eq!(topic_key(&key).as_deref(), Ok(text));
        assert_eq!(decode_topic_key::<K>(text), Ok(key));
    }

    #[test]
    fn keys_survive_their_text() {
        survives(RoomId(7), "7");
        survives(Symbol("A\"B\n\u{1}".into()), "A\"B\n\u{1}");
        survives(Symbol(String::new()), "");
        survives("7".to_owned(), "7");
        survives("\"7\"".to_owned(), "\"7\"");
        survives('c', "c");
        survives(Side::Buy, "Buy");
        survives(Side::At(3), r#"{"At":3}"#);
        survives((Side::Buy, 1.5), r#"["Buy",1.5]"#);
        survives(Some("ann".to_owned()), "ann");
        survives(None::<u8>, "null");
        survives((), "null");
        survives(Pair { base: "x".into(), lot: 3 }, r#"{"base":"x","lot":3}"#);
        survives(Either::Str("7".into()), "7");
    }

    #[test]
    fn an_id_has_the_text_of_a_key_and_null_is_none() {
        assert_eq!(id_text(&RoomId(7)).as_deref(), Ok("7"));
        assert_eq!(id_text(&Some("null".to_owned())).as_deref(), Ok("null"));
        assert!(id_text(&None::<u8>).is_err());
        assert!(id_text(&()).is_err());
    }

    fn has_none<K: Serialize + DeserializeOwned + Debug>(key: K, told: &str) {
        let error = topic_key(&key).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }

    /// Authorization would be asked about the other one.
    #[test]
    fn a_key_whose_text_is_another_ones_is_refused() {
        has_none(Either::Num(7), "`7` means \"7\" and not 7");
        has_none(None::<String>, "`null` means \"null\" and not null");
        has_none(None::<Symbol>, "`null` means \"null\" and not null");
    }

    #[test]
    fn a_key_that_cant_be_read_back_is_refused() {
        #[derive(Debug, Serialize, Deserialize)]
        struct OneWay {
            #[serde(skip_serializing, rename = "in")]
            _inner: u8,
        }
        has_none(OneWay { _inner: 1 }, "missing field `in`");
        has_none(f64::NAN, "JSON has no NaN");
    }

    #[test]
    fn a_text_that_is_not_its_keys_own_is_refused() {
        for text in [" 7", "7 ", "07", "7.0", "+7", "seven", ""] {
            assert!(decode_topic_key::<RoomId>(text).is_err(), "{text:?}");
        }
        for text in [r#""Buy""#, "buy", r#"{"At": 3}"#, r#"{"Buy":null}"#] {
            assert!(decode_topic_key::<Side>(text).is_err(), "{text:?}");
        }
        for text in [r#"{"lot":3,"base":"x"}"#, r#"{"base":"x","lot":3,"more":1}"#, r#"["x",3]"#] {
            assert!(decode_topic_key::<Pair>(text).is_err(), "{text:?}");
        }
    }
}
