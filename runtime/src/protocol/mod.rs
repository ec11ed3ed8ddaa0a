//! The traits, errors and types of a protocol that users meet in bounds and in error messages: what
//! the derive implements, never a user by hand. Holds no state, and knows neither client nor
//! server.

mod body;
mod contract;
mod error;
mod finite;
mod key;
mod message;
mod topic;

pub use body::{
    DecodeError, EncodeError, conflation_key, decode_body, decode_reply, encode_body, encode_reply,
};
#[cfg(feature = "expanded")]
pub use contract::expanded;
#[cfg(feature = "schema")]
pub use contract::json_schemas;
pub use contract::{Expanded, contract};
#[cfg(feature = "tokio")]
pub(crate) use contract::{contracts, released};
pub use error::{NoError, WsError};
pub use key::{decode_topic_key, id_text, topic_key};
pub use message::{ClientEnum, Message, Reply, ServerEnum, UnknownMessage};
pub use topic::{Direct, GapItem, Publish, SnapshotState, TopicKey};
