//! Copies `runtime/src`, and has the copy use loom's locks and a clock that stands still. The
//! models become a part of it, because they need what is private there; what they claim is theirs.
#![allow(clippy::print_stdout, reason = "how a build script speaks")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steadfast_patch::{Result, Sources, changes, report};

fn main() -> ExitCode {
    // `steadfast` has these; here they are always off.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"derive\", \"expanded\", \"outbox\", \"schema\", \"store-suite\", \"test\"))"
    );
    report(build())
}

fn build() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where"));
    let mut copy = Sources::read(Path::new("../../runtime/src"))?;
    copy.apply(&changes(Path::new("patches"))?, "")?;
    copy.put_file("sync.rs", Path::new("sync.rs"))?;
    for side in ["client", "server"] {
        copy.append(&format!("{side}/mod.rs"), "\npub mod models;\n")?;
        let models = format!("models/{side}.rs");
        copy.put_file(&format!("{side}/models.rs"), Path::new(&models))?;
    }
    // It is for generated code, and exports macros, which an included file can't.
    copy.put("private/mod.rs", String::new());
    copy.behead("lib.rs")?;
    copy.write(&out.join("copy"))
}
