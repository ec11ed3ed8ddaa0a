//! Frames, their text, and their encodings (PROTOCOL.md section 3). Owns the shape of bytes on the
//! wire; refuses state, clocks and decisions.

mod close;
mod codec;
mod frame;
mod gap;
mod ids;
mod json;
mod text;

pub use close::CloseCode;
pub use codec::{Codec, FrameError};
pub use frame::*;
pub use gap::Gap;
pub use ids::*;
pub use text::{Body, MAX_NAME_BYTES, Name};
