//! Values as `serde_json` and `rmp_serde` write them, with what is not the same in the two. In
//! JSON, NaN and the infinities are an error that names the field, where `serde_json` writes
//! `null`. In MessagePack a value has the shape that it has in JSON. It knows nothing of messages.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::io;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::body::EncodeError;

/// Writes a value as JSON.
///
/// # Errors
/// When `Serialize` fails, or there is a number in it that is not finite.
pub(super) fn to_writer(
    out: impl io::Write,
    value: &(impl Serialize + ?Sized),
) -> Result<(), EncodeError> {
    let fault = Fault::default();
    let written = value.serialize(Finite { to: &mut json(out), fault: &fault });
    written.map_err(|error| fault.explain(&error))
}

/// Writes a value as MessagePack, structs with the names of their fields. What differs for people
/// is written as for people, as it is in JSON: ids and addresses as text.
///
/// # Errors
/// When `Serialize` fails.
pub(super) fn to_message_pack(
    out: impl io::Write,
    value: &(impl Serialize + ?Sized),
) -> Result<(), EncodeError> {
    let fault = Fault { allowed: true, ..Fault::default() };
    let mut to = rmp_serde::Serializer::new(out).with_struct_map().with_human_readable();
    value
        .serialize(Finite { to: &mut to, fault: &fault })
        .map_err(|error| EncodeError::new(error.to_string()))
}

/// The same, as a string.
///
/// # Errors
/// See [`to_writer`].
pub(super) fn to_string(value: &(impl Serialize + ?Sized)) -> Result<String, EncodeError> {
    let mut out = Vec::with_capacity(128);
    to_writer(&mut out, value)?;
    String::from_utf8(out).map_err(|error| EncodeError::new(error.to_string()))
}

fn json<W: io::Write>(out: W) -> serde_json::Serializer<W> {
    serde_json::Serializer::new(out)
}

/// The number that JSON does not have, and the way to it. Both are written when it is met: a value
/// without one pays a comparison for each of its floating-point numbers.
#[derive(Default)]
struct Fault {
    /// MessagePack has such numbers.
    allowed: bool,
    number: Cell<Option<f64>>,
    /// From within.
    way: RefCell<Vec<String>>,
}

impl Fault {
    /// On the way out from where it was met: it was in there.
    fn within<T, E>(&self, result: Result<T, E>, name: impl FnOnce() -> String) -> Result<T, E> {
        if result.is_err() && self.number.get().is_some() {
            self.way.borrow_mut().push(name());
        }
        result
    }

    fn explain(&self, error: &serde_json::Error) -> EncodeError {
        let Some(number) = self.number.get() else { return EncodeError::new(error.to_string()) };
        let mut field = String::new();
        for name in self.way.borrow().iter().rev() {
            if !(field.is_empty() || name.starts_with('[')) {
                field.push('.');
            }
            field.push_str(name);
        }
        if field.is_empty() {
            return EncodeError::new(format!("JSON has no {number}"));
        }
        EncodeError::new(format!("`{field}` is {number}, and JSON has no such number"))
    }
}

/// A serializer, and what else it refuses.
struct Finite<'f, S> {
    to: S,
    fault: &'f Fault,
}

/// A part of a value, for a serializer of the same kind.
struct Part<'f, T: ?Sized> {
    value: &'f T,
    fault: &'f Fault,
}

impl<T: Serialize + ?Sized> Serialize for Part<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Finite { to, fault: self.fault })
    }
}

impl<'f, S: Serializer> Finite<'f, S> {
    const fn part<'p, T: ?Sized>(&self, value: &'p T) -> Part<'p, T>
    where
        'f: 'p,
    {
        Part { value, fault: self.fault }
    }

    #[cold]
    fn refuse(&self, number: f64) -> Result<S::Ok, S::Error> {
        self.fault.number.set(Some(number));
        Err(Error::custom("not a number that JSON has"))
    }
}

/// Methods that pass a plain value on.
macro_rules! pass_on {
    ($($method:ident($kind:ty)),* $(,)?) => {
        $(
            fn $method(self, value: $kind) -> Result<S::Ok, S::Error> {
                self.to.$method(value)
            }
        )*
    };
}

/// Methods that begin something with parts.
macro_rules! begin {
    ($($method:ident($($arg:ident: $kind:ty),*) -> $part:ident),* $(,)?) => {
        $(
            type $part = Finite<'f, S::$part>;
            fn $method(self, $($arg: $kind),*) -> Result<Self::$part, S::Error> {
                Ok(Finite { to: self.to.$method($($arg),*)?, fault: self.fault })
            }
        )*
    };
}

impl<'f, S: Serializer> Serializer for Finite<'f, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    pass_on! {
        serialize_bool(bool), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
    }

    // MessagePack has no longer integers: what needs more than 64 bits is written as bytes.

    fn serialize_i128(self, value: i128) -> Result<S::Ok, S::Error> {
        match i64::try_from(value) {
            Ok(value) => self.to.serialize_i64(value),
            Err(_) => self.to.serialize_i128(value),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<S::Ok, S::Error> {
        match u64::try_from(value) {
            Ok(value) => self.to.serialize_u64(value),
            Err(_) => self.to.serialize_u128(value),
        }
    }

    /// As JSON has it; `rmp_serde` would write an array.
    fn serialize_unit_struct(self, _: &'static str) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit()
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        match value.is_finite() || self.fault.allowed {
            true => self.to.serialize_f32(value),
            false => self.refuse(value.into()),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        match value.is_finite() || self.fault.allowed {
            true => self.to.serialize_f64(value),
            false => self.refuse(value),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.to.serialize_some(&part)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.to.serialize_newtype_struct(name, &part)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.to.serialize_newtype_variant(name, index, variant, &part)
    }

    begin! {
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeTupleVariant,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> SerializeStructVariant,
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.to.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

/// Parts that have no names.
macro_rules! elements {
    ($($part:ident $method:ident),* $(,)?) => {
        $(
            impl<S: $part> $part for Finite<'_, S> {
                type Ok = S::Ok;
                type Error = S::Error;

                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                    let part = Part { value, fault: self.fault };
                    self.fault.within(self.to.$method(&part), || "[]".to_owned())
                }

                fn end(self) -> Result<S::Ok, S::Error> {
                    self.to.end()
                }
            }
        )*
    };
}

elements! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

/// Parts that have names.
macro_rules! fields {
    ($($part:ident),* $(,)?) => {
        $(
            impl<S: $part> $part for Finite<'_, S> {
                type Ok = S::Ok;
                type Error = S::Error;

                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    key: &'static str,
                    value: &T,
                ) -> Result<(), S::Error> {
                    let part = Part { value, fault: self.fault };
                    self.fault.within(self.to.serialize_field(key, &part), || key.to_owned())
                }

                fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                    self.to.skip_field(key)
                }

                fn end(self) -> Result<S::Ok, S::Error> {
                    self.to.end()
                }
            }
        )*
    };
}

fields! { SerializeStruct, SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Finite<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.to.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let part = Part { value, fault: self.fault };
        self.fault.within(self.to.serialize_value(&part), || "[]".to_owned())
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        let part = Part { value, fault: self.fault };
        self.fault.within(self.to.serialize_entry(key, &part), || {
            let json = serde_json::to_string(key).unwrap_or_default();
            json.trim_matches('"').to_owned()
        })
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.to.end()
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("number", &self.number.get()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Place {
        x: f64,
        y: f32,
    }

    #[derive(Serialize)]
    enum Shape {
        Dot(Place),
        Line { from: Place, to: Option<Place> },
        Many(Vec<Place>, u8),
        Nothing,
    }

    #[derive(Serialize)]
    struct Board {
        shapes: Vec<Shape>,
        #[serde(flatten)]
        more: BTreeMap<String, (u8, f64)>,
    }

    const HERE: Place = Place { x: 1.5, y: -0.0 };

    fn board(shape: Shape, size: f64) -> Board {
        let more = BTreeMap::from([("size".to_owned(), (1, size))]);
        Board { shapes: vec![Shape::Nothing, shape], more }
    }

    #[test]
    fn finite_numbers_are_written_as_serde_json_writes_them() {
        for shape in [
            Shape::Dot(HERE),
            Shape::Line { from: HERE, to: None },
            Shape::Line { from: HERE, to: Some(Place { x: f64::MAX, y: f32::MIN_POSITIVE }) },
            Shape::Many(vec![HERE, HERE], 7),
        ] {
            let board = board(shape, 2.0);
            assert_eq!(to_string(&board).unwrap(), serde_json::to_string(&board).unwrap());
        }
        let mixed = (u128::MAX, i64::MIN, 'c', "a\"b", Some(()), BTreeMap::from([(7, [1u8; 2])]));
        assert_eq!(to_string(&mixed).unwrap(), serde_json::to_string(&mixed).unwrap());
    }

    #[test]
    fn what_is_not_finite_is_named_by_its_field() {
        let nowhere = || Place { x: 0.0, y: f32::NEG_INFINITY };
        for (board, told) in [
            (board(Shape::Dot(nowhere()), 0.0), "`shapes[].y` is -inf"),
            (
                board(Shape::Line { from: HERE, to: Some(nowhere()) }, 0.0),
                "`shapes[].to.y` is -inf",
            ),
            (board(Shape::Many(vec![nowhere()], 0), 0.0), "`shapes[][][].y` is -inf"),
            (board(Shape::Nothing, f64::NAN), "`size[]` is NaN"),
        ] {
            let error = to_string(&board).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let bare = to_string(&f64::INFINITY).unwrap_err().to_string();
        assert_eq!(bare, "can't be encoded: JSON has no inf");
    }

    #[test]
    fn another_error_is_told_as_it_came() {
        let keyed = BTreeMap::from([((1, 2), 3.0)]);
        let told = serde_json::to_string(&keyed).unwrap_err().to_string();
        assert_eq!(to_string(&keyed).unwrap_err(), EncodeError::new(told));
    }
}
