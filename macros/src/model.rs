//! A validated message enum: `check` makes it of attributes, and generators find nothing left to
//! refuse. It knows neither the syntax of attributes nor the tokens that are generated.

mod check;
mod id;
mod kind;
mod message;
mod names;
mod protocol;
mod topics;
mod unique;
mod variant;

pub(crate) use check::{check, error, private};
pub(crate) use message::{Field, Generated, Id, Kind, Limits, Message, Payload};
pub(crate) use protocol::{Client, Model, RoleModel, Server, Topic, unknown_method};
pub(crate) use variant::strays;
