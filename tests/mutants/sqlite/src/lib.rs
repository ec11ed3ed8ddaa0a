//! The sources of `steadfast-sqlite` with every mutant in them: the copy that `build.rs` has made.
//! Adds the switch that turns one of them on.
#![allow(warnings, reason = "the sources are linted where they stand, without what is put in")]

pub mod mutant;

include!(concat!(env!("OUT_DIR"), "/sqlite/lib.rs"));
