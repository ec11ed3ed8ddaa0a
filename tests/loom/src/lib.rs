//! `runtime/src` as `build.rs` has copied it: with loom's locks, and with the models in it. Adds
//! nothing of its own.
#![allow(unused_imports, reason = "what only `private` uses: it is not in the copy")]

include!(concat!(env!("OUT_DIR"), "/copy/lib.rs"));

// Files that the copy takes in, so that rustfmt finds them.
#[cfg(rustfmt)]
#[path = "../models/client.rs"]
mod client_models;
#[cfg(rustfmt)]
#[path = "../sync.rs"]
mod locks;
#[cfg(rustfmt)]
#[path = "../models/server.rs"]
mod server_models;
