//! An exchange that survives its network, and kill -9: a server that matches orders in transactions
//! of its store, a screen for people, a load, and a demo that counts what was lost or doubled.
//!
//! `protocol.rs` is the protocol. `book/` is how orders meet, `rows.rs` the tables, `clearing.rs`
//! what a transaction does with both, `desk.rs` the handlers, `market.rs` and `reads.rs` what
//! screens are told, and `server.rs` how it all is served.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]
#![allow(clippy::disallowed_methods, reason = "a program makes tasks, waits and reads clocks")]

mod book;
mod clearing;
mod cli;
mod demo;
mod desk;
mod load;
mod market;
mod orders;
mod place;
#[allow(unreachable_pub, reason = "the protocol would be a library that server and clients share")]
mod protocol;
mod reads;
mod rows;
mod screen;
mod server;

use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(mistake) => {
            eprintln!("{mistake}\n\n{}", cli::HELP);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(command));
    // The thread that waits for the input can't be stopped, and must not keep the process.
    runtime.shutdown_background();
    code
}

async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Help => {
            println!("{}", cli::HELP);
            Ok(true)
        }
        Command::Serve { port, controlled: false, kept } => {
            server::serve(port, kept).await.map(|()| true)
        }
        Command::Serve { port, controlled: true, kept } => {
            server::serve_controlled(port, kept).await.map(|()| true)
        }
        Command::Demo { seconds, seed } => demo::run(seconds, seed).await,
        Command::Load { clients, seconds, url, codec } => {
            load::run(clients, seconds, (url, codec)).await
        }
        Command::Screen { name, symbol, url, codec } => {
            screen::run(name, symbol, (url, codec)).await.map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
