//! Copies `steadfast-sqlite` and its tests out of `runtime/stores/sqlite`, plants every mutant of
//! `patches` into the one, and makes a list of the other. Decides nothing about them; which mutant
//! acts, and which test runs, is said at run time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steadfast_patch::{Mistake, Result, Sources, listed, mutants, report};

/// The tests that find mutants, by their files.
const CLAIMS: [&str; 6] =
    ["bounds", "decisions", "power_cut", "same_as_memory", "suite", "trouble"];

/// What a file with a mutant in it needs.
const USE: &str = "\nuse crate::mutant::{Mutant::*, planted};\n";

fn main() -> ExitCode {
    report(build())
}

fn build() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where"));
    let store = Path::new("../../../runtime/stores/sqlite");
    let mutants = mutants(Path::new("patches"))?;
    let mut sources = Sources::read(&store.join("src"))?;
    sources.apply(&mutants, USE)?;
    sources.behead("lib.rs")?;
    sources.put("mutants.rs", listed(&mutants));
    sources.write(&out.join("sqlite"))?;
    claims(&store.join("tests"), &out.join("claims"))
}

/// The tests as functions that a program calls by name, since each of them has to run in a process
/// of its own: what is planted is planted for the whole process, and so does the disk fail.
fn claims(from: &Path, to: &Path) -> Result<()> {
    let mut tests = Sources::read(from)?;
    let mut list = String::new();
    for name in CLAIMS {
        let file = format!("{name}.rs");
        let text = tests.text(&file).ok_or_else(|| vec![Mistake::new(format!("no {file}"))])?;
        let (text, claims) = callable(text);
        let path = to.join(&file);
        writeln!(list, "#[path = {path:?}]\nmod {name};").expect("a string takes everything");
        tests.put(&file, text + &claims);
    }
    let all: Vec<String> =
        CLAIMS.iter().map(|name| format!("(\"{name}\", {name}::CLAIMS)")).collect();
    writeln!(list, "const ALL: &[(&str, Claims)] = &[{}];", all.join(", "))
        .expect("a string takes everything");
    tests.put("list.rs", list);
    tests.write(to)
}

/// Without the attributes of its tests, and with a list of them to go at its end.
fn callable(text: &str) -> (String, String) {
    let (mut kept, mut claims) = (String::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("#[tokio::test") {
            kept += line;
            kept.push('\n');
            continue;
        }
        let Some(head) = lines.next() else { break };
        let name = head.trim_start_matches("async fn ").trim_end_matches("() {");
        let runtime = if line.contains("multi_thread") { "on_threads" } else { "on_one" };
        writeln!(claims, "    (\"{name}\", || crate::{runtime}({name}())),").expect("as above");
        kept += head;
        kept.push('\n');
    }
    (kept, format!("\npub(crate) const CLAIMS: crate::Claims = &[\n{claims}];\n"))
}
