//! Turns the mutants on, for this package alone: a cfg that a build script sets can't reach another
//! one, as a feature could.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=steadfast_mutants");
    // `steadfast` has these; here they are always off.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"client\", \"derive\", \"schema\", \"server\", \"tokio\"))"
    );
}
