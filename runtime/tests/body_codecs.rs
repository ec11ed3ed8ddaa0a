//! A body is the same value in both codecs, and of the same shape, whatever types it is made of.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use steadfast::protocol::{decode_body, decode_reply, encode_body, encode_reply};
use steadfast::wire::Codec;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cents(i64);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Buy,
    Sell,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Outside {
    Nothing,
    One(Cents),
    Two(u8, String),
    Fields { side: Side, of: Option<Box<Outside>> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Inside {
    Nothing,
    Fields { price: Cents, from: Option<IpAddr>, marks: Vec<u16> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Beside {
    Nothing,
    One(IpAddr),
    Two(i8, bool),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untold {
    Number(i64),
    Text(String),
    Fields { at: IpAddr },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct More {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    letter: char,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Everything {
    small_number: i8,
    large_number: u64,
    negative: i64,
    wide: u128,
    wide_below: i128,
    short: f32,
    long: f64,
    marker: Marker,
    tuple: (bool, Cents, [u8; 3]),
    waits: Duration,
    outside: Outside,
    inside: Inside,
    beside: Beside,
    untold: Vec<Untold>,
    by_name: BTreeMap<String, Option<Cents>>,
    by_side: BTreeMap<Side, u8>,
    #[serde(flatten)]
    more: More,
}

/// What has other keys in the two codecs, and so another shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Numbered {
    by_number: BTreeMap<u32, String>,
    by_below: BTreeMap<i8, ()>,
    widest: u128,
    lowest: i128,
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn cents() -> impl Strategy<Value = Cents> {
    any::<i64>().prop_map(Cents)
}

fn outside() -> impl Strategy<Value = Outside> {
    let leaf = prop_oneof![
        Just(Outside::Nothing),
        cents().prop_map(Outside::One),
        (any::<u8>(), any::<String>()).prop_map(|(a, b)| Outside::Two(a, b)),
    ];
    leaf.prop_recursive(4, 8, 1, |of| {
        (side(), option::of(of))
            .prop_map(|(side, of)| Outside::Fields { side, of: of.map(Box::new) })
    })
}

fn inside() -> impl Strategy<Value = Inside> {
    let fields = (cents(), option::of(any::<IpAddr>()), vec(any::<u16>(), 0..20));
    prop_oneof![
        Just(Inside::Nothing),
        fields.prop_map(|(price, from, marks)| Inside::Fields { price, from, marks }),
    ]
}

fn beside() -> impl Strategy<Value = Beside> {
    prop_oneof![
        Just(Beside::Nothing),
        any::<IpAddr>().prop_map(Beside::One),
        any::<(i8, bool)>().prop_map(|(a, b)| Beside::Two(a, b)),
    ]
}

fn untold() -> impl Strategy<Value = Untold> {
    prop_oneof![
        any::<i64>().prop_map(Untold::Number),
        any::<String>().prop_map(Untold::Text),
        any::<IpAddr>().prop_map(|at| Untold::Fields { at }),
    ]
}

prop_compose! {
    fn everything()(
        (small_number, large_number, negative) in any::<(i8, u64, i64)>(),
        (wide, wide_below) in (any::<u64>(), any::<i64>()),
        // Of these, each codec has every one exactly.
        (short, long) in any::<(i16, i32)>(),
        tuple in (any::<bool>(), cents(), any::<[u8; 3]>()),
        waits in any::<Duration>(),
        (outside, inside, beside) in (outside(), inside(), beside()),
        untold in vec(untold(), 0..20),
        by_name in btree_map(any::<String>(), option::of(cents()), 0..20),
        by_side in btree_map(side(), any::<u8>(), 0..3),
        more in (option::of(any::<String>()), any::<char>()),
    ) -> Everything {
        Everything {
            small_number, large_number, negative,
            wide: wide.into(), wide_below: wide_below.into(),
            short: f32::from(short) / 8.0, long: f64::from(long) / 64.0,
            marker: Marker, tuple, waits, outside, inside, beside, untold, by_name, by_side,
            more: More { note: more.0, letter: more.1 },
        }
    }
}

prop_compose! {
    fn numbered()(
        by_number in btree_map(any::<u32>(), any::<String>(), 0..20),
        by_below in btree_map(any::<i8>(), Just(()), 0..20),
        widest in any::<u128>(),
        lowest in any::<i128>(),
    ) -> Numbered {
        Numbered { by_number, by_below, widest, lowest }
    }
}

fn through<T: Serialize + DeserializeOwned>(value: &T, codec: Codec) -> T {
    decode_body(encode_body(value, codec).unwrap().as_bytes(), codec).unwrap()
}

/// What somebody reads who knows no types.
fn shape<T: Serialize>(value: &T, codec: Codec) -> serde_json::Value {
    decode_body(encode_body(value, codec).unwrap().as_bytes(), codec).unwrap()
}

proptest! {
    #[test]
    fn every_type_is_the_same_value_and_the_same_shape_in_both_codecs(value in everything()) {
        for codec in Codec::ALL {
            prop_assert_eq!(&through(&value, codec), &value);
        }
        prop_assert_eq!(shape(&value, Codec::Json), shape(&value, Codec::Binary));
    }

    #[test]
    fn keys_that_are_numbers_and_wide_integers_are_the_same_values(value in numbered()) {
        for codec in Codec::ALL {
            prop_assert_eq!(&through(&value, codec), &value);
        }
    }

    #[test]
    fn a_reply_may_be_any_value(value in option::of(outside())) {
        for codec in Codec::ALL {
            let body = encode_reply(&value, codec).unwrap();
            prop_assert_eq!(decode_reply(body.as_bytes(), codec), Ok(value.clone()));
        }
    }

    #[test]
    fn no_bytes_are_read_as_a_body_that_is_written_otherwise(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(value) = decode_body::<Everything>(&bytes, Codec::Binary) {
            through(&value, Codec::Binary);
        }
        let _ = decode_body::<serde_json::Value>(&bytes, Codec::Binary);
    }
}

#[test]
fn a_message_without_fields_and_a_reply_without_value_read_as_such_in_both_codecs() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ping {}
    for codec in Codec::ALL {
        assert_eq!(encode_body(&Ping {}, codec), Ok(codec.unit()));
        let null = encode_reply(&(), codec).unwrap();
        for body in [codec.unit().as_bytes(), null.as_bytes(), b""] {
            assert_eq!(decode_body(body, codec), Ok(Ping {}), "{body:?}");
            assert_eq!(decode_reply(body, codec), Ok(()), "{body:?}");
        }
        assert!(encode_body(&7, codec).is_err(), "no map of fields");
    }
    for body in [&b"\x91\x80"[..], b"\x07", b"\x80\x80", b"{}"] {
        assert!(decode_body::<Ping>(body, Codec::Binary).is_err(), "{body:?}");
    }
}

#[test]
fn a_number_that_json_does_not_have_is_refused_there_alone() {
    let mut value = BTreeMap::from([("by", f64::NAN)]);
    assert!(encode_body(&value, Codec::Json).is_err());
    let body = encode_body(&value, Codec::Binary).unwrap();
    let read: BTreeMap<String, f64> = decode_body(body.as_bytes(), Codec::Binary).unwrap();
    assert!(read["by"].is_nan());
    value.insert("by", 1.0);
    assert!(encode_body(&value, Codec::Json).is_ok());
}
