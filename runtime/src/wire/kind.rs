//! The numbers of the kinds of frames, the same in every codec (PROTOCOL.md 3.6). What a kind means
//! is not said here.

pub(super) const ACK: u64 = 0;
pub(super) const COMMAND: u64 = 1;
pub(super) const COMMAND_WITH_DEADLINE: u64 = 2;
pub(super) const RESULT: u64 = 3;
pub(super) const FAILED: u64 = 4;
pub(super) const EVENT: u64 = 5;
pub(super) const VOLATILE: u64 = 6;
pub(super) const TOPIC_VOLATILE: u64 = 7;
pub(super) const POSITION: u64 = 8;
pub(super) const REFUSED: u64 = 9;
pub(super) const SNAPSHOT: u64 = 10;
pub(super) const SKIP: u64 = 11;
pub(super) const PING: u64 = 12;
pub(super) const PONG: u64 = 13;
pub(super) const DIRECT: u64 = 14;
pub(super) const HELLO: u64 = 20;
pub(super) const WELCOME: u64 = 21;
pub(super) const RESUME_FAILED: u64 = 22;
pub(super) const SUBSCRIBE: u64 = 23;
pub(super) const SUBSCRIBED: u64 = 24;
pub(super) const UNSUBSCRIBE: u64 = 25;
pub(super) const UNSUBSCRIBED: u64 = 26;
pub(super) const GOAWAY: u64 = 27;
pub(super) const LEASE: u64 = 28;
pub(super) const CANCEL: u64 = 129;
/// A receiver that does not know a kind from here to 255 ignores it.
pub(super) const FIRST_IGNORABLE: u64 = 128;
