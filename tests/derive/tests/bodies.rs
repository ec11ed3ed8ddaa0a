//! Bodies held against serde's own: what a message's struct is written as is what serde_json writes
//! for the variant, attribute by attribute, and both codecs read it back.
#![allow(missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use steadfast::private::{Codec, decode_body, encode_body};
use steadfast::protocol::{Message, ServerEnum};
use steadfast::{UnknownMessage, WsProtocol};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inner {
    some_count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    some_note: Option<String>,
}

/// What a message's own fields may not be: flattened, and skipped. A struct of the application's may.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flat {
    id: u32,
    #[serde(flatten)]
    inner: Inner,
    #[serde(skip)]
    never: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlatEnum {
    #[serde(flatten)]
    internal: Internal,
    id: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Red,
    Green,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum External {
    Unit,
    Newtype(i64),
    Tuple(u8, String),
    #[serde(rename = "named")]
    Struct {
        at: f64,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Internal {
    Empty,
    Full { some_inner: Inner },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub enum Adjacent {
    Empty,
    Pair(bool, char),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Number(i64),
    Text(String),
    Inner(Inner),
}

/// Bytes as serde knows them.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Either).map(Raw)
    }
}

mod hex {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom);
        (0..text.len()).step_by(2).map(byte).collect()
    }
}

fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

const fn seven() -> u8 {
    7
}

/// serde writes `{"message": .., "body": ..}`, whose parts ours are held against.
#[derive(Debug, Clone, PartialEq, WsProtocol, Serialize, Deserialize)]
#[serde(tag = "message", content = "body")]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
#[ws(server, protocol = "bodies")]
pub enum BodyEvent {
    #[ws(direct)]
    Numbers { a_long: i64, an_unsigned: u64, small: i8, yes: bool, single: f32, double: f64 },
    #[ws(direct)]
    Huge { signed: i128, unsigned: u128 },
    #[ws(direct)]
    Texts { letter: char, text: String, raw: Raw, boxed: Box<str> },
    #[ws(direct)]
    #[serde(rename = "called.otherwise", alias = "older", alias = "oldest")]
    Named {
        #[serde(rename = "type", alias = "kind", alias = "sort")]
        what: String,
        two_words: u8,
    },
    #[ws(direct)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    Loud { two_words: u8, r#match: u8 },
    #[ws(direct)]
    Defaults {
        #[serde(default)]
        absent: u32,
        #[serde(default = "seven")]
        seven: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        list: Vec<u8>,
        maybe: Option<Inner>,
    },
    #[ws(direct)]
    Flat(Flat),
    #[ws(direct)]
    FlatEnum(FlatEnum),
    #[ws(direct)]
    With {
        #[serde(with = "hex")]
        bytes: Vec<u8>,
        #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
        number: u64,
    },
    #[ws(direct)]
    Inner(Inner),
    #[ws(direct)]
    Maps {
        by_text: BTreeMap<String, Option<i64>>,
        by_number: BTreeMap<i32, String>,
        by_letter: BTreeMap<char, u8>,
        by_colour: BTreeMap<Colour, bool>,
    },
    #[ws(direct)]
    Enums { external: Vec<External>, internal: Internal, adjacent: Adjacent, untagged: Untagged },
    #[ws(direct)]
    Lists {
        pair: (u8, String),
        three: [i16; 3],
        maybe: Vec<Option<f64>>,
        unit: (),
        nested: Vec<Vec<u8>>,
    },
    #[ws(direct)]
    Std { wait: Duration, address: IpAddr, range: std::ops::Range<u8>, result: Result<u8, String> },
    #[ws(direct)]
    Nothing {},
    #[ws(unknown)]
    #[serde(skip)]
    Unknown(UnknownMessage),
}

/// What serde_json makes of the variant: its name, and the text of its content.
fn serdes_own(event: &BodyEvent) -> (String, String) {
    let whole = serde_json::to_string(event).expect("serde_json can write it");
    let name = whole.strip_prefix(r#"{"message":""#).expect("the tag comes first");
    let (name, body) = name.split_once(r#"","body":"#).expect("the content comes next");
    (name.to_owned(), body.strip_suffix('}').expect("and nothing after it").to_owned())
}

/// A value in MessagePack as what it is in JSON; bytes as the list that they are there.
fn shape(body: &[u8]) -> Value {
    decode_body::<Value>(body, Codec::Binary).expect("it is a map of values")
}

fn is_as_serde_says<M>(message: M) -> Result<(), TestCaseError>
where
    M: Message + Clone + Debug + Into<BodyEvent>,
{
    let event: BodyEvent = message.clone().into();
    let (name, text) = serdes_own(&event);
    prop_assert_eq!(M::NAME, name);
    let body = encode_body(&message, Codec::Json).expect("it can be encoded");
    prop_assert_eq!(std::str::from_utf8(body.as_bytes()).expect("JSON is text"), &text);
    let read = BodyEvent::decode(M::NAME, body.as_bytes(), Codec::Json);
    prop_assert_eq!(&read, &event, "read from {}", text);
    let body = encode_body(&message, Codec::Binary).expect("it can be encoded");
    let read = BodyEvent::decode(M::NAME, body.as_bytes(), Codec::Binary);
    prop_assert_eq!(&read, &event, "read from MessagePack, of {}", text);
    Ok(())
}

/// As [`is_as_serde_says`], of what JSON and MessagePack have both: the values are the same.
fn is_alike_in_both<M>(message: M) -> Result<(), TestCaseError>
where
    M: Message + Clone + Debug + Into<BodyEvent>,
{
    let json: Value = serde_json::from_str(&serdes_own(&message.clone().into()).1).expect("JSON");
    let body = encode_body(&message, Codec::Binary).expect("it can be encoded");
    prop_assert_eq!(shape(body.as_bytes()), json);
    is_as_serde_says(message)
}

fn inner() -> impl Strategy<Value = Inner> {
    (any::<u32>(), option::of(any::<String>()))
        .prop_map(|(some_count, some_note)| Inner { some_count, some_note })
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no other ones", |number| number.is_finite()),
        (-1_000_000_i64..1_000_000, 0_i32..8)
            .prop_map(|(digits, places)| digits as f64 / 10_f64.powi(places)),
        Just(-0.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
    ]
}

fn edge() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just((1 << 53) + 1), -130_i64..130]
}

fn external() -> impl Strategy<Value = External> {
    prop_oneof![
        Just(External::Unit),
        edge().prop_map(External::Newtype),
        any::<(u8, String)>().prop_map(|(number, text)| External::Tuple(number, text)),
        finite().prop_map(|at| External::Struct { at }),
    ]
}

fn internal() -> impl Strategy<Value = Internal> {
    prop_oneof![Just(Internal::Empty), inner().prop_map(|some_inner| Internal::Full { some_inner }),]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        Just(Adjacent::Empty),
        any::<(bool, char)>().prop_map(|(yes, letter)| Adjacent::Pair(yes, letter)),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        edge().prop_map(Untagged::Number),
        any::<String>().prop_map(Untagged::Text),
        inner().prop_map(Untagged::Inner),
    ]
}

fn few<T: Strategy>(of: T) -> impl Strategy<Value = Vec<T::Value>>
where
    T::Value: Debug,
{
    vec(of, 0..4)
}

proptest! {
    #[test]
    fn numbers(
        (a_long, double) in (edge(), finite()),
        (an_unsigned, small, yes) in (any::<u64>(), any::<i8>(), any::<bool>()),
        single in any::<f32>().prop_filter("as above", |number| number.is_finite()),
    ) {
        is_as_serde_says(BodyEventNumbers { a_long, an_unsigned, small, yes, single, double })?;
    }

    #[test]
    fn numbers_beyond_64_bits(signed in any::<i128>(), unsigned in any::<u128>()) {
        is_as_serde_says(BodyEventHuge { signed, unsigned })?;
        let (signed, unsigned) = (i128::from(signed as i64), u128::from(unsigned as u64));
        is_as_serde_says(BodyEventHuge { signed, unsigned })?;
    }

    #[test]
    fn texts_and_bytes(
        (letter, text) in any::<(char, String)>(),
        raw in few(any::<u8>()),
        boxed in "\\PC*|[\u{0}-\u{1f}\"\\\\\u{2028}\u{fffe}]*",
    ) {
        let boxed = boxed.into_boxed_str();
        is_as_serde_says(BodyEventTexts { letter, text, raw: Raw(raw), boxed })?;
    }

    #[test]
    fn names(what in any::<String>(), two_words in any::<u8>(), kind in 0..2_usize) {
        is_alike_in_both(BodyEventNamed { what: what.clone(), two_words })?;
        is_alike_in_both(BodyEventLoud { two_words, r#match: two_words })?;
        // Older names are read, of the message and of the field.
        let (message, field) = (["older", "oldest"][kind], ["kind", "sort"][kind]);
        let older = serde_json::json!({ field: what, "twoWords": two_words });
        let expected = BodyEvent::Named { what, two_words };
        for codec in Codec::ALL {
            let body = encode_body(&older, codec).unwrap();
            prop_assert_eq!(BodyEvent::decode(message, body.as_bytes(), codec), expected.clone());
        }
    }

    #[test]
    fn what_may_be_absent(
        (absent, seven) in any::<(u32, u8)>(),
        note in option::of(any::<String>()),
        list in few(any::<u8>()),
        maybe in option::of(inner()),
    ) {
        let some = BodyEventDefaults { absent, seven, note, list, maybe: maybe.clone() };
        is_alike_in_both(some)?;
        for codec in Codec::ALL {
            let body = encode_body(&serde_json::json!({ "maybe": maybe.clone() }), codec).unwrap();
            let read = BodyEvent::decode("defaults", body.as_bytes(), codec);
            let (note, list, maybe) = (None, Vec::new(), maybe.clone());
            let expected = BodyEvent::Defaults { absent: 0, seven: 7, note, list, maybe };
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn what_is_flattened(
        id in any::<u32>(),
        inner in inner(),
        internal in internal(),
        rest in btree_map("x[a-z]{0,3}", edge(), 0..4),
    ) {
        is_alike_in_both(Flat { id, inner, never: 0, rest })?;
        is_alike_in_both(FlatEnum { internal, id: id as u8 })?;
    }

    #[test]
    fn what_is_written_in_a_way_of_its_own(bytes in few(any::<u8>()), number in any::<u64>()) {
        is_alike_in_both(BodyEventWith { bytes, number })?;
    }

    #[test]
    fn a_struct_of_the_applications_own(inner in inner()) {
        is_alike_in_both(inner)?;
    }

    #[test]
    fn maps(
        by_text in btree_map(any::<String>(), option::of(edge()), 0..4),
        by_number in btree_map(any::<i32>(), any::<String>(), 0..4),
        by_letter in btree_map(any::<char>(), any::<u8>(), 0..4),
        red in option::of(any::<bool>()),
    ) {
        let by_colour = red.into_iter().flat_map(|red| [(Colour::Red, red), (Colour::Green, !red)]);
        let by_colour = by_colour.collect();
        // A key that is a number stays one in MessagePack, and is text in JSON.
        is_as_serde_says(BodyEventMaps { by_text, by_number, by_letter, by_colour })?;
    }

    #[test]
    fn enums(
        external in few(external()),
        (internal, adjacent) in (internal(), adjacent()),
        untagged in untagged(),
    ) {
        is_as_serde_says(BodyEventEnums { external, internal, adjacent, untagged })?;
    }

    #[test]
    fn lists(
        (pair, three) in any::<((u8, String), [i16; 3])>(),
        maybe in few(option::of(finite())),
        nested in few(few(any::<u8>())),
    ) {
        is_as_serde_says(BodyEventLists { pair, three, maybe, unit: (), nested })?;
    }

    #[test]
    fn types_of_the_standard_library(
        (seconds, nanos) in (any::<u64>(), 0..1_000_000_000_u32),
        address in any::<[u8; 16]>(),
        is_short in any::<bool>(),
        (start, end) in any::<(u8, u8)>(),
        result in prop_oneof![any::<u8>().prop_map(Ok), any::<String>().prop_map(Err)],
    ) {
        let address = if is_short {
            IpAddr::from([address[0], address[1], address[2], address[3]])
        } else {
            IpAddr::from(address)
        };
        let wait = Duration::new(seconds, nanos);
        is_alike_in_both(BodyEventStd { wait, address, range: start..end, result })?;
    }
}

#[test]
fn a_message_without_fields_is_an_empty_map() {
    is_alike_in_both(BodyEventNothing {}).unwrap();
}

/// Where we differ from serde_json, which writes `null` and loses the number.
#[test]
fn a_number_that_json_does_not_have_is_refused_there_and_travels_in_messagepack() {
    for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = BodyEventNumbers {
            a_long: 0,
            an_unsigned: 0,
            small: 0,
            yes: true,
            single: 0.0,
            double,
        };
        let error = encode_body(&message, Codec::Json).unwrap_err();
        assert!(error.to_string().contains("double"), "{error}");
        let body = encode_body(&message, Codec::Binary).unwrap();
        let read: BodyEventNumbers = decode_body(body.as_bytes(), Codec::Binary).unwrap();
        assert_eq!(read.double.to_bits(), double.to_bits());
    }
}
