//! Frames as they cross the border: who is attached, and which rule each frame concerns.

use std::collections::BTreeMap;

use steadfast::session::Now;
use steadfast::session::store::TopicId;
use steadfast::wire::{
    ClientFrame, CommandFrame, Hello, Position, ResumeFailure, ServerFrame, SessionId, SubNo,
    Subscribe, TopicNo, Welcome, Window,
};
use steadfast_rig::Rule;

use super::sequences::{Direction, SessionBook};
use super::topics::Feed;
use super::{Checkers, digest};
use crate::network::{Socket, SocketId, Way};

/// A socket, as the border shows it.
#[derive(Debug, Clone)]
pub(super) struct SocketBook {
    pub(super) process: u64,
    user: String,
    /// As it reached the server.
    hello: Option<Box<Hello>>,
    /// Attached at the server.
    pub(super) served: Option<SessionId>,
    /// Attached at the client.
    joined: Option<SessionId>,
    /// GOAWAY has reached the client.
    leaving: bool,
    up_next: u64,
    down_next: u64,
    /// Subscriptions as the server was asked for them, and as it feeds them.
    pub(super) asked: BTreeMap<SubNo, (Subscribe, Option<Position>)>,
    pub(super) feeds: BTreeMap<TopicNo, Feed>,
    /// Subscriptions as the client asked for them, and as it reads them.
    pub(super) asking: BTreeMap<SubNo, Subscribe>,
    pub(super) reading: BTreeMap<TopicNo, SubNo>,
}

impl SocketBook {
    pub(super) const fn next(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::Up => &mut self.up_next,
            Way::Down => &mut self.down_next,
        }
    }
}

fn smaller(one: Window, other: Window) -> Window {
    Window { frames: one.frames.min(other.frames), bytes: one.bytes.min(other.bytes) }
}

impl Checkers {
    /// A client opens a socket.
    pub fn dialled(&mut self, socket: &Socket) {
        let user = socket.token.clone().unwrap_or_default().trim_end_matches('!').to_owned();
        let book = SocketBook {
            process: socket.process,
            user,
            hello: None,
            served: None,
            joined: None,
            leaving: false,
            up_next: 0,
            down_next: 0,
            asked: BTreeMap::new(),
            feeds: BTreeMap::new(),
            asking: BTreeMap::new(),
            reading: BTreeMap::new(),
        };
        self.sockets.insert(socket.id, book);
    }

    /// The server has let go of a socket.
    pub fn detached(&mut self, socket: SocketId) {
        let Some(session) = self.sockets.get_mut(&socket).and_then(|book| book.served.take())
        else {
            return;
        };
        if let Some(session) =
            self.sessions.get_mut(&session).filter(|session| session.attached == Some(socket))
        {
            session.attached = None;
        }
    }

    // ---- client to server ----

    /// A client writes a frame.
    pub fn client_sent(&mut self, now: Now, socket: &Socket, frame: &ClientFrame) {
        let (id, process) = (socket.id, socket.process);
        if let ClientFrame::Hello(hello) = frame {
            self.claims.says_hello(process, hello.instance);
            return self.hello_leaves(process, hello);
        }
        let joined = self.sockets.get(&id).and_then(|book| book.joined);
        self.require(joined.is_some(), Rule::ClientWaitsForWelcome, || {
            format!("{id:?}: {frame:?}")
        });
        let Some(session) = joined else { return };
        match frame {
            ClientFrame::Command(command) => {
                self.command_leaves(now, id, process, session, command)
            }
            ClientFrame::Ack { ack, low } => {
                self.acks_cover_only_what_arrived(session, Way::Down, ack.0);
                self.low_never_passes_an_unresolved_number(process, low.0);
            }
            ClientFrame::Lease => self.claims.asks_for_lease(process),
            ClientFrame::Position { topic, ts, .. } => {
                self.positions_are_finished_with(id, *topic, *ts)
            }
            ClientFrame::Subscribe(subscribe) => {
                if let Some(book) = self.sockets.get_mut(&id) {
                    book.asking.insert(subscribe.sub, Subscribe::clone(subscribe));
                }
            }
            _ => {}
        }
    }

    fn hello_leaves(&mut self, process: u64, hello: &Hello) {
        if let Some(resume) = &hello.resume {
            self.acks_cover_only_what_arrived(resume.session, Way::Down, resume.recv.0);
        }
        if let Some(claim) = &hello.lease {
            self.low_never_passes_an_unresolved_number(process, claim.low.0);
        }
    }

    fn command_leaves(
        &mut self,
        now: Now,
        socket: SocketId,
        process: u64,
        session: SessionId,
        command: &CommandFrame,
    ) {
        let content = digest(&(command.n, &command.name, &command.body));
        self.nothing_new_goes_after_goaway(socket, session, command);
        self.attachment_goes_on_where_it_should(socket, Way::Up, command.seq.0);
        self.sequences_have_no_gap_and_no_repeat(
            session,
            Way::Up,
            command.seq.0,
            content,
            command.body.len(),
        );
        self.acks_cover_only_what_arrived(session, Way::Down, command.ack.0);
        self.low_never_passes_an_unresolved_number(process, command.low.0);
        self.numbers_stay_within_the_span(command);
        self.command_is_sent(now, process, command);
    }

    /// A client that was told to leave sends again what a resume asks for, and nothing else
    /// (PROTOCOL.md 8.2).
    fn nothing_new_goes_after_goaway(
        &mut self,
        socket: SocketId,
        session: SessionId,
        command: &CommandFrame,
    ) {
        let leaving = self.sockets.get(&socket).is_some_and(|book| book.leaving);
        let sent = self.sessions.get(&session).map_or(0, |session| session.up.sent);
        self.require(!leaving || command.seq.0 <= sent, Rule::NothingNewAfterGoAway, || {
            format!("{socket:?}: {} after {sent}", command.seq)
        });
    }

    /// A frame is about to reach a node's core, whose clock says `now`.
    pub fn server_received(&mut self, now: Now, socket: &Socket, frame: &ClientFrame) {
        let id = socket.id;
        let Some(book) = self.sockets.get_mut(&id) else { return };
        if let ClientFrame::Hello(hello) = frame {
            book.hello = Some(hello.clone());
            return;
        }
        let Some(session) = book.served else { return };
        match frame {
            ClientFrame::Command(command) => {
                self.sequence_arrives(session, Way::Up, command.seq.0);
                self.ack_arrives(session, Way::Down, command.ack.0);
                self.command_arrives(now, socket.node_process, session, command);
            }
            ClientFrame::Ack { ack, .. } => self.ack_arrives(session, Way::Down, ack.0),
            ClientFrame::Cancel { n } => self.cancel_arrives(socket.node_process, session, n.0),
            ClientFrame::Subscribe(subscribe) => {
                let topic =
                    TopicId { name: subscribe.topic.clone(), key: subscribe.key.as_str().into() };
                let head = self.topics.head(&topic);
                book.asked
                    .entry(subscribe.sub)
                    .or_insert_with(|| (Subscribe::clone(subscribe), head));
            }
            ClientFrame::Position { topic, ts, bytes } => {
                self.position_arrives(id, *topic, *ts, *bytes)
            }
            _ => {}
        }
    }

    // ---- server to client ----

    /// A node writes a frame.
    pub fn server_sent(&mut self, socket: &Socket, frame: &ServerFrame, bytes: usize) {
        let id = socket.id;
        match frame {
            ServerFrame::Welcome(welcome) => return self.welcome_leaves(socket, welcome),
            ServerFrame::ResumeFailed { reason } => {
                self.a_lost_welcome_costs_nothing(id, *reason);
                self.sometimes.count(&format!("resume failed: {reason:?}"));
                return;
            }
            _ => {}
        }
        let Some(session) = self.sockets.get(&id).and_then(|book| book.served) else { return };
        if let Some((seq, ack)) = sequence_of(frame) {
            self.attachment_goes_on_where_it_should(id, Way::Down, seq);
            let (content, length) = content_of(frame);
            self.sequences_have_no_gap_and_no_repeat(session, Way::Down, seq, content, length);
            self.acks_cover_only_what_arrived(session, Way::Up, ack);
        }
        match frame {
            ServerFrame::Ack { ack } => self.acks_cover_only_what_arrived(session, Way::Up, ack.0),
            ServerFrame::Result { n, dup, .. } | ServerFrame::Failed { n, dup, .. } => {
                self.answer_leaves(socket.node_process, session, n.0);
                if *dup {
                    self.sometimes.count("duplicate answered");
                }
                self.results_follow_commits(session, n.0, frame);
            }
            ServerFrame::Refused { n, code, .. } => {
                self.answer_leaves(socket.node_process, session, n.0);
                self.refusals_say_the_truth(socket.node_process, session, n.0, *code);
            }
            ServerFrame::Lease(grant) => {
                self.session_has_lease(socket.node_process, session, None, grant);
            }
            ServerFrame::Subscribed(subscribed) => self.feed_starts(id, subscribed),
            ServerFrame::Event { topic, ts, name, body } => {
                self.feed_goes_on(id, *topic, *ts, digest(&(name, body)), bytes);
            }
            ServerFrame::Snapshot { topic, ts, .. } => self.feed_jumps(id, *topic, *ts, bytes),
            _ => {}
        }
    }

    fn welcome_leaves(&mut self, socket: &Socket, welcome: &Welcome) {
        let id = socket.id;
        let Some(book) = self.sockets.get_mut(&id) else { return };
        let (Some(hello), user) = (book.hello.clone(), book.user.clone()) else { return };
        book.served = Some(welcome.session);
        book.down_next = 1;
        let process = book.process;
        if welcome.resumed {
            book.down_next = hello.resume.as_ref().map_or(0, |resume| resume.recv.0) + 1;
            self.resume_keeps_the_principal(welcome.session, &user);
            self.generation_rises(welcome, id);
            self.a_stale_dial_changes_nothing(welcome.session, &hello);
            self.acks_cover_only_what_arrived(welcome.session, Way::Up, welcome.recv.0);
            if let Some(resume) = &hello.resume {
                self.ack_arrives(welcome.session, Way::Down, resume.recv.0);
            }
            self.sometimes.count("resume ok");
        } else {
            let known = self.sessions.contains_key(&welcome.session);
            self.require(!known, Rule::SessionIdOnce, || format!("{:?}", welcome.session));
            let session = SessionBook {
                user: user.clone(),
                last_dial: (hello.instance, hello.dial),
                generation: welcome.generation.0,
                attached: Some(id),
                lease: None,
                up: Direction::default(),
                down: Direction::default(),
            };
            self.sessions.insert(welcome.session, session);
        }
        self.a_server_tells_the_verdict(process, &hello, welcome);
        if let Some(grant) = &welcome.lease {
            let claimed = hello.lease.as_ref().map(|claim| claim.id);
            self.session_has_lease(socket.node_process, welcome.session, claimed, grant);
        }
        let most = self.node_config.max_client_window;
        if let Some(session) = self.sessions.get_mut(&welcome.session) {
            session.up.window = Some(welcome.window);
            session.down.window = Some(smaller(hello.window, most));
        }
    }

    /// A token counts until the client has confirmed a later one; no client here shows one that it
    /// made up.
    fn a_lost_welcome_costs_nothing(&mut self, socket: SocketId, reason: ResumeFailure) {
        self.require(reason != ResumeFailure::Token, Rule::LostWelcomeIsFree, || {
            format!("{socket:?}")
        });
    }

    /// A session belongs to the newest socket of a process.
    fn a_stale_dial_changes_nothing(&mut self, session: SessionId, hello: &Hello) {
        let Some(book) = self.sessions.get_mut(&session) else { return };
        let (instance, last) = std::mem::replace(&mut book.last_dial, (hello.instance, hello.dial));
        let newer = instance != hello.instance || hello.dial > last;
        self.require(newer, Rule::StaleDialIsRefused, || {
            format!("{session:?}: {} after {last}", hello.dial)
        });
    }

    fn resume_keeps_the_principal(&mut self, session: SessionId, user: &str) {
        let before = self.sessions.get(&session).map(|book| book.user.clone());
        self.require(before.as_deref() == Some(user), Rule::ResumeKeepsPrincipal, || {
            format!("{session:?} of {before:?} resumed by {user}")
        });
    }

    /// At most one attachment per generation; the earlier one counts no longer.
    fn generation_rises(&mut self, welcome: &Welcome, socket: SocketId) {
        let Some(session) = self.sessions.get_mut(&welcome.session) else { return };
        let before = std::mem::replace(&mut session.generation, welcome.generation.0);
        let earlier = session.attached.replace(socket);
        if let Some(earlier) = earlier.filter(|&earlier| earlier != socket)
            && let Some(book) = self.sockets.get_mut(&earlier)
        {
            book.served = None;
        }
        // A WELCOME that never left has its generation all the same.
        self.require(welcome.generation.0 > before, Rule::GenerationRises, || {
            format!("{:?}: generation {} after {before}", welcome.session, welcome.generation.0)
        });
    }

    /// A frame is about to reach a client's core, on its current socket.
    pub fn client_received(&mut self, socket: &Socket, frame: &ServerFrame, bytes: usize) {
        let (id, process) = (socket.id, socket.process);
        self.nothing_is_longer_than_its_client_takes(frame, bytes);
        if let ServerFrame::Welcome(welcome) = frame {
            if let Some(book) = self.sockets.get_mut(&id) {
                book.joined = Some(welcome.session);
                book.up_next = welcome.recv.0 + 1;
            }
            self.is_told_to_leave(process, None);
            self.ack_arrives(welcome.session, Way::Up, welcome.recv.0);
            self.is_welcomed(process);
            self.joins(process, welcome.session, socket.node_process);
            self.claims.waits_no_more(process);
            match &welcome.lease {
                Some(lease) => self.lease_is_told(process, lease.id),
                None => self.sometimes.count("welcome without a lease"),
            }
            return;
        }
        let Some(session) = self.sockets.get(&id).and_then(|book| book.joined) else { return };
        if let Some((seq, ack)) = sequence_of(frame) {
            self.sequence_arrives(session, Way::Down, seq);
            self.ack_arrives(session, Way::Up, ack);
        }
        match frame {
            ServerFrame::Ack { ack } => self.ack_arrives(session, Way::Up, ack.0),
            ServerFrame::Lease(lease) => {
                self.sometimes.count("lease asked for");
                self.claims.waits_no_more(process);
                self.lease_is_told(process, lease.id);
            }
            ServerFrame::GoAway { after_ms, .. } => {
                self.is_told_to_leave(process, Some(*after_ms));
                if let Some(book) = self.sockets.get_mut(&id) {
                    book.leaving = true;
                }
            }
            ServerFrame::Result { n, .. } | ServerFrame::Failed { n, .. } => {
                self.answer_arrives(process, n.0, None)
            }
            ServerFrame::Refused { n, code, .. } => self.answer_arrives(process, n.0, Some(*code)),
            ServerFrame::Subscribed(_)
            | ServerFrame::Event { .. }
            | ServerFrame::Snapshot { .. } => {
                self.feed_arrives(id, frame);
            }
            ServerFrame::Unsubscribed { sub, code, .. } => {
                self.sometimes.count(&format!("unsubscribed: {code:?}"));
                self.refusal_arrives(id, *sub, *code);
            }
            _ => {}
        }
    }
}

const fn sequence_of(frame: &ServerFrame) -> Option<(u64, u64)> {
    match frame {
        ServerFrame::Result { seq, ack, .. }
        | ServerFrame::Failed { seq, ack, .. }
        | ServerFrame::Refused { seq, ack, .. }
        | ServerFrame::Direct { seq, ack, .. } => Some((seq.0, ack.0)),
        _ => None,
    }
}

fn content_of(frame: &ServerFrame) -> (u64, usize) {
    match frame {
        ServerFrame::Result { n, body, .. } => (digest(&(0, n, body)), body.len()),
        ServerFrame::Failed { n, code, name, body, .. } => {
            (digest(&(1, n, code, name, body)), body.len())
        }
        ServerFrame::Refused { n, code, .. } => (digest(&(2, n, code)), 0),
        ServerFrame::Direct { name, body, .. } => (digest(&(3, name, body)), body.len()),
        _ => (0, 0),
    }
}
