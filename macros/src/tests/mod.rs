//! Expansions as files, formatted: what a user would have to write by hand.

mod expansion;
mod mistakes;
