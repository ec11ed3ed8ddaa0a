//! What the members of rare frames' objects are, for serde: numbers, names, words, objects within
//! objects (PROTOCOL.md 3.3). Limits beyond 32 bits are read as the largest one; which members an
//! object has is not said here.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Word;
use super::{MAX_SEQUENCE, Name, ResumeToken, SessionId};

/// An integer in the range of sequences (PROTOCOL.md 1.6).
#[derive(Clone, Copy)]
pub(super) struct Int(pub(super) u64);

impl Int {
    /// As a limit of 32 bits.
    pub(super) fn limit(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Even "for ever" must be a number that the peer can read.
        serializer.serialize_u64(self.0.min(MAX_SEQUENCE))
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            value @ 0..=MAX_SEQUENCE => Ok(Self(value)),
            _ => Err(D::Error::custom("number out of range")),
        }
    }
}

/// An object; serde alone would take an array of the members' values as well, and in MessagePack a
/// member's number for its name.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(Named(map))).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Members whose keys are strings.
struct Named<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(MemberName(seed))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

struct MemberName<K>(K);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberName<K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for MemberName<K> {
    type Value = K::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<K::Value, E> {
        self.0.deserialize(name.into_deserializer())
    }
}

/// A resume token in hexadecimal digits (PROTOCOL.md 1.5).
pub(super) struct Token(pub(super) ResumeToken);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SessionId(self.0.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SessionId::deserialize(deserializer).map(|same_form| Self(ResumeToken(same_form.0)))
    }
}

/// A name (PROTOCOL.md 3.4).
pub(super) struct WireName(pub(super) Name);

impl Serialize for WireName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for WireName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A string with escapes can't be borrowed, and names are written without them.
        let text = <&str>::deserialize(deserializer)?;
        let name = Name::from_bytes(bytes::Bytes::copy_from_slice(text.as_bytes()));
        name.filter(|name| !name.is_empty()).map(Self).ok_or_else(|| D::Error::custom("not a name"))
    }
}

/// A word of `code.rs`.
pub(super) struct Coded<T>(pub(super) T);

impl<T: Word> Serialize for Coded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Word> Deserialize<'de> for Coded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self(T::from_word(&word)))
    }
}
