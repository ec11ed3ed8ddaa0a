//! The adapters of our server and our client as a program, for
//! `cargo run -p steadfast-conformance -- --server target/debug/examples/adapter server`, and the
//! same with `client`.

#![allow(missing_docs, reason = "an example's modules are nobody's interface")]
#![allow(clippy::disallowed_methods, reason = "an adapter makes tasks and waits")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "whoever starts it is told what was wrong")]

#[path = "../tests/suite/ours/mod.rs"]
mod ours;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let ends: ours::Ends = (Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout()));
    match std::env::args().nth(1).as_deref() {
        Some("server") => ours::server::adapt(ends, None).await,
        Some("client") => ours::client::adapt(ends, None).await,
        _ => {
            eprintln!("adapter server | adapter client");
            return ExitCode::from(2);
        }
    }
    // The runtime would wait for a read of standard input that never ends.
    std::process::exit(0)
}
