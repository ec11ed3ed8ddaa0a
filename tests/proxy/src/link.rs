//! One link: two sockets, and what passes between them. What the bytes mean it does not know.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::allowance::Allowance;
use crate::{Rules, Shared, Side, Way, lock};

const CHUNK: usize = 16 * 1024;

/// What a test wants of an open link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Cut,
    Reset,
    Close(Side),
    CutAfter(Way, u64),
}

/// How forwarding ended.
enum End {
    Cut,
    Reset,
    Close(Side),
}

/// Forwards until the link ends: by order, by plan, or because a peer went away.
pub(crate) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    mut orders: mpsc::UnboundedReceiver<Order>,
    allowances: [Allowance; 2],
    shared: &Shared,
) {
    // Small frames must not wait for each other's ack: the proxy makes only the trouble that it was
    // asked for.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let [up, down] = allowances.map(Mutex::new);
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let upward = Pump { way: Way::Up, allowance: &up, shared };
        let downward = Pump { way: Way::Down, allowance: &down, shared };
        let (upward, downward) =
            (upward.run(from_client, to_server), downward.run(from_server, to_client));
        tokio::select! {
            end = obey(&mut orders, &up, &down) => end,
            end = both(upward, downward) => end,
        }
    };
    match end {
        End::Cut => {}
        End::Reset => {
            reset(client);
            reset(server);
        }
        End::Close(Side::Client) => keep(client, server, &mut orders).await,
        End::Close(Side::Server) => keep(server, client, &mut orders).await,
    }
}

/// Closes a socket with RST instead of FIN.
pub(crate) fn reset(socket: TcpStream) {
    let _ = socket.set_zero_linger();
    drop(socket);
}

/// Closes one socket and keeps the other, unread, until the link is cut.
async fn keep(closed: TcpStream, kept: TcpStream, orders: &mut mpsc::UnboundedReceiver<Order>) {
    drop(closed);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Cut => return,
            Order::Reset => return reset(kept),
            Order::Close(_) | Order::CutAfter(..) => {}
        }
    }
}

async fn obey(
    orders: &mut mpsc::UnboundedReceiver<Order>,
    up: &Mutex<Allowance>,
    down: &Mutex<Allowance>,
) -> End {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Cut => return End::Cut,
            Order::Reset => return End::Reset,
            Order::Close(side) => return End::Close(side),
            Order::CutAfter(Way::Up, bytes) => *lock(up) = Allowance::Bytes(bytes),
            Order::CutAfter(Way::Down, bytes) => *lock(down) = Allowance::Bytes(bytes),
        }
    }
    End::Cut
}

/// Waits until both ways have seen their end of stream, or one of them was cut or failed.
async fn both(
    upward: impl Future<Output = Result<(), End>>,
    downward: impl Future<Output = Result<(), End>>,
) -> End {
    match tokio::try_join!(upward, downward) {
        Ok(((), ())) => End::Cut,
        Err(end) => end,
    }
}

/// One way of a link.
struct Pump<'a> {
    way: Way,
    allowance: &'a Mutex<Allowance>,
    shared: &'a Shared,
}

impl Pump<'_> {
    async fn run(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), End> {
        let mut buffer = vec![0; CHUNK];
        loop {
            self.gate().await;
            let room = self
                .rules()
                .bytes_per_second
                .map_or(CHUNK, |rate| (rate as usize / 20).clamp(1, CHUNK));
            let read = from.read(&mut buffer[..room]).await.map_err(|_: io::Error| End::Reset)?;
            self.pace(read).await;
            self.gate().await;
            if read == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            let admitted = lock(self.allowance).admit(&buffer[..read]);
            to.write_all(&buffer[..admitted]).await.map_err(|_: io::Error| End::Reset)?;
            self.count(admitted as u64);
            if admitted < read {
                return Err(End::Cut);
            }
        }
    }

    fn rules(&self) -> Rules {
        *self.shared.rules.borrow()
    }

    /// Waits while this way is stalled.
    async fn gate(&self) {
        let mut rules = self.shared.rules.subscribe();
        let open = rules.wait_for(|rules| match self.way {
            Way::Up => !rules.stall_up,
            Way::Down => !rules.stall_down,
        });
        let _ = open.await;
    }

    async fn pace(&self, bytes: usize) {
        let rules = self.rules();
        let slow = rules.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1)))
        });
        let wait = rules.delay + slow;
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    fn count(&self, bytes: u64) {
        self.shared.counts.send_modify(|counts| match self.way {
            Way::Up => counts.up += bytes,
            Way::Down => counts.down += bytes,
        });
    }
}
