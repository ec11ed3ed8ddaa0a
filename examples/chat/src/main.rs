//! A chat that survives its network: a server, a client for the terminal, and a demo that counts
//! what a bad network costs.
//!
//! `protocol.rs` is the protocol, `server.rs` what the server does, `rooms.rs` what it remembers,
//! `terminal.rs` a client for people, `posts.rs` what they write until it has an outcome, and `demo/`
//! three clients without people. `server/tests.rs` is how a team would test all that: with
//! steadfast's test kit, without a network.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]
#![allow(clippy::disallowed_methods, reason = "a program makes tasks, waits and reads clocks")]

mod cli;
mod demo;
mod posts;
#[allow(unreachable_pub, reason = "the protocol would be a library that server and clients share")]
mod protocol;
mod rooms;
mod server;
mod terminal;

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
    // The thread that waits for a line from the terminal can't be stopped, and must not keep the
    // process from ending.
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
        Command::Join { room, name, url, outbox, codec } => {
            terminal::join(room, name, (url, codec), outbox).await.map(|()| true)
        }
        Command::Demo { seconds, seed, memory } => demo::run(seconds, seed, memory).await,
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
