//! The file's format: a head that says whose it is, then batches, each with its number, length and
//! checksum. It finds what is not whole; what the records in it mean is not its business.
//!
//! ```text
//! head:   "steadfast outbox"  format u32  length u32  crc32c u32  protocol, codec, account
//! batch:  "\nSOB"  number u64  length u32  crc32c u32  records
//! ```
//!
//! Integers are little-endian. A checksum covers what stands between it and the magic bytes, and
//! what follows it. A batch is written at once, and counts as a whole or not at all.

use super::error::Damage;
use super::record::{take_text, text};

/// The format that this build writes, and the newest one that it reads.
pub(super) const FORMAT: u32 = 1;

const HEAD: &[u8; 16] = b"steadfast outbox";
const BATCH: &[u8; 4] = b"\nSOB";
/// Bytes of a batch before its records.
const BATCH_HEAD: usize = 20;

/// Whose commands a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) protocol: String,
    pub(super) codec: String,
    pub(super) account: String,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    Foreign,
    NewerFormat(u32),
    Damaged(Damage),
}

/// What a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) owner: Owner,
    /// The payloads of the batches that are whole, in their order.
    pub(super) batches: Vec<Vec<u8>>,
    pub(super) damage: Option<Damage>,
}

pub(super) fn write_head(owner: &Owner, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    for part in [&owner.protocol, &owner.codec, &owner.account] {
        text(part.as_bytes(), &mut payload);
    }
    out.extend(HEAD);
    let from = out.len();
    out.extend(FORMAT.to_le_bytes());
    out.extend((payload.len() as u32).to_le_bytes());
    seal(from, &payload, out);
}

pub(super) fn write_batch(number: u64, records: &[u8], out: &mut Vec<u8>) {
    out.extend(BATCH);
    let from = out.len();
    out.extend(number.to_le_bytes());
    out.extend((records.len() as u32).to_le_bytes());
    seal(from, records, out);
}

/// The checksum of what stands in `out` from there on, and of the payload; and the payload.
fn seal(from: usize, payload: &[u8], out: &mut Vec<u8>) {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&out[from..]), payload);
    out.extend(sum.to_le_bytes());
    out.extend(payload);
}

/// Reads a file. Batches behind damage in the middle are among what is given, with the damage.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, Unreadable> {
    let (owner, mut at) = read_head(bytes)?;
    let mut contents = Contents { owner, batches: Vec::new(), damage: None };
    let mut next = 1;
    while at < bytes.len() {
        match read_batch(&bytes[at..]).filter(|(number, _)| *number == next) {
            Some((_, payload)) => {
                contents.batches.push(payload.to_vec());
                at += BATCH_HEAD + payload.len();
                next += 1;
            }
            None => {
                behind_damage(bytes, at, next, &mut contents);
                return Ok(contents);
            }
        }
    }
    Ok(contents)
}

fn read_head(bytes: &[u8]) -> Result<(Owner, usize), Unreadable> {
    let damaged = Unreadable::Damaged(Damage::Middle { offset: 0, bytes: bytes.len() as u64 });
    let Some(rest) = bytes.strip_prefix(HEAD) else { return Err(Unreadable::Foreign) };
    let Some(format) = u32_at(rest, 0) else { return Err(damaged) };
    if format > FORMAT {
        return Err(Unreadable::NewerFormat(format));
    }
    let payload = sealed(rest, 4).filter(|_| format == FORMAT).ok_or_else(|| damaged.clone())?;
    let mut left = payload;
    let mut part = || String::from_utf8(take_text(&mut left)?.to_vec()).ok();
    let owner = (|| Some(Owner { protocol: part()?, codec: part()?, account: part()? }))();
    Ok((owner.ok_or(damaged)?, HEAD.len() + 12 + payload.len()))
}

/// A batch that is whole: its number and payload.
fn read_batch(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(BATCH)?;
    let number = u64::from_le_bytes(*rest.first_chunk()?);
    Some((number, sealed(rest, 8)?))
}

/// The payload behind a length at `at` and a checksum, if that fits.
fn sealed(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (length, sum) = (u32_at(bytes, at)? as usize, u32_at(bytes, at + 4)?);
    let payload = bytes.get(at + 8..)?.get(..length)?;
    (crc32c::crc32c_append(crc32c::crc32c(&bytes[..at + 4]), payload) == sum).then_some(payload)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Looks for batches behind what is not whole: if there are some, it was not the last write.
fn behind_damage(bytes: &[u8], from: usize, next: u64, contents: &mut Contents) {
    let (mut at, mut last, mut read) = (from, next, 0);
    let known = contents.batches.len();
    while at < bytes.len() {
        match read_batch(&bytes[at..]).filter(|(number, _)| *number >= last) {
            Some((number, payload)) => {
                contents.batches.push(payload.to_vec());
                last = number + 1;
                read += BATCH_HEAD + payload.len();
                at += BATCH_HEAD + payload.len();
            }
            None => {
                let more = bytes[at + 1..].windows(BATCH.len()).position(|found| found == BATCH);
                at = more.map_or(bytes.len(), |more| at + 1 + more);
            }
        }
    }
    let offset = from as u64;
    let lost = (bytes.len() - from - read) as u64;
    contents.damage = Some(match contents.batches.len() == known {
        true => Damage::Tail { offset, bytes: lost },
        false => Damage::Middle { offset, bytes: lost },
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner() -> Owner {
        Owner { protocol: "chat".into(), codec: "steadfast.v1.json".into(), account: "u".into() }
    }

    fn file(batches: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_head(&owner(), &mut bytes);
        for (number, batch) in (1..).zip(batches) {
            write_batch(number, batch, &mut bytes);
        }
        bytes
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        // The magic bytes of a batch are among what is written in one.
        let byte = prop_oneof![any::<u8>(), prop::sample::select(BATCH.to_vec())];
        prop::collection::vec(prop::collection::vec(byte, 0..60), 0..8)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(batches in payloads()) {
            let whole = Contents { owner: owner(), batches: batches.clone(), damage: None };
            prop_assert_eq!(read(&file(&batches)), Ok(whole));
        }

        #[test]
        fn a_file_that_was_cut_off_gives_whole_batches_and_says_what_is_missing(
            batches in payloads(),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = file(&batches);
            let cut = cut.index(bytes.len());
            let Ok(contents) = read(&bytes[..cut]) else {
                let mut head = Vec::new();
                write_head(&owner(), &mut head);
                prop_assert!(cut < head.len());
                return Ok(());
            };
            let whole = contents.batches.len();
            prop_assert_eq!(&contents.batches[..], &batches[..whole]);
            let end = file(&batches[..whole]).len();
            match contents.damage {
                None => prop_assert_eq!(end, cut),
                Some(damage) => {
                    let bytes = (cut - end) as u64;
                    prop_assert_eq!(damage, Damage::Tail { offset: end as u64, bytes });
                }
            }
        }

        #[test]
        fn a_flipped_bit_is_reported_and_never_read(
            batches in payloads(),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let mut bytes = file(&batches);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let Ok(contents) = read(&bytes) else { return Ok(()) };
            let hit = (0..batches.len()).find(|count| file(&batches[..count + 1]).len() > at);
            let hit = hit.expect("a flipped bit in the head makes the file unreadable");
            let mut left = batches.clone();
            left.remove(hit);
            prop_assert_eq!(&contents.batches, &left);
            let offset = file(&batches[..hit]).len() as u64;
            let lost = (20 + batches[hit].len()) as u64;
            prop_assert_eq!(contents.damage, Some(match hit + 1 == batches.len() {
                true => Damage::Tail { offset, bytes: lost },
                false => Damage::Middle { offset, bytes: lost },
            }));
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut behind = file(&[]);
            behind.extend(&bytes);
            prop_assert!(read(&behind).is_ok());
            let _ = read(&bytes);
        }
    }

    #[test]
    fn a_batch_that_was_cut_out_is_damage_in_the_middle() {
        let (first, last) = (vec![1], vec![3]);
        let mut bytes = file(&[first]);
        let offset = bytes.len() as u64;
        write_batch(3, &last, &mut bytes);
        let damage = read(&bytes).map(|contents| contents.damage);
        assert_eq!(damage, Ok(Some(Damage::Middle { offset, bytes: 0 })));
    }

    #[test]
    fn a_newer_format_is_not_read() {
        let mut bytes = file(&[]);
        bytes[HEAD.len()] = 2;
        assert_eq!(read(&bytes), Err(Unreadable::NewerFormat(2)));
    }
}
