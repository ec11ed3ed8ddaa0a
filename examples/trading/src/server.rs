//! How the exchange is served: its file, its books made anew from it, its market data, until
//! Ctrl-C. What a request does is said elsewhere.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use steadfast::Codec;
use steadfast::server::{Denied, Heartbeat, Principal, Server, bearer};
use steadfast_sqlite::LocalStore;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;

use crate::book::FILLS_PER_ORDER;
use crate::clearing::Books;
use crate::cli::{DEFAULT_PORT, Kept};
use crate::desk::{Desk, SYMBOLS};
use crate::market;
use crate::place::Place;
use crate::protocol::{TradingCommand, TradingServer};
use crate::reads::Reads;
use crate::rows;

/// What a controlled server prints when it listens, followed by its address.
pub(crate) const LISTENING: &str = "listening on ";

/// How long a server that leaves waits for what is running.
const DRAIN: Duration = Duration::from_secs(3);

/// How often a demo's server looks whether its clients are there: it should find dead peers while
/// somebody watches.
const BRISK: Heartbeat = Heartbeat::new(Duration::from_millis(400), Duration::from_millis(200), 2);

/// The server, what reads beside it, and what was in the file.
struct Exchange {
    server: Server<TradingCommand>,
    reads: Reads,
    /// Where orders are kept, and how many are open.
    note: String,
    /// Of a file that is deleted after everything that uses it.
    _place: Option<Place>,
}

/// Serves people on loopback until Ctrl-C, and then drains.
///
/// # Errors
/// When it can't listen on the port, or open its file.
pub(crate) async fn serve(port: u16, kept: Kept) -> io::Result<()> {
    // What is named first is dropped last.
    let Exchange { _place, server, reads, note } = open(kept, Heartbeat::default())?;
    let (listener, addr) = bind(port).await?;
    println!("The exchange is served on ws://{addr}. {note}.\nIn two other terminals:\n");
    let option =
        if addr.port() == DEFAULT_PORT { String::new() } else { format!(" --server ws://{addr}") };
    for name in ["ada", "bo"] {
        println!("    cargo run -p trading -- screen --as {name}{option}");
    }
    println!("\nStop this server with Ctrl-C, or with kill -9, and start it again.");
    tokio::select! {
        served = server.serve_listener(listener) => served,
        () = market::tell(server.clone(), reads) => Ok(()),
        _ = tokio::signal::ctrl_c() => {
            println!("\nLeaving: what runs may finish, for at most {} s.", DRAIN.as_secs());
            server.shutdown(DRAIN).await;
            Ok(())
        }
    }
}

/// Serves as a child process: says where it listens, and ends with the first line of its input, or
/// with that.
///
/// # Errors
/// As [`serve`].
pub(crate) async fn serve_controlled(port: u16, kept: Kept) -> io::Result<()> {
    let Exchange { _place, server, reads, .. } = open(kept, BRISK)?;
    let (listener, addr) = bind(port).await?;
    println!("{LISTENING}{addr}");
    let mut input = BufReader::new(stdin()).lines();
    tokio::select! {
        served = server.serve_listener(listener) => served,
        () = market::tell(server.clone(), reads) => Ok(()),
        line = input.next_line() => line.map(|_| ()),
    }
}

/// Opens the exchange. Its orders are rows, which a store in memory does not have: so without a file
/// that outlives the server they are in one that is deleted with it.
fn open(kept: Kept, heartbeat: Heartbeat) -> io::Result<Exchange> {
    match kept {
        Kept::File(file) => {
            let (server, reads, open) = open_file(&file, heartbeat)?;
            let note = format!("Its orders are kept in {}; {open} are open", file.display());
            Ok(Exchange { server, reads, note, _place: None })
        }
        Kept::Memory => {
            let place = Place::new("memory")?;
            let (server, reads, _) = open_file(&place.file(), heartbeat)?;
            let note = "Nothing is kept (--memory): its orders end with this server".to_owned();
            Ok(Exchange { server, reads, note, _place: Some(place) })
        }
    }
}

/// Opens the file, in a directory that is made if there is none, and makes the books from it; how
/// many orders are open.
fn open_file(
    file: &Path,
    heartbeat: Heartbeat,
) -> io::Result<(Server<TradingCommand>, Reads, usize)> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let store = LocalStore::builder(file).schema(|db| rows::make(db, SYMBOLS)).open();
    let store = store.map_err(io::Error::other)?;
    let (books, reads) = (Books::default(), Reads::open(file).map_err(io::Error::other)?);
    let open = reads.now(|db| books.rebuild(db, SYMBOLS)).map_err(io::Error::other)?;
    // Everybody is believed to be who they say, because this is an example. A real server checks a
    // signature here.
    let who = bearer(|name: String| async move {
        if (1..=32).contains(&name.chars().count()) {
            Ok(Principal::new(name))
        } else {
            Err(Denied::new("a name has 1 to 32 characters"))
        }
    });
    let server = TradingServer::builder(Desk::new(books, reads.clone()))
        .store(store)
        .codecs(Codec::ALL)
        .authenticate(who)
        .configure(|config| {
            config.heartbeat = heartbeat;
            // Two reports and a trade for each order that it meets, and what it was asked for.
            config.publishes_per_command = 1 + 3 * FILLS_PER_ORDER;
        })
        .limits(|limits| limits.drain_spread = Duration::from_secs(1))
        .build();
    Ok((server, reads, open))
}

async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program uses it: stop that one, or choose a port with --port"
            }
            _ => "",
        };
        io::Error::new(error.kind(), format!("can't listen on port {port}: {error}{hint}"))
    })?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}
