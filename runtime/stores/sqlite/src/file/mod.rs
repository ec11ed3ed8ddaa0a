//! The file of a store: who may have it, its format, its copies. What is read from and written to
//! its tables while it is open is not here.

mod copy;
mod incarnation;
mod note;
mod open;
mod own;
mod schema;

pub(crate) use copy::{backup, restore};
pub(crate) use incarnation::mixed;
pub(crate) use note::Note;
pub(crate) use open::{Opened, check_file, open, reading, refused};
pub(crate) use own::{OwnTables, make as make_own_tables};
pub(crate) use schema::FORMAT;
