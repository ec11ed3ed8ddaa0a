//! Frames, the ids and texts inside them, and their encodings (PROTOCOL.md section 3). Here is the
//! shape of the bytes on the wire; state, clocks and decisions are elsewhere.

mod binary;
mod close;
mod code;
mod codec;
mod frame;
mod gap;
mod ids;
mod json;
mod kind;
mod member;
mod rare;
mod read;
mod text;
mod write;

pub(crate) use binary::{is_map, read_value};

pub use close::CloseCode;
pub use codec::{Codec, FrameError};
pub use frame::*;
pub use gap::Gap;
pub use ids::*;
pub use text::{Body, MAX_NAME_BYTES, Name};
