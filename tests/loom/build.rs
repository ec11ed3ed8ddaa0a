//! Has steadfast's own sources, which this package compiles, use loom's locks.
#![allow(clippy::print_stdout, reason = "how a build script speaks")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=steadfast_loom");
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"derive\", \"schema\"))");
}
