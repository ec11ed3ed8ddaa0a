//! A fixed number of durable commands and nothing else, for a profiler: what the store does per
//! command, and what bare SQLite does for the same rows. It passes or fails nothing.
//!
//! `cargo build --release -p steadfast-bench --example durable_commands`, and then
//! `valgrind --tool=callgrind target/release/examples/durable_commands ours 128 400 /dev/shm`: so
//! many clients with so many commands each, one at a time, in a file in that directory.
#![allow(clippy::print_stdout, unreachable_pub, missing_docs, reason = "a program")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures time")]

#[path = "../src/rows"]
mod rows {
    pub mod bare_sqlite;
    pub mod commands;
}

use std::path::Path;
use std::time::Instant;

use futures_util::future::try_join_all;
use steadfast_sqlite::LocalStore;

use rows::bare_sqlite::Bare;
use rows::commands::{ask, command, open};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: durable_commands ours|bare CLIENTS COMMANDS [DIRECTORY]";

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [who, clients, commands, rest @ ..] = &args[..] else { return Err(USAGE.into()) };
    let (clients, commands) = (clients.parse()?, commands.parse()?);
    let directory = rest.first().map_or_else(std::env::temp_dir, Into::into);
    let directory = directory.join(format!("steadfast-durable-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let file = directory.join("store.db");
    let begun = Instant::now();
    let done = match who.as_str() {
        "ours" => ours(&file, clients, commands),
        "bare" => bare(&file, clients, commands),
        _ => Err(USAGE.into()),
    };
    let each = begun.elapsed().as_secs_f64() * 1e6 / (clients * commands) as f64;
    std::fs::remove_dir_all(&directory)?;
    println!("{who}: {clients} x {commands} commands, {each:.1} µs each, {} per COMMIT", done?);
    Ok(())
}

fn ours(file: &Path, clients: u64, commands: u64) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = LocalStore::open(file)?;
    let client = async |client: u64| -> Result<(), Failure> {
        ask(&store, open(client)).await?;
        for n in 1..=commands {
            ask(&store, command(client, n)).await?;
        }
        Ok(())
    };
    runtime.block_on(try_join_all((0..clients).map(client)))?;
    Ok(clients * commands / store.metrics().groups.max(1))
}

fn bare(file: &Path, clients: u64, commands: u64) -> Result<u64, Failure> {
    let db = Bare::make(file, clients)?;
    let mut bare = Bare::new(&db, clients)?;
    for _ in 0..commands {
        bare.commit(clients)?;
    }
    Ok(clients)
}
