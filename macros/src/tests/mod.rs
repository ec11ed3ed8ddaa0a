//! Tests of the steps of the derive, without a compiler. What a compiler makes of expansions is
//! tested by `steadfast-derive-tests`.

mod expansion;
mod items;
mod mistakes;
