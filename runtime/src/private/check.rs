//! Assertions that generated code makes at compile time, about what one enum can't see of another.

use crate::protocol::{ClientEnum, ServerEnum};

/// The client enum and the server enum that it names are of one protocol.
///
/// # Panics
/// At compile time, if not.
pub const fn assert_same_protocol<C: ClientEnum>() {
    let (client, server) =
        (C::DESCRIPTION.protocol, <C::ServerEnum as ServerEnum>::DESCRIPTION.protocol);
    // An enum that did not compile has no name here; its own mistake has been reported.
    assert!(
        same(client, server) || server.is_empty(),
        "the enum after `server =` belongs to another protocol: `protocol = \"..\"` must be the same in both"
    );
}

// `str`'s own comparison is not `const`.
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
