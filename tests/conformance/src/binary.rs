//! Binary frames (PROTOCOL.md 3.8, 3.9), translated from and to the JSON frames that the cases
//! speak of. It is written from the specification alone, and takes nothing that this does not
//! allow.

use serde_json::{Map, Number, Value, json};

use crate::case::Broken;
use crate::frame::{LARGEST, Sender, layout};

/// The subprotocol of these frames (2.1).
pub(crate) const SUBPROTOCOL: &str = "steadfast.v1.bin";

/// A frame as bytes; `None` if it can't be one.
pub(crate) fn encode(frame: &Value, sender: Sender) -> Option<Vec<u8>> {
    let (kind, elements) = frame.as_array()?.split_first()?;
    let kind = u8::try_from(kind.as_u64()?).ok()?;
    let mut out = vec![kind];
    let Some(layout) = layout(kind.into(), sender) else {
        elements.iter().for_each(|element| pack(element, &mut out));
        return (kind >= 128).then_some(out);
    };
    if layout.len() != elements.len() {
        return None;
    }
    for (part, element) in layout.chars().zip(elements) {
        match part {
            'i' | 'd' => varint(element.as_u64()?, &mut out),
            'n' | 'm' | 's' => {
                let text = element.as_str()?;
                varint(text.len() as u64, &mut out);
                out.extend(text.as_bytes());
            }
            _ => pack(element, &mut out),
        }
    }
    Some(out)
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A value as MessagePack, with the longest formats, which a receiver has to take as well.
pub(crate) fn pack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(0xc2 + u8::from(*value)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => tagged(0xcf, &number.to_be_bytes(), out),
            (None, Some(number)) => tagged(0xd3, &number.to_be_bytes(), out),
            _ => tagged(0xcb, &number.as_f64().unwrap_or_default().to_be_bytes(), out),
        },
        Value::String(text) => {
            tagged(0xdb, &(text.len() as u32).to_be_bytes(), out);
            out.extend(text.as_bytes());
        }
        Value::Array(list) => {
            tagged(0xdd, &(list.len() as u32).to_be_bytes(), out);
            list.iter().for_each(|value| pack(value, out));
        }
        Value::Object(members) => {
            tagged(0xdf, &(members.len() as u32).to_be_bytes(), out);
            for (name, value) in members {
                pack(&json!(name), out);
                pack(value, out);
            }
        }
    }
}

fn tagged(marker: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend(bytes);
}

/// What is left of a message.
struct Rest<'a>(&'a [u8]);

/// Reads a message, and checks it as far as its codec goes. With it come the bytes of its last
/// element, which is its body where it has one.
///
/// # Errors
/// Which clause it breaks.
pub(crate) fn decode(message: &[u8], sender: Sender) -> Result<(Value, usize), Broken> {
    let broken = |what: &str| Broken { clause: "3.8", what: format!("{what}: {message:02x?}") };
    let mut rest = Rest(message);
    let kind = rest.byte().ok_or_else(|| broken("a message without a kind"))?;
    let layout = match layout(kind.into(), sender) {
        Some(layout) => layout,
        None if kind >= 128 => return Ok((json!([kind]), 0)),
        None => {
            let what = "a kind that this end does not send".into();
            return Err(Broken { clause: "3.6", what });
        }
    };
    let (mut frame, mut last) = (vec![json!(kind)], 0);
    for part in layout.chars() {
        last = rest.0.len();
        let element = match part {
            'i' | 'd' => rest.number().map(Value::from).ok_or_else(|| broken("not a varint"))?,
            'n' | 'm' | 's' => {
                let text = rest.number().and_then(|length| rest.text(length));
                text.map(Value::from).ok_or_else(|| broken("not a string"))?
            }
            _ => {
                let clause = if part == 'o' { "3.8" } else { "3.9" };
                let value = rest.value(0).filter(|_| rest.0.is_empty());
                value.ok_or_else(|| Broken {
                    clause,
                    what: format!("not one whole MessagePack value: {message:02x?}"),
                })?
            }
        };
        frame.push(element);
    }
    if rest.0.is_empty() {
        Ok((frame.into(), last))
    } else {
        Err(broken("something behind a frame"))
    }
}

impl<'a> Rest<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// A varint, as short as it can be.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..8 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return (number <= LARGEST && (byte > 0 || place == 0)).then_some(number);
            }
        }
        None
    }

    fn text(&mut self, length: u64) -> Option<String> {
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn wide(&mut self, bytes: u64) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A value of those that the application of ADAPTER.md uses.
    fn value(&mut self, depth: u8) -> Option<Value> {
        let marker = self.byte().filter(|_| depth < 100)?;
        Some(match marker {
            0x00..=0x7f => json!(marker),
            0xe0..=0xff => json!(marker.cast_signed()),
            0xc0 => Value::Null,
            0xc2 | 0xc3 => json!(marker == 0xc3),
            0xcc..=0xcf => json!(self.wide(1 << (marker - 0xcc))?),
            0xd0 => json!((self.wide(1)? as u8).cast_signed()),
            0xd1 => json!((self.wide(2)? as u16).cast_signed()),
            0xd2 => json!((self.wide(4)? as u32).cast_signed()),
            0xd3 => json!(self.wide(8)?.cast_signed()),
            0xca => Number::from_f64(f32::from_bits(self.wide(4)? as u32).into())?.into(),
            0xcb => Number::from_f64(f64::from_bits(self.wide(8)?))?.into(),
            0xa0..=0xbf => self.text(u64::from(marker & 0x1f))?.into(),
            0xd9..=0xdb => {
                let length = self.wide(1 << (marker - 0xd9))?;
                self.text(length)?.into()
            }
            0x90..=0x9f => self.list(u64::from(marker & 0x0f), depth)?,
            0xdc | 0xdd => {
                let length = self.wide(2 << (marker - 0xdc))?;
                self.list(length, depth)?
            }
            0x80..=0x8f => self.map(u64::from(marker & 0x0f), depth)?,
            0xde | 0xdf => {
                let length = self.wide(2 << (marker - 0xde))?;
                self.map(length, depth)?
            }
            _ => return None,
        })
    }

    fn list(&mut self, length: u64, depth: u8) -> Option<Value> {
        (0..length).map(|_| self.value(depth + 1)).collect()
    }

    fn map(&mut self, length: u64, depth: u8) -> Option<Value> {
        let mut members = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value(depth + 1)? else { return None };
            members.insert(name, self.value(depth + 1)?);
        }
        Some(members.into())
    }
}
