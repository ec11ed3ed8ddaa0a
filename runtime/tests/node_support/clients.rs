//! What scripted clients do on their sockets.

use steadfast::session::node::ConnId;
use steadfast::session::store::TopicId;
use steadfast::session::{Close, CloseCode};
use steadfast::wire::{
    ClientFrame, CommandFrame, CommandNo, Hello, LeaseClaim, LeaseGrant, Position, Resume, Seq,
    SubNo, Subscribe, TopicNo, TopicSeq, Welcome, Window,
};
use steadfast_rig::fixtures::{self, CONCURRENT, ORDERED, body, name};

use super::{Bench, Peer, lost};

impl Bench {
    pub fn hello(&mut self) -> Hello {
        self.dials += 1;
        fixtures::hello(7, self.dials)
    }

    /// A HELLO that goes on where `conn` was.
    pub fn again(&mut self, conn: ConnId) -> Hello {
        let peer = self.peers[&conn].clone();
        let welcome = peer.welcome.expect("WELCOME came");
        let mut hello = self.hello();
        hello.resume =
            Some(Resume { session: welcome.session, token: welcome.token, recv: Seq(peer.recv) });
        let low = CommandNo(peer.low.max(1));
        let claim =
            |lease: LeaseGrant| LeaseClaim { id: lease.id, low, next: CommandNo(peer.seq + 1) };
        hello.lease = peer.lease.map(claim);
        hello.lease_later = hello.lease.is_none();
        hello
    }

    pub fn accept(&mut self) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.peers.insert(conn, Peer { low: 1, ..Peer::default() });
        let codec = self.codec;
        self.codecs.insert(conn, codec);
        self.act(|node, now| node.handle_connected(now, conn, codec));
        conn
    }

    pub fn dial(&mut self, hello: Hello) -> ConnId {
        let conn = self.accept();
        if let Some(resume) = &hello.resume {
            self.peer(conn).recv = resume.recv.0;
        }
        self.frame(conn, ClientFrame::Hello(Box::new(hello)));
        conn
    }

    /// A socket with a new session and lease.
    pub fn attach(&mut self) -> ConnId {
        let hello = self.hello();
        self.attach_with(hello)
    }

    /// The same of a certain user.
    pub fn attach_as(&mut self, user: &str) -> ConnId {
        let mut hello = self.hello();
        hello.token = Some(user.into());
        self.attach_with(hello)
    }

    fn attach_with(&mut self, hello: Hello) -> ConnId {
        let conn = self.dial(hello);
        assert!(self.peers[&conn].welcome.is_some(), "{:?}", self.closed);
        self.ack(conn);
        self.take(conn);
        conn
    }

    /// Loses `conn` and resumes its session.
    pub fn resume(&mut self, conn: ConnId) -> ConnId {
        self.cut(conn);
        let hello = self.again(conn);
        let low = self.peers[&conn].low;
        let next = self.dial(hello);
        self.peer(next).low = low;
        assert!(self.welcome(next).resumed);
        next
    }

    pub fn cut(&mut self, conn: ConnId) {
        self.act(|node, now| node.handle_disconnected(now, conn, lost()));
    }

    pub fn bye(&mut self, conn: ConnId) {
        self.act(|node, now| {
            node.handle_disconnected(now, conn, Close::new(CloseCode::NORMAL, "done"))
        });
    }

    pub fn peer(&mut self, conn: ConnId) -> &mut Peer {
        self.peers.get_mut(&conn).unwrap()
    }

    pub fn welcome(&self, conn: ConnId) -> Welcome {
        self.peers[&conn]
            .welcome
            .clone()
            .unwrap_or_else(|| panic!("no WELCOME: {:?}", self.closed.get(&conn)))
    }

    pub fn lease(&self, conn: ConnId) -> LeaseGrant {
        self.peers[&conn].lease.clone().expect("a lease")
    }

    pub fn frame(&mut self, conn: ConnId, frame: ClientFrame) {
        self.act(|node, now| node.handle_frame(now, conn, frame));
    }

    pub fn ack(&mut self, conn: ConnId) {
        let peer = self.peer(conn);
        let frame = ClientFrame::Ack { ack: Seq(peer.recv), low: CommandNo(peer.low) };
        self.frame(conn, frame);
    }

    /// The next command in sequence.
    pub fn command_frame(
        &mut self,
        conn: ConnId,
        message: &str,
        n: u64,
        text: &str,
    ) -> CommandFrame {
        let peer = self.peer(conn);
        peer.seq += 1;
        let (seq, ack, low) = (Seq(peer.seq), Seq(peer.recv), CommandNo(peer.low));
        CommandFrame {
            seq,
            ack,
            n: CommandNo(n),
            low,
            deadline_ms: None,
            name: name(message),
            body: body(text),
        }
    }

    pub fn send(&mut self, conn: ConnId, message: &str, n: u64, text: &str) {
        let command = self.command_frame(conn, message, n, text);
        self.frame(conn, ClientFrame::Command(command));
    }

    pub fn post(&mut self, conn: ConnId, n: u64) {
        self.send(conn, ORDERED, n, &format!("{{\"n\":{n}}}"));
    }

    pub fn ask(&mut self, conn: ConnId, n: u64) {
        self.send(conn, CONCURRENT, n, &format!("{{\"n\":{n}}}"));
    }

    pub fn subscribe(
        &mut self,
        conn: ConnId,
        sub: u64,
        topic: &TopicId,
        from: Option<Position>,
        credit: Window,
    ) {
        self.ask_for(conn, sub, topic, (from, None), credit);
    }

    /// From the latest so many events on (PROTOCOL.md 7.25).
    pub fn subscribe_last(&mut self, conn: ConnId, sub: u64, topic: &TopicId, last: u32) {
        let credit = Window { frames: 1_000, bytes: 1 << 20 };
        self.ask_for(conn, sub, topic, (None, Some(last)), credit);
    }

    fn ask_for(
        &mut self,
        conn: ConnId,
        sub: u64,
        topic: &TopicId,
        (from, last): (Option<Position>, Option<u32>),
        credit: Window,
    ) {
        let (topic, key) = (topic.name.clone(), topic.key.to_string());
        let subscribe = Subscribe { sub: SubNo(sub), topic, key, from, last, credit };
        self.frame(conn, ClientFrame::Subscribe(Box::new(subscribe)));
    }

    pub fn position(&mut self, conn: ConnId, topic: TopicNo, ts: u64, bytes: u64) {
        self.frame(conn, ClientFrame::Position { topic, ts: TopicSeq(ts), bytes });
    }
}
