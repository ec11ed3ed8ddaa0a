//! The frame that comes most, as nearly every client writes it: a COMMAND without deadline and
//! without white space. Whatever else it may be is the reader's, which says what is wrong with it.

use crate::wire::{Body, CommandFrame, CommandNo, MAX_SEQUENCE, Name, Seq};

/// What a compact COMMAND begins with.
const BEGINNING: &[u8] = b"[1,";

/// `None` if it is anything else.
pub(super) fn command(message: &[u8]) -> Option<CommandFrame> {
    let rest = message.strip_prefix(BEGINNING)?;
    let (seq, rest) = number(rest)?;
    let (ack, rest) = number(rest)?;
    let (n, rest) = number(rest)?;
    let (back, rest) = number(rest)?;
    let low = n.checked_sub(back).filter(|low| *low >= 1)?;
    let (name, rest) = Name::quoted(rest)?;
    let body = rest.strip_prefix(b",")?.strip_suffix(b"]")?;
    if is_space(body.first()?) || is_space(body.last()?) {
        return None;
    }
    Some(CommandFrame {
        seq: Seq(seq),
        ack: Seq(ack),
        n: CommandNo(n),
        low: CommandNo(low),
        deadline_ms: None,
        name,
        body: Body::copy_from(body),
    })
}

const fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A number within range, and what follows the comma behind it.
#[inline]
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let leading_zero = at > 1 && bytes.first() == Some(&b'0');
            let good = *byte == b',' && at > 0 && !leading_zero;
            return good.then_some((value, &bytes[at + 1..]));
        }
        // Below 2^53 before, so this can't overflow.
        value = value * 10 + u64::from(digit);
        if value > MAX_SEQUENCE {
            return None;
        }
    }
    None
}
