//! A TCP proxy that a test can cut, stall and heal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Pass,
    /// Bytes wait, in both directions.
    Stall,
    /// New connections are dropped at once.
    Refuse,
}

/// Between a client and a server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    pub(crate) accepted: Arc<AtomicUsize>,
    /// Pieces that the server sent.
    pub(crate) answers: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (mode, cuts) = (watch::Sender::new(Mode::Pass), watch::Sender::new(0));
        let accepted = Arc::new(AtomicUsize::new(0));
        let answers = Arc::new(AtomicUsize::new(0));
        let answered = Arc::clone(&answers);
        let (modes, cut, count) = (mode.clone(), cuts.clone(), Arc::clone(&accepted));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                if *modes.borrow() == Mode::Refuse {
                    continue;
                }
                let (modes, mut cut) = (modes.subscribe(), cut.subscribe());
                let answered = Arc::clone(&answered);
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    let _ = client.set_nodelay(true);
                    let _ = server.set_nodelay(true);
                    let (client_in, client_out) = client.into_split();
                    let (server_in, server_out) = server.into_split();
                    let asked = AtomicUsize::new(0);
                    tokio::select! {
                        () = copy(client_in, server_out, modes.clone(), &asked) => {}
                        () = copy(server_in, client_out, modes, &answered) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, mode, cuts, accepted, answers }
    }

    /// Ends every connection now.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn stall(&self) {
        self.mode.send_replace(Mode::Stall);
    }

    pub(crate) fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
    }

    pub(crate) fn heal(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    pieces: &AtomicUsize,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
                    return;
                }
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
                pieces.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
