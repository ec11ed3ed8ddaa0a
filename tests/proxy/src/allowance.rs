//! How many bytes may still pass one way of a link. It counts, and finds the end of the upgrade's
//! head; it moves no bytes itself.

use crate::{Plan, Way};

/// What may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Everything.
    Unlimited,
    /// Everything up to an empty line, then so many bytes. `matched` of the empty line's four bytes
    /// have been seen.
    AfterHead { matched: usize, bytes: u64 },
    /// So many bytes.
    Bytes(u64),
}

const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

impl Allowance {
    /// The allowances of a new link: up, and down.
    pub(crate) fn both(plan: Plan) -> [Self; 2] {
        match plan {
            Plan::Leave => [Self::Unlimited; 2],
            Plan::CutAfter { way: Way::Up, bytes } => {
                [Self::AfterHead { matched: 0, bytes }, Self::Unlimited]
            }
            Plan::CutAfter { way: Way::Down, bytes } => {
                [Self::Unlimited, Self::AfterHead { matched: 0, bytes }]
            }
        }
    }

    /// How many of these bytes may pass. If that is fewer than there are, the link ends there.
    pub(crate) fn admit(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        if let Self::AfterHead { matched, bytes: left } = self {
            while *matched < END_OF_HEAD.len() {
                let Some(byte) = bytes.get(passed) else { return passed };
                passed += 1;
                *matched = match (END_OF_HEAD[*matched] == *byte, *byte) {
                    (true, _) => *matched + 1,
                    (false, b'\r') => 1,
                    (false, _) => 0,
                };
            }
            *self = Self::Bytes(*left);
        }
        if let Self::Bytes(left) = self {
            let wanted = bytes.len() - passed;
            let admitted = usize::try_from(*left).map_or(wanted, |left| left.min(wanted));
            *left -= admitted as u64;
            return passed + admitted;
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_the_head_are_counted_even_if_the_head_comes_in_pieces() {
        let mut allowance = Allowance::AfterHead { matched: 0, bytes: 2 };
        assert_eq!(allowance.admit(b"HTTP/1.1 101\r"), 13);
        assert_eq!(allowance.admit(b"\nX: y\r\n\r"), 8);
        assert_eq!(allowance.admit(b"\nabc"), 3);
        assert_eq!(allowance.admit(b"d"), 0);
    }

    #[test]
    fn a_carriage_return_inside_the_head_begins_the_search_anew() {
        let mut allowance = Allowance::AfterHead { matched: 0, bytes: 0 };
        assert_eq!(allowance.admit(b"a\r\r\n\r\nb"), 6);
    }

    #[test]
    fn a_budget_that_is_used_up_exactly_does_not_end_the_link_yet() {
        let mut allowance = Allowance::Bytes(3);
        assert_eq!(allowance.admit(b"abc"), 3);
        assert_eq!(allowance.admit(b"d"), 0);
    }
}
