//! How values of the protocol are written in columns, and read from them. Which columns there are
//! is not said here.

use std::borrow::Cow;

use rusqlite::types::{FromSqlError, FromSqlResult, ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{Error, Row};

use steadfast::session::Now;
use steadfast::session::store::{
    AppendKey, Holder, Outcome, Publication, Retention, StoreTime, TopicId,
};
use steadfast::wire::{Body, Codec, Dial, FailureCode, InstanceId, LeaseId, Name};

/// What SQLite gives.
pub(crate) type Sql<T> = rusqlite::Result<T>;

/// A number that may have all of its 64 bits.
pub(crate) const fn bits(number: u64) -> i64 {
    number.cast_signed()
}

/// A count or a time as SQLite has it.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or a time from a column; none is below 0.
pub(crate) fn count(row: &Row<'_>, column: usize) -> Sql<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| Error::IntegralValueOutOfRange(column, number))
}

/// A time from a column.
pub(crate) fn time(row: &Row<'_>, column: usize) -> Sql<Now> {
    count(row, column).map(Now)
}

/// A time that may be missing.
pub(crate) fn maybe_time(row: &Row<'_>, column: usize) -> Sql<Option<Now>> {
    let is_null = matches!(row.get_ref(column)?, ValueRef::Null);
    if is_null { Ok(None) } else { time(row, column).map(Some) }
}

/// The time that answers carry. This store looks at records themselves and compares no times, so
/// it names no incarnation.
pub(crate) const fn store_time(now: Now) -> StoreTime {
    StoreTime { incarnation: 0, ms: now.0 }
}

/// What does not belong into a column: somebody has changed the row by hand, or it is damaged.
pub(crate) fn strange(column: usize, what: &str) -> Error {
    let error = FromSqlError::Other(what.to_owned().into());
    Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// A body as `sqlite3` shows it best: as text if it is one.
pub(crate) fn text(bytes: &[u8]) -> ToSqlOutput<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Err(_) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    }
}

fn bytes_of<'r>(row: &'r Row<'_>, column: usize) -> Sql<&'r [u8]> {
    let bytes: FromSqlResult<&[u8]> = row.get_ref(column)?.as_bytes();
    bytes.map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

pub(crate) fn body(row: &Row<'_>, column: usize) -> Sql<Body> {
    bytes_of(row, column).map(Body::copy_from)
}

pub(crate) fn name(row: &Row<'_>, column: usize) -> Sql<Name> {
    Name::copy_from(bytes_of(row, column)?).ok_or_else(|| strange(column, "not a wire name"))
}

/// The codec of a lease, which is written as its subprotocol.
pub(crate) fn codec(row: &Row<'_>, column: usize) -> Sql<Codec> {
    let word = bytes_of(row, column)?;
    let known = Codec::ALL.into_iter().find(|codec| codec.subprotocol().as_bytes() == word);
    known.ok_or_else(|| strange(column, "not a codec"))
}

pub(crate) fn lease_id(row: &Row<'_>, column: usize) -> Sql<LeaseId> {
    let text = row.get_ref(column)?.as_str();
    text.ok().and_then(LeaseId::parse).ok_or_else(|| strange(column, "not the id of a lease"))
}

/// Who claims a lease, as text.
pub(crate) fn holder_text(Holder { node, instance, dial }: Holder) -> String {
    format!("{node:032x} {instance} {dial}")
}

pub(crate) fn holder(row: &Row<'_>, column: usize) -> Sql<Holder> {
    let text: String = row.get(column)?;
    let mut words = text.split(' ');
    let node = words.next().and_then(|word| u128::from_str_radix(word, 16).ok());
    let instance = words.next().and_then(InstanceId::parse);
    let dial = words.next().and_then(|word| word.parse().ok()).map(Dial);
    match (node, instance, dial) {
        (Some(node), Some(instance), Some(dial)) => Ok(Holder { node, instance, dial }),
        _ => Err(strange(column, "not a holder of a lease")),
    }
}

/// The bodies of an event as they stand in one column. The only one of a server that speaks JSON
/// alone stands there as it is, so that `sqlite3` shows it; several are packed.
pub(crate) fn event_body(bodies: &[(Codec, Body)]) -> Cow<'_, [u8]> {
    match bodies {
        [(Codec::Json, body)] if body.as_bytes().first() != Some(&PACKED) => {
            Cow::Borrowed(body.as_bytes())
        }
        several => Cow::Owned(packed(several)),
    }
}

/// What packed bodies begin with: no text in UTF-8 has this byte.
const PACKED: u8 = 0xc1;

/// The codec of a packed body.
const CODECS: [(u8, Codec); 2] = [(1, Codec::Json), (2, Codec::Binary)];

/// SQL for what packing has added to a column: two bytes, and five for each body.
pub(crate) const PACKED_BYTES: &str = "CASE substr(CAST(body AS BLOB), 1, 1) WHEN x'C1' \
     THEN 2 + 5 * instr(x'0102', substr(CAST(body AS BLOB), 2, 1)) ELSE 0 END";

/// The mark, how many there are, and each of them behind its codec and its length.
fn packed(bodies: &[(Codec, Body)]) -> Vec<u8> {
    let mut packed = vec![PACKED, 0];
    for (codec, body) in bodies {
        let known = CODECS.iter().find(|(_, known)| known == codec);
        let (Some((byte, _)), Ok(length)) = (known, u32::try_from(body.len())) else {
            debug_assert!(false, "each codec has a byte, and bodies are bounded");
            continue;
        };
        packed[1] += 1;
        packed.push(*byte);
        packed.extend(length.to_be_bytes());
        packed.extend(body.as_bytes());
    }
    packed
}

/// `None` if it is damaged.
fn unpacked(mut packed: &[u8]) -> Option<Vec<(Codec, Body)>> {
    let [count, rest @ ..] = packed else { return None };
    packed = rest;
    let mut bodies = Vec::with_capacity(CODECS.len());
    for _ in 0..*count {
        let (byte, rest) = packed.split_first()?;
        let (_, codec) = CODECS.iter().find(|(known, _)| known == byte)?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        bodies.push((*codec, Body::copy_from(body)));
        packed = rest;
    }
    packed.is_empty().then_some(bodies)
}

pub(crate) fn event_bodies(row: &Row<'_>, column: usize) -> Sql<Vec<(Codec, Body)>> {
    match bytes_of(row, column)? {
        [PACKED, rest @ ..] => unpacked(rest).ok_or_else(|| strange(column, "not bodies")),
        body => Ok(vec![(Codec::Json, Body::copy_from(body))]),
    }
}

/// The word of an outcome.
pub(crate) const fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Expired => "expired",
        Outcome::Failed(failure) => code_word(failure.code),
    }
}

const CODES: [FailureCode; 5] = [
    FailureCode::Error,
    FailureCode::Internal,
    FailureCode::Timeout,
    FailureCode::Unknown,
    FailureCode::IdReused,
];

const fn code_word(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Error => "error",
        FailureCode::Internal => "internal",
        FailureCode::Timeout => "timeout",
        FailureCode::Unknown => "unknown",
        FailureCode::IdReused => "id_reused",
    }
}

/// The application's error and the body of an outcome, where it has them.
pub(crate) fn outcome_columns(outcome: &Outcome) -> (Option<&str>, Option<&[u8]>) {
    match outcome {
        Outcome::Ok(body) => (None, Some(body.as_bytes())),
        Outcome::Expired => (None, None),
        Outcome::Failed(failure) => (Some(failure.name.as_str()), Some(failure.body.as_bytes())),
    }
}

/// An outcome from its word, error and body, which are in this order.
pub(crate) fn outcome(row: &Row<'_>, first: usize) -> Sql<Outcome> {
    match bytes_of(row, first)? {
        b"ok" => Ok(Outcome::Ok(body(row, first + 2)?)),
        b"expired" => Ok(Outcome::Expired),
        word => {
            let code = CODES.into_iter().find(|code| code_word(*code).as_bytes() == word);
            let code = code.ok_or_else(|| strange(first, "not an outcome"))?;
            Ok(Outcome::failed(code, name(row, first + 1)?, body(row, first + 2)?))
        }
    }
}

/// A topic from its name and key.
pub(crate) fn topic(row: &Row<'_>, first: usize) -> Sql<TopicId> {
    Ok(TopicId { name: name(row, first)?, key: row.get::<_, String>(first + 1)?.into() })
}

/// A publication from topic, key, name and body.
pub(crate) fn publication(row: &Row<'_>, first: usize) -> Sql<Publication> {
    let (topic, name) = (topic(row, first)?, name(row, first + 2)?);
    Ok(Publication { topic, name, bodies: event_bodies(row, first + 3)? })
}

/// How long a topic's entries are kept, from entries, bytes and milliseconds.
pub(crate) fn retention(row: &Row<'_>, first: usize) -> Sql<Retention> {
    let entries = u32::try_from(count(row, first)?).unwrap_or(u32::MAX);
    let ttl = std::time::Duration::from_millis(count(row, first + 2)?);
    Ok(Retention::new(entries, ttl).with_bytes(count(row, first + 1)?))
}

/// An append's key as text.
pub(crate) fn append_key(key: AppendKey) -> String {
    match key {
        AppendKey::Command { lease, n, index } => format!("c:{lease}:{n}:{index}"),
        AppendKey::Direct { node, count } => format!("d:{node:032x}:{count}"),
    }
}

/// An integer or nothing, for a column that may be empty.
pub(crate) fn maybe(time: Option<Now>) -> Value {
    time.map_or(Value::Null, |time| Value::Integer(int(time.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_in_several_codecs_stand_in_one_column() {
        let (json, binary) = (Body::copy_from(b"{}"), Body::copy_from(&[0x80]));
        let strange = Body::copy_from(&[PACKED, 1, 1]);
        for bodies in [
            vec![(Codec::Json, json.clone()), (Codec::Binary, binary.clone())],
            vec![(Codec::Binary, binary)],
            vec![(Codec::Json, strange)],
            vec![],
        ] {
            let column = event_body(&bodies);
            let unpacked = column.strip_prefix(&[PACKED]).and_then(unpacked);
            assert_eq!(unpacked, Some(bodies.clone()));
            for cut in 1..column.len() {
                assert_eq!(super::unpacked(&column[1..cut]), None, "{bodies:?} up to {cut}");
            }
        }
        assert_eq!(*event_body(&[(Codec::Json, json)]), *b"{}", "as it is");
    }
}
