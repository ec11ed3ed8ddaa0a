//! Records as bytes. Whether they are whole is known before they are read; what they mean together
//! is the core's.

use std::sync::Arc;

use bytes::Bytes;

use crate::session::Now;
use crate::session::client::{CallId, CallOutcome, Command, Record, Submission};
use crate::wire::{Body, Codec, CommandNo, FailureCode, LeaseId, Name, RefusalCode};

/// What is written of times is the wall clock's, so that it means something to the next process:
/// the same moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) now: Now,
    /// Milliseconds since 1970.
    pub(super) wall_ms: u64,
}

const LEASE: u8 = 1;
const TAKEN: u8 = 2;
const NUMBERED: u8 = 3;
const UNNUMBERED: u8 = 4;
const ENDED: u8 = 5;
const FORGOTTEN: u8 = 6;

const REPLY: u8 = 1;
const FAILED: u8 = 2;
const REFUSED: u8 = 3;
const UNKNOWN: u8 = 4;

/// The place of a code is how it is written.
const FAILURES: [FailureCode; 5] = [
    FailureCode::Error,
    FailureCode::Internal,
    FailureCode::Timeout,
    FailureCode::Unknown,
    FailureCode::IdReused,
];
const REFUSALS: [RefusalCode; 9] = [
    RefusalCode::Draining,
    RefusalCode::Overload,
    RefusalCode::RateLimited,
    RefusalCode::Unsupported,
    RefusalCode::Invalid,
    RefusalCode::TooLarge,
    RefusalCode::Forbidden,
    RefusalCode::Expired,
    RefusalCode::Other,
];

/// Writes a record. `version` is the protocol's of this client.
pub(super) fn write(record: &Record, clocks: Clocks, version: &str, out: &mut Vec<u8>) {
    match record {
        Record::Lease { id, next } => {
            out.push(LEASE);
            out.extend(id.0.to_le_bytes());
            number(next.0, out);
        }
        Record::Taken { call, command } => {
            out.push(TAKEN);
            number(call.0, out);
            write_command(command, clocks, version, out);
        }
        Record::Numbered { call, n } => {
            out.push(NUMBERED);
            number(call.0, out);
            number(n.0, out);
        }
        Record::Unnumbered { from } => {
            out.push(UNNUMBERED);
            number(from.0, out);
        }
        Record::Ended { call, outcome } => {
            out.push(ENDED);
            number(call.0, out);
            write_outcome(outcome, out);
        }
        Record::Forgotten { call } => {
            out.push(FORGOTTEN);
            number(call.0, out);
        }
    }
}

fn write_command(command: &Command, clocks: Clocks, version: &str, out: &mut Vec<u8>) {
    let (submitted, waited_ms) = command.since();
    let age_ms = clocks.now.since(submitted).saturating_add(waited_ms);
    let (timeout_ms, declared_ms) = command.timeouts_ms();
    number(clocks.wall_ms.saturating_sub(age_ms), out);
    number(timeout_ms, out);
    number(declared_ms, out);
    text(command.version().map_or(version, |version| version).as_bytes(), out);
    text(command.name().as_bytes(), out);
    text(command.body().as_bytes(), out);
}

fn write_outcome(outcome: &CallOutcome, out: &mut Vec<u8>) {
    match outcome {
        CallOutcome::Reply(body) => {
            out.push(REPLY);
            text(body.as_bytes(), out);
        }
        CallOutcome::Failed { code, name, body } => {
            out.push(FAILED);
            out.push(place(&FAILURES, code));
            text(name.as_bytes(), out);
            text(body.as_bytes(), out);
        }
        CallOutcome::Refused(code) => {
            out.push(REFUSED);
            out.push(place(&REFUSALS, code));
        }
        CallOutcome::OutcomeUnknown
        | CallOutcome::Closed { .. }
        | CallOutcome::Kept
        | CallOutcome::NotSaved => {
            debug_assert_eq!(*outcome, CallOutcome::OutcomeUnknown, "the others end no command");
            out.push(UNKNOWN);
        }
    }
}

fn place<T: PartialEq>(list: &[T], code: &T) -> u8 {
    list.iter().position(|other| other == code).map_or(u8::MAX, |at| at as u8)
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend(value.to_le_bytes());
}

/// Texts are bounded by the outbox, far below 4 GiB.
pub(super) fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

/// Reads records until there are none; `None` if one is none. Bodies are of this codec.
pub(super) fn read_all(mut bytes: &[u8], codec: Codec, clocks: Clocks) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        records.push(read(&mut bytes, codec, clocks)?);
    }
    Some(records)
}

fn read(from: &mut &[u8], codec: Codec, clocks: Clocks) -> Option<Record> {
    Some(match take_byte(from)? {
        LEASE => Record::Lease {
            id: LeaseId(u128::from_le_bytes(*take_array(from)?)),
            next: CommandNo(take_number(from)?),
        },
        TAKEN => Record::Taken {
            call: CallId(take_number(from)?),
            command: read_command(from, codec, clocks)?,
        },
        NUMBERED => {
            Record::Numbered { call: CallId(take_number(from)?), n: CommandNo(take_number(from)?) }
        }
        UNNUMBERED => Record::Unnumbered { from: CommandNo(take_number(from)?) },
        ENDED => {
            Record::Ended { call: CallId(take_number(from)?), outcome: read_outcome(from, codec)? }
        }
        FORGOTTEN => Record::Forgotten { call: CallId(take_number(from)?) },
        _ => return None,
    })
}

fn read_command(from: &mut &[u8], codec: Codec, clocks: Clocks) -> Option<Command> {
    let at_ms = take_number(from)?;
    let (timeout_ms, declared_timeout_ms) = (take_number(from)?, take_number(from)?);
    let version: Arc<str> = str::from_utf8(take_text(from)?).ok()?.into();
    let name = Name::from_bytes(Bytes::copy_from_slice(take_text(from)?))?;
    let body = take_body(from, codec)?;
    let said = Submission { name, body, timeout_ms, declared_timeout_ms, max_bytes: u32::MAX };
    // A clock that was set back makes the time that has passed look shorter, never negative.
    let waited_ms = clocks.wall_ms.saturating_sub(at_ms);
    Some(Command::of_before(clocks.now, said, waited_ms, version))
}

fn read_outcome(from: &mut &[u8], codec: Codec) -> Option<CallOutcome> {
    Some(match take_byte(from)? {
        REPLY => CallOutcome::Reply(take_body(from, codec)?),
        FAILED => {
            let code = *FAILURES.get(usize::from(take_byte(from)?))?;
            let name = take_text(from)?;
            let name = match name.is_empty() {
                true => Name::EMPTY,
                false => Name::from_bytes(Bytes::copy_from_slice(name))?,
            };
            CallOutcome::Failed { code, name, body: take_body(from, codec)? }
        }
        REFUSED => CallOutcome::Refused(*REFUSALS.get(usize::from(take_byte(from)?))?),
        UNKNOWN => CallOutcome::OutcomeUnknown,
        _ => return None,
    })
}

fn take_byte(from: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = from.split_first()?;
    *from = rest;
    Some(*byte)
}

fn take_array<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (array, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(array)
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    take_array(from).map(|bytes| u64::from_le_bytes(*bytes))
}

pub(super) fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(*take_array(from)?) as usize;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(text)
}

/// Where bodies are JSON, bytes that are no text would break each socket that they are sent on.
fn take_body(from: &mut &[u8], codec: Codec) -> Option<Body> {
    let body = take_text(from)?;
    let fits = codec == Codec::Binary || str::from_utf8(body).is_ok();
    fits.then(|| Body::copy_from(body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WRITTEN: Clocks = Clocks { now: Now(5_000), wall_ms: 1_000_000 };

    fn body(codec: Codec) -> BoxedStrategy<Body> {
        match codec {
            Codec::Json => ".{0,60}".prop_map(Body::from).boxed(),
            Codec::Binary => prop::collection::vec(any::<u8>(), 0..60).prop_map(Body::from).boxed(),
        }
    }

    fn outcome(codec: Codec) -> impl Strategy<Value = CallOutcome> {
        let code = prop::sample::select(FAILURES.to_vec());
        let name = prop::sample::select(vec![Name::EMPTY, Name::from_static("muted").unwrap()]);
        prop_oneof![
            body(codec).prop_map(CallOutcome::Reply),
            (code, name, body(codec)).prop_map(|(code, name, body)| CallOutcome::Failed {
                code,
                name,
                body
            }),
            prop::sample::select(REFUSALS.to_vec()).prop_map(CallOutcome::Refused),
            Just(CallOutcome::OutcomeUnknown),
        ]
    }

    /// A command as it is read at the very moment at which it is written.
    fn command(codec: Codec) -> impl Strategy<Value = Command> {
        (body(codec), 0..100_000_u64, any::<u64>(), any::<u64>(), ".{0,8}").prop_map(
            |(body, waited_ms, timeout_ms, declared_timeout_ms, version)| {
                let name = Name::from_static("post").unwrap();
                let said =
                    Submission { name, body, timeout_ms, declared_timeout_ms, max_bytes: u32::MAX };
                Command::of_before(WRITTEN.now, said, waited_ms, version.into())
            },
        )
    }

    fn records(codec: Codec) -> impl Strategy<Value = Vec<Record>> {
        let call = || any::<u64>().prop_map(CallId);
        let n = || any::<u64>().prop_map(CommandNo);
        let record = prop_oneof![
            (any::<u128>(), n()).prop_map(|(id, next)| Record::Lease { id: LeaseId(id), next }),
            (call(), command(codec)).prop_map(|(call, command)| Record::Taken { call, command }),
            (call(), n()).prop_map(|(call, n)| Record::Numbered { call, n }),
            n().prop_map(|from| Record::Unnumbered { from }),
            (call(), outcome(codec)).prop_map(|(call, outcome)| Record::Ended { call, outcome }),
            call().prop_map(|call| Record::Forgotten { call }),
        ];
        prop::collection::vec(record, 0..6)
    }

    fn written(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| write(record, WRITTEN, "1.0", &mut bytes));
        bytes
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(json in records(Codec::Json), binary in records(Codec::Binary)) {
            prop_assert_eq!(read_all(&written(&json), Codec::Json, WRITTEN), Some(json));
            prop_assert_eq!(read_all(&written(&binary), Codec::Binary, WRITTEN), Some(binary));
        }

        #[test]
        fn what_was_cut_off_is_no_record(records in records(Codec::Json), cut in any::<prop::sample::Index>()) {
            let bytes = written(&records);
            prop_assume!(!bytes.is_empty());
            if let Some(read) = read_all(&bytes[..cut.index(bytes.len())], Codec::Json, WRITTEN) {
                prop_assert!(records.starts_with(&read) && read.len() < records.len());
            }
        }

        #[test]
        fn any_bytes_are_records_or_none(bytes in prop::collection::vec(0..8_u8, 0..80)) {
            for codec in Codec::ALL {
                let _ = read_all(&bytes, codec, WRITTEN);
            }
        }
    }

    #[test]
    fn a_command_is_as_old_as_the_wall_clock_says() {
        let name = Name::from_static("post").unwrap();
        let said = Submission {
            name,
            body: Body::UNIT,
            timeout_ms: 60_000,
            declared_timeout_ms: 60_000,
            max_bytes: 100,
        };
        let taken = |command| Record::Taken { call: CallId(1), command };
        let bytes = written(&[taken(Command::new(Now(3_000), said))]);
        let waited = |wall_ms| {
            let clocks = Clocks { now: Now(0), wall_ms };
            match &read_all(&bytes, Codec::Json, clocks).unwrap()[0] {
                Record::Taken { command, .. } => (command.since(), command.version().cloned()),
                other => panic!("{other:?}"),
            }
        };
        let own = Some("1.0".into());
        assert_eq!(waited(1_030_000), ((Now(0), 32_000), own.clone()));
        assert_eq!(waited(500), ((Now(0), 0), own), "a clock that was set back");
    }
}
