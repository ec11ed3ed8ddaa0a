//! Sessions: sequences, acks, windows, generations (PROTOCOL.md section 4).

use steadfast::wire::{LeaseId, LeaseState, Seq, ServerFrame, SessionId, Welcome};
use steadfast_rig::Rule;

use super::Ledger;
use crate::marks::{Mark, Marks};
use crate::state::{Process, Socket, Way};

/// A session, as the border shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionBook {
    pub(super) process: Process,
    /// The node process that has it.
    node: Process,
    stranger: bool,
    generation: u64,
    pub(super) lease: Option<LeaseId>,
    /// Highest sequence that has reached the other end's core, per direction.
    up: u64,
    down: u64,
    /// Highest sequence that a node has given, and that it has seen acknowledged.
    sent_down: u64,
    acked_down: u64,
}

impl SessionBook {
    const fn accepted(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

/// The sequence of a frame, and the ack that it carries.
pub(super) const fn sequence_of(frame: &ServerFrame) -> Option<(Seq, Seq)> {
    match frame {
        ServerFrame::Result { seq, ack, .. }
        | ServerFrame::Failed { seq, ack, .. }
        | ServerFrame::Refused { seq, ack, .. }
        | ServerFrame::Direct { seq, ack, .. } => Some((*seq, *ack)),
        _ => None,
    }
}

impl Ledger {
    /// A node attaches a socket.
    pub(crate) fn welcome_leaves(
        &mut self,
        (process, node): (Process, Process),
        socket: &mut Socket,
        welcome: &Welcome,
        marks: &Marks,
    ) {
        socket.served = Some(welcome.session);
        let (stranger, generation) = (socket.stranger, welcome.generation.0);
        if !welcome.resumed {
            let elsewhere =
                self.sessions.values().any(|book| book.process == process && book.node != node);
            let state = welcome.lease.as_ref().map(|lease| lease.state);
            if elsewhere && state == Some(LeaseState::Ok) {
                marks.set(Mark::Takeover);
            }
            let book = SessionBook {
                process,
                node,
                stranger,
                generation,
                lease: None,
                up: 0,
                down: 0,
                sent_down: 0,
                acked_down: 0,
            };
            let known = self.sessions.insert(welcome.session, book).is_some();
            self.require(!known, Rule::SessionIdOnce, || {
                format!("{:?} is new twice", welcome.session)
            });
            return;
        }
        marks.set(Mark::Resume);
        // A late HELLO may resume a session that its client has left; nobody hears of it.
        let Some(book) = self.sessions.get_mut(&welcome.session) else { return };
        let before = std::mem::replace(&mut book.generation, generation);
        let (owner, accepted) = (book.stranger, book.up);
        self.require(generation > before, Rule::GenerationRises, || {
            format!("{generation} follows {before}")
        });
        self.require(owner == stranger, Rule::ResumeKeepsPrincipal, || {
            format!("{:?} resumes for another", welcome.session)
        });
        self.require(welcome.recv.0 == accepted, Rule::AcksCoverAccepted, || {
            format!("{welcome:?}, accepted {accepted}")
        });
    }

    /// A client is told its session; it leaves any other one.
    pub(crate) fn welcome_arrives(
        &mut self,
        process: Process,
        socket: &mut Socket,
        welcome: &Welcome,
        marks: &Marks,
    ) {
        socket.joined = Some(welcome.session);
        self.sessions.retain(|id, book| book.process != process || *id == welcome.session);
        if let Some(lease) = &welcome.lease {
            self.lease_is_told(process, lease.id, marks);
        }
    }

    /// Whether a client may come back to a session of this node process.
    pub(crate) fn may_be_resumed_at(&self, node: Process) -> bool {
        self.sessions.values().any(|book| book.node == node)
    }

    /// On an attachment that counts, each sequenced frame is the last accepted one plus 1, across
    /// all attachments.
    pub(super) fn sequence_arrives(&mut self, id: Option<SessionId>, way: Way, seq: Seq) {
        let Some(book) = id.and_then(|id| self.sessions.get_mut(&id)) else { return };
        let accepted = book.accepted(way);
        let before = *accepted;
        *accepted = seq.0;
        self.require(seq.0 == before + 1, Rule::SequencesAreWhole, || {
            format!("{way:?}: {seq} follows {before}")
        });
    }

    /// An ack that is about to travel covers what has been accepted, and nothing else.
    pub(super) fn ack_leaves(&mut self, id: Option<SessionId>, of: Way, ack: Seq) {
        let Some(book) = id.and_then(|id| self.sessions.get_mut(&id)) else { return };
        let accepted = *book.accepted(of);
        self.require(ack.0 <= accepted, Rule::AcksCoverAccepted, || {
            format!("{of:?}: ack {ack}, accepted {accepted}")
        });
    }

    pub(super) fn ack_arrives(&mut self, id: Option<SessionId>, ack: Seq) {
        if let Some(book) = id.and_then(|id| self.sessions.get_mut(&id)) {
            book.acked_down = book.acked_down.max(ack.0);
        }
    }

    pub(super) fn sequence_leaves(&mut self, id: Option<SessionId>, seq: Seq, window: u32) {
        let Some(book) = id.and_then(|id| self.sessions.get_mut(&id)) else { return };
        let (before, acked) = (book.sent_down, book.acked_down);
        book.sent_down = before.max(seq.0);
        self.require(seq.0 <= before + 1, Rule::SequencesAreWhole, || {
            format!("{seq} is sent after {before}")
        });
        let again = seq.0 <= before;
        self.require(again || seq.0 - acked <= u64::from(window), Rule::WindowIsKept, || {
            format!("{seq} is sent, {acked} is acknowledged, the window is {window}")
        });
    }
}
