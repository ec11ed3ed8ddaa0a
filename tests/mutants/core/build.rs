//! Copies the pure core out of `runtime/src`, and plants every mutant of `tests/mutants/patches`
//! into the copy. Decides nothing about them; which one acts is said at run time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steadfast_patch::{Change, Mistake, Result, Sources, changes, none, report};

/// What `steadfast` is made of without its default features.
const CORE: &[&str] = &["lib.rs", "session", "store", "protocol", "wire"];

/// What a file with a mutant in it needs.
const USE: &str = "\nuse crate::mutant::{Mutant::*, planted};\n";

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where"));
    let mutants = changes(Path::new("../patches"))?;
    none(mutants.iter().filter_map(mistake).collect())?;
    let mut core = Sources::read_parts(Path::new("../../../runtime/src"), CORE)?;
    core.apply(&mutants, USE)?;
    core.behead("lib.rs")?;
    // It is for generated code, and exports macros, which an included file can't.
    core.put("private.rs", String::new());
    core.put("mutants.rs", listed(&mutants));
    core.write(&out.join("core"))
}

/// A mutant says what goes wrong, and each of its patches asks whether it is planted.
fn mistake(mutant: &Change) -> Option<Mistake> {
    let Change { name, doc, patches } = mutant;
    let asks = format!("planted({name})");
    if doc.is_empty() {
        return Some(Mistake::new(format!("{name} does not say what goes wrong")));
    }
    if patches.is_empty() {
        return Some(Mistake::new(format!("{name} has no patch")));
    }
    let silent = patches.iter().find(|patch| !patch.replace.contains(&asks))?;
    Some(Mistake::new(format!("{}: {name} does not ask {asks}", silent.written_at)))
}

fn listed(mutants: &[Change]) -> String {
    let mut list = "mutants! {\n".to_owned();
    for Change { name, doc, .. } in mutants {
        for line in doc {
            writeln!(list, "    /// {line}").expect("a string takes everything");
        }
        writeln!(list, "    {name},").expect("a string takes everything");
    }
    list + "}\n"
}
