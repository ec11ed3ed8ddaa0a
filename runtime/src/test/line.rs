//! A line between a client and the servers of a net, and what can go wrong on it. The bytes are
//! carried elsewhere.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::fault::Fault;
use super::frames::SaidKind;
use super::link;
use super::links::OpenLink;
use super::rules::{LineState, Refusal, Trigger};
use super::shared::Shared;
use super::way::Way;
use crate::client::{Builder, ClientStub, Target};
use crate::host;

/// The line of a client, which carries all its sockets. Clones are the same line.
///
/// Every fault is traced, and ends with [`Line::heal`]; one that waits for something returns a
/// [`Fault`], which says when it has happened.
#[derive(Clone)]
pub struct Line {
    shared: Arc<Shared>,
    state: Arc<LineState>,
}

impl Line {
    pub(super) fn new(shared: &Arc<Shared>, name: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            state: Arc::new(LineState::new(shared.next_line(), name)),
        }
    }

    /// Puts a client on this line: its sockets are in memory, the host of its URL names a server of
    /// the net (`ws://chat` is `net.serve("chat", ..)`), and its random numbers follow from the
    /// net's seed. Whatever else it is told stays: token, codec, configuration.
    pub fn client<C: ClientStub>(&self, builder: Builder<C>) -> Builder<C> {
        let Self { shared, state } = self.clone();
        builder.insecure_seed(shared.seed_of_client(&state.name)).connector(move |target| {
            let (shared, state) = (Arc::clone(&shared), Arc::clone(&state));
            async move { dial(&shared, &state, &target).await }
        })
    }

    /// Closes the sockets that are open, at both ends; what is under way on them is lost. Returns
    /// how many there were. The client dials again as its backoff says.
    pub fn cut(&self) -> usize {
        let links = self.links();
        self.note(format_args!("cut"));
        links.iter().for_each(|link| link.cut());
        links.len()
    }

    /// Cuts the socket once `messages` more messages of the protocol have passed that way; with 0
    /// the next one is lost with it. HELLO and WELCOME count, pings of WebSocket do not.
    pub fn cut_after(&self, way: Way, messages: u64) -> Fault {
        let what = format!("{}: cut after {messages} messages, {way:?}", self.state.name);
        self.trap(Trigger::Count(way, messages), what)
    }

    /// Loses the next outcome of a command, with the socket: it was executed and recorded, and its
    /// caller does not know.
    pub fn lose_answer(&self) -> Fault {
        let what = format!("{}: an answer is lost with its socket", self.state.name);
        self.trap(Trigger::Kind(SaidKind::Answer), what)
    }

    /// Loses the next command, with the socket: the server never gets it.
    pub fn lose_command(&self) -> Fault {
        let what = format!("{}: a command is lost with its socket", self.state.name);
        self.trap(Trigger::Kind(SaidKind::Command), what)
    }

    /// From here on nothing passes that way, and no dial gets through, until [`Line::heal`]. The
    /// sockets stay open, and what is said meanwhile passes then: up to 256 KiB and two pipes of 64
    /// KiB each way; beyond that whoever writes has to wait.
    pub fn stall(&self, way: Way) {
        self.note(format_args!("stalls, {way:?}"));
        self.state.change(|rules| rules.stalled = Some(way));
    }

    /// From here on everything takes so long to its other end, each way, in order.
    pub fn latency(&self, latency: Duration) {
        self.note(format_args!("has a latency of {latency:?}"));
        self.state.change(|rules| rules.latency = latency);
    }

    /// Until [`Line::heal`], each dial is refused. Sockets that are open stay so.
    pub fn refuse(&self, refusal: Refusal) -> Fault {
        let what = format!("{}: a dial is refused, {refusal:?}", self.state.name);
        let fault = Fault::new(&self.shared, what);
        self.note(format_args!("refuses dials, {refusal:?}"));
        self.state.change(|rules| rules.refusal = Some((refusal, fault.clone())));
        fault
    }

    /// Takes every fault back that is under way or has yet to happen.
    pub fn heal(&self) {
        self.note(format_args!("heals"));
        self.state.heal();
    }

    /// Sockets that are open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.links().len()
    }

    fn links(&self) -> Vec<Arc<OpenLink>> {
        self.shared.links(|link| link.line == self.state.no)
    }

    fn trap(&self, trigger: Trigger, what: String) -> Fault {
        let fault = Fault::new(&self.shared, what);
        self.state.set_trap(trigger, fault.clone());
        fault
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        self.shared.note(format_args!("{}: {what}", self.state.name));
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("name", &self.state.name).finish_non_exhaustive()
    }
}

/// The client's end of a new socket.
async fn dial(
    shared: &Arc<Shared>,
    line: &Arc<LineState>,
    target: &Target,
) -> io::Result<DuplexStream> {
    line.dials().await;
    let refused = |reason: String| io::Error::new(io::ErrorKind::ConnectionRefused, reason);
    if let Some((refusal, fault)) = line.refusal() {
        fault.happens(format_args!(""));
        return match refusal {
            Refusal::Unreachable => Err(refused("nobody listens".to_owned())),
            Refusal::Status(status) => Ok(refuse(status, None)),
            Refusal::RetryAfter(after) => Ok(refuse(503, Some(after))),
        };
    }
    let door = shared.door(&target.host).map_err(|reason| {
        shared.note(format_args!("{}: a dial fails: {reason}", line.name));
        refused(reason)
    })?;
    let (client, server) = link::open(shared, line, &target.host);
    door(server);
    Ok(client)
}

/// A socket on which a proxy answers the upgrade.
fn refuse(status: u16, retry_after: Option<Duration>) -> DuplexStream {
    let (client, mut proxy) = tokio::io::duplex(4096);
    let retry_after = retry_after.map(|after| {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        format!("retry-after: {seconds}\r\n")
    });
    let retry_after = retry_after.unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status} Refused\r\n{retry_after}content-length: 0\r\nconnection: close\r\n\r\n"
    );
    host::spawn(async move {
        let (mut request, mut part) = (Vec::new(), [0; 1024]);
        while !request.ends_with(b"\r\n\r\n") && request.len() < 64 * 1024 {
            match proxy.read(&mut part).await {
                Ok(0) | Err(_) => return,
                Ok(read) => request.extend_from_slice(&part[..read]),
            }
        }
        let _ = proxy.write_all(answer.as_bytes()).await;
        let _ = proxy.shutdown().await;
    });
    client
}
