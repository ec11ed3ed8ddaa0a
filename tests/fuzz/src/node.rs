//! Target `node`: a node whose hostile clients send raw messages, connect, vanish and stop reading,
//! while its store and handlers answer late and in any order. It carries out the script's steps;
//! [`crate::world`] checks what must hold.
//!
//! | Line | Step |
//! |---|---|
//! | `0…`, `1…`, `2…` | a message on the socket of that place, which is opened and greeted if need be; see [`Place::fill`] for `$x` |
//! | `+0` | a new socket there; an earlier one is lost |
//! | `-0`, `-0!` | the socket is lost, or closed with 1000 |
//! | `~0` | the socket stops reading, or reads again |
//! | `t500` | milliseconds pass |
//! | `o`, `s1,3` | the store waits for the script; the 1st operation ends in the 3rd way |
//! | `h`, `x1,3` | hooks wait for the script; the 1st execution ends in the 3rd way |
//! | `p` | the application publishes to `log` |
//! | `!` | the honest client is served |
//! | `*2,9` | the last 2 lines again, 9 times |

use std::cell::OnceCell;

use steadfast::session::Close;
use steadfast::session::node::ConnId;
use steadfast::wire::{Body, CloseCode, Codec, Epoch, ServerFrame, TopicNo, Welcome};
use steadfast_rig::fixtures::{log, publication};

use crate::script::{self, number, pair, small};
use crate::world::{SOCKETS, World};

/// The longest that a script waits at a time, in milliseconds.
const PASS_MS: u64 = 400_000;

/// Steps between two looks at how much the node holds.
const LOOK: usize = 32;

thread_local! {
    static START: OnceCell<World> = const { OnceCell::new() };
}

/// Runs one script.
pub(crate) fn run(input: &[u8]) {
    let world = START.with(|start| start.get_or_init(World::new).clone());
    let mut attack = Attack { world, places: Default::default(), dials: 0 };
    let mut steps = 0;
    script::run(input, |line| {
        attack.step(line);
        steps += 1;
        if steps % LOOK == 0 {
            attack.world.is_bounded();
        }
    });
    attack.world.is_bounded();
    attack.world.the_honest_client_is_served();
}

/// What a hostile client remembers of one of its sockets.
#[derive(Default)]
struct Place {
    index: usize,
    conn: Option<ConnId>,
    welcome: Option<Welcome>,
    /// Sequences sent and received.
    sent: u64,
    received: u64,
    /// The last command number and subscription number used.
    n: u64,
    sub: u64,
    topic: TopicNo,
    epoch: Option<Epoch>,
}

struct Attack {
    world: World,
    places: [Place; SOCKETS],
    dials: u64,
}

impl Attack {
    fn step(&mut self, line: &[u8]) {
        let (Some(first), rest) = (line.first(), line.get(1..).unwrap_or_default()) else { return };
        let place = (small(number(rest))) % SOCKETS;
        match first {
            b'0'..=b'2' => self.send(usize::from(first - b'0'), rest),
            b'+' => self.connect(place),
            b'-' => {
                let close = if rest.ends_with(b"!") {
                    Close::new(CloseCode::NORMAL, "")
                } else {
                    Close::lost("cut")
                };
                self.disconnect(place, close);
            }
            b'~' => self.stick(place),
            b't' => self.world.pass(number(rest).min(PASS_MS)),
            b'o' => self.world.store_by_hand = true,
            b's' => self.world.answer(small(pair(rest).0), pair(rest).1),
            b'h' => self.world.hooks_by_hand = true,
            b'x' => self.world.execute(small(pair(rest).0), pair(rest).1),
            b'p' => {
                let event = publication(log("0"), Body::UNIT);
                let _ = self.world.node.publish(self.world.now, event);
            }
            b'!' => self.world.the_honest_client_is_served(),
            _ => return,
        }
        self.world.pump();
        self.learn();
    }

    fn connect(&mut self, place: usize) {
        self.disconnect(place, Close::lost("replaced"));
        let conn = self.world.connect();
        self.places[place].index = place;
        self.places[place].conn = Some(conn);
    }

    fn disconnect(&mut self, place: usize, close: Close) {
        if let Some(conn) = self.places[place].conn.take() {
            self.world.stuck.remove(&conn);
            self.world.node.handle_disconnected(self.world.now, conn, close);
        }
    }

    fn stick(&mut self, place: usize) {
        let Some(conn) = self.places[place].conn else { return };
        if self.world.stuck.remove(&conn) {
            self.world.read(conn);
        } else {
            self.world.stuck.insert(conn);
        }
    }

    fn send(&mut self, at: usize, text: &[u8]) {
        if self.places[at].conn.is_none() {
            self.connect(at);
            let known = self.places[at].welcome.is_some();
            match (
                text.starts_with(b"$H") || text.starts_with(b"$R") || text.starts_with(b"[20"),
                known,
            ) {
                (true, _) => {}
                (false, true) => self.say(at, b"$R"),
                (false, false) => self.say(at, b"$H"),
            }
            self.world.pump();
            self.learn();
        }
        self.say(at, text);
    }

    fn say(&mut self, at: usize, text: &[u8]) {
        let place = &mut self.places[at];
        let dials = &mut self.dials;
        let message = script::filled(text, |name, out| place.fill(name, dials, out));
        let Some(conn) = place.conn else { return };
        if self.world.message(conn, &message).is_err() {
            self.world.stuck.remove(&conn);
            self.places[at].conn = None;
        }
    }

    /// Takes from what the node sent what the next messages may name.
    fn learn(&mut self) {
        while let Some((conn, message)) = self.world.sent.pop_front() {
            let frame = Codec::Json.read_server(&message).expect("what was written can be read");
            if let Some(place) = self.places.iter_mut().find(|place| place.conn == Some(conn)) {
                place.learn(frame);
            }
        }
        for (conn, _) in self.world.closed.drain(..) {
            self.world.stuck.remove(&conn);
            if let Some(place) = self.places.iter_mut().find(|place| place.conn == Some(conn)) {
                place.conn = None;
            }
        }
    }
}

impl Place {
    fn learn(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Welcome(welcome) => {
                self.sent = welcome.recv.0;
                if !welcome.resumed {
                    self.received = 0;
                }
                if self.welcome.as_ref().is_none_or(|before| before.lease != welcome.lease) {
                    self.n = 0;
                }
                self.welcome = Some(*welcome);
            }
            ServerFrame::Lease(lease) => {
                self.n = 0;
                if let Some(welcome) = &mut self.welcome {
                    welcome.lease = Some(lease);
                }
            }
            ServerFrame::Result { seq, .. }
            | ServerFrame::Failed { seq, .. }
            | ServerFrame::Refused { seq, .. }
            | ServerFrame::Direct { seq, .. } => {
                self.received = seq.0;
            }
            ServerFrame::Subscribed(subscribed) => {
                (self.topic, self.epoch) = (subscribed.number, Some(subscribed.epoch));
            }
            _ => {}
        }
    }

    /// | `$` | What |
    /// |---|---|
    /// | `q`, `a` | the next sequence, the last one received |
    /// | `c`, `C` | the next command number, the last one |
    /// | `u`, `U` | the next subscription number, the last one |
    /// | `n`, `e` | number and epoch of the last topic |
    /// | `s`, `t`, `l` | session, token of the last WELCOME, and the lease |
    /// | `i`, `d` | this place's instance, the next dial |
    /// | `H`, `R` | a HELLO for a new session, one that resumes |
    /// | `h`, `r` | the same of who has no lease yet |
    /// | `P`, `K` | the next ordered command, the next concurrent one |
    /// | `S`, `F` | SUBSCRIBE of `log`, and of `log` from the last epoch |
    fn fill(&mut self, name: u8, dials: &mut u64, out: &mut Vec<u8>) {
        let welcome = self.welcome.as_ref();
        let text = match name {
            b'q' => {
                self.sent += 1;
                self.sent.to_string()
            }
            b'a' => self.received.to_string(),
            b'c' => {
                self.n += 1;
                self.n.to_string()
            }
            b'C' => self.n.to_string(),
            b'u' => {
                self.sub += 1;
                self.sub.to_string()
            }
            b'U' => self.sub.to_string(),
            b'n' => self.topic.to_string(),
            b'e' => self.epoch.unwrap_or(Epoch(1)).to_string(),
            b's' => welcome.map_or_else(|| hex(1), |welcome| welcome.session.to_string()),
            b't' => hex(welcome.map_or(1, |welcome| welcome.token.0)),
            b'l' => welcome
                .and_then(|welcome| welcome.lease.as_ref())
                .map_or_else(|| hex(1), |lease| lease.id.to_string()),
            b'i' => hex(self.index as u128),
            b'd' => {
                *dials += 1;
                dials.to_string()
            }
            b'H' => return out.extend_from_slice(HELLO),
            b'R' => return out.extend_from_slice(RESUME),
            b'h' => return out.extend_from_slice(READER),
            b'r' => return out.extend_from_slice(READER_AGAIN),
            b'P' => return out.extend_from_slice(br#"[1,$q,$a,$c,0,"post",{}]"#),
            b'K' => return out.extend_from_slice(br#"[1,$q,$a,$c,0,"ask",{}]"#),
            b'S' => return out.extend_from_slice(SUBSCRIBE),
            b'F' => return out.extend_from_slice(FOLLOW),
            _ => return,
        };
        out.extend_from_slice(text.as_bytes());
    }
}

const HELLO: &[u8] =
    br#"[20,{"v":1,"protocol":"chat","version":"1","instance":"$i","dial":$d,"window":{"frames":4,"bytes":500}}]"#;
const RESUME: &[u8] = br#"[20,{"v":1,"protocol":"chat","version":"1","instance":"$i","dial":$d,"window":{"frames":4,"bytes":500},"resume":{"session":"$s","token":"$t","recv":$a},"lease":{"id":"$l","low":1,"next":$C}}]"#;
const READER: &[u8] =
    br#"[20,{"v":1,"protocol":"chat","version":"1","instance":"$i","dial":$d,"window":{"frames":4,"bytes":500},"lease_later":true}]"#;
const READER_AGAIN: &[u8] =
    br#"[20,{"v":1,"protocol":"chat","version":"1","instance":"$i","dial":$d,"window":{"frames":4,"bytes":500},"resume":{"session":"$s","token":"$t","recv":$a},"lease_later":true}]"#;
const SUBSCRIBE: &[u8] =
    br#"[23,{"sub":$u,"topic":"log","key":"0","credit":{"events":4,"bytes":500}}]"#;
const FOLLOW: &[u8] =
    br#"[23,{"sub":$u,"topic":"log","key":"0","from":{"epoch":"$e","ts":0},"credit":{"events":4,"bytes":500}}]"#;

fn hex(id: u128) -> String {
    format!("{id:032x}")
}
