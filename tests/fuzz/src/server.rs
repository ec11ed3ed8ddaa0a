//! What a hostile server remembers of its client, so that a script can name it. It fills in
//! placeholders, and obeys no rule.

use steadfast::wire::{ClientFrame, Codec};

use crate::frames::client_text;
use crate::script;

/// Sequences and numbers that were last seen or said.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// The last sequence sent, of this session; and the highest one received.
    sent: u64,
    received: u64,
    /// The last command number and subscription number that came.
    n: u64,
    sub: u64,
    /// The last event sent.
    ts: u64,
    sessions: u64,
    leases: u64,
}

impl Server {
    /// What the client says.
    pub(crate) fn hears(&mut self, frame: &ClientFrame) {
        let message = client_text(Codec::Json, frame);
        assert_eq!(
            Codec::Json.read_client(&message).as_ref(),
            Ok(frame),
            "what was written can be read"
        );
        match frame {
            ClientFrame::Command(command) => {
                self.received = command.seq.0;
                self.n = command.n.0;
            }
            ClientFrame::Subscribe(subscribe) => {
                self.sub = subscribe.sub.0;
                self.ts = subscribe.from.map_or(0, |from| from.ts.0);
            }
            _ => {}
        }
    }

    /// A line of a script as a message.
    pub(crate) fn message(&mut self, text: &[u8]) -> Vec<u8> {
        script::filled(text, |name, out| self.fill(name, out))
    }

    /// | `$` | What |
    /// |---|---|
    /// | `q`, `Q`, `a` | the next sequence, the last one, the last one received |
    /// | `c`, `u`, `e` | the last command, the last subscription, the next event |
    /// | `s`, `l` | the session, the lease |
    /// | `W` | WELCOME with a new session and a new lease |
    /// | `L` | WELCOME with a new session |
    /// | `R` | WELCOME that resumes |
    /// | `V`, `U` | WELCOME with a new session and no lease, one that resumes without |
    /// | `G` | LEASE that grants a new one |
    /// | `A`, `D` | RESULT of the last command, and one that refuses it for now |
    /// | `S`, `E` | SUBSCRIBED for the last subscription, its next EVENT |
    fn fill(&mut self, name: u8, out: &mut Vec<u8>) {
        let text = match name {
            b'q' => {
                self.sent += 1;
                self.sent.to_string()
            }
            b'Q' => self.sent.to_string(),
            b'a' => self.received.to_string(),
            b'c' => self.n.to_string(),
            b'u' => self.sub.to_string(),
            b'e' => {
                self.ts += 1;
                self.ts.to_string()
            }
            b's' => format!("{:032x}", self.sessions),
            b'l' => format!("{:032x}", self.leases),
            b'W' => {
                self.leases += 1;
                return self.begin(out);
            }
            b'L' => return self.begin(out),
            b'R' => {
                welcome(out, "true", true);
                return;
            }
            b'V' => {
                self.renew();
                welcome(out, "false", false);
                return;
            }
            b'U' => {
                welcome(out, "true", false);
                return;
            }
            b'G' => {
                self.leases += 1;
                return out.extend_from_slice(LEASE);
            }
            b'A' => return out.extend_from_slice(br#"[3,$q,$a,$c,0,{}]"#),
            b'D' => return out.extend_from_slice(br#"[9,$q,$a,$c,"overload",10]"#),
            b'S' => return out.extend_from_slice(SUBSCRIBED),
            b'E' => return out.extend_from_slice(br#"[5,$u,$e,"posted",{}]"#),
            _ => return,
        };
        out.extend_from_slice(text.as_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.renew();
        welcome(out, "false", true);
    }

    fn renew(&mut self) {
        self.sessions += 1;
        (self.sent, self.received) = (0, 0);
    }
}

fn welcome(out: &mut Vec<u8>, resumed: &str, leased: bool) {
    out.extend_from_slice(br#"[21,{"session":"$s","token":"$s","gen":1,"resumed":"#);
    out.extend_from_slice(resumed.as_bytes());
    out.extend_from_slice(br#","recv":$a,"ttl_ms":9000,"frame_bytes":700"#);
    if leased {
        out.extend_from_slice(br#","lease":{"id":"$l","state":"ok","span":8,"ttl_ms":9000}"#);
    }
    out.extend_from_slice(
        br#","window":{"frames":4,"bytes":900},"heartbeat":{"interval_ms":9000,"timeout_ms":2000,"missed":2}}]"#,
    );
}

const LEASE: &[u8] = br#"[28,{"id":"$l","state":"new","span":8,"ttl_ms":9000}]"#;

const SUBSCRIBED: &[u8] =
    br#"[24,{"sub":$u,"number":$u,"epoch":"0000000000000001","ts":0,"head":9,"snapshot":false,"reset":"initial"}]"#;
