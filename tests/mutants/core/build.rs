//! Copies the pure core out of `runtime/src`, and plants every mutant of `tests/mutants/patches`
//! into the copy. Decides nothing about them; which one acts is said at run time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steadfast_patch::{Result, Sources, listed, mutants, report};

/// What `steadfast` is made of without its default features.
const CORE: &[&str] = &["lib.rs", "session", "store", "protocol", "wire"];

/// What a file with a mutant in it needs.
const USE: &str = "\nuse crate::mutant::{Mutant::*, planted};\n";

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where"));
    let mutants = mutants(Path::new("../patches"))?;
    let mut core = Sources::read_parts(Path::new("../../../runtime/src"), CORE)?;
    core.apply(&mutants, USE)?;
    core.behead("lib.rs")?;
    // It is for generated code, and exports macros, which an included file can't.
    core.put("private.rs", String::new());
    core.put("mutants.rs", listed(&mutants));
    core.write(&out.join("core"))
}
