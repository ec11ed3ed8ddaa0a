//! What goes wrong, and when: a seed's choice. The stage carries it out.

/// Something that breaks or is mended. Clients are numbered from 1; a client's link is the one
/// between it and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What is sent on a client's link is lost, both ways.
    Partition(u32),
    /// What is sent on a client's link is lost, one way.
    Deaf {
        /// Whose link.
        who: u32,
        /// Which way.
        to_server: bool,
    },
    /// What is sent on a client's link is held back.
    Hold(u32),
    /// What a client sends on its present connections, and on those of the next moment, is held
    /// back; later connections get through before them.
    LateOld {
        /// Whose link.
        who: u32,
        /// Whether the server's answers still arrive on the old ones.
        answers: bool,
    },
    /// A client's link works again; what waited arrives.
    Heal(u32),
    /// How long a message on a client's link may take.
    Latency {
        /// Whose link.
        who: u32,
        /// The longest time, in milliseconds.
        ms: u64,
    },
    /// The server's process dies, and with it its memory.
    CrashServer,
    /// It is started again, if it does not run.
    RestartServer,
    /// The server drains, and another one takes its place.
    DrainServer,
    /// A client's process dies.
    CrashClient(u32),
    /// It is started again, if it does not run.
    RestartClient(u32),
}

/// How many clients there are, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many clients.
    pub clients: u32,
    /// Faults, each with its time in virtual milliseconds.
    pub faults: Vec<(u64, Fault)>,
}

/// For how many virtual milliseconds things go wrong.
const SPAN_MS: u64 = 24_000;

impl Plan {
    /// A seed's plan.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x7075_6c70);
        let clients = random.u32(1..=3);
        let mut faults: Vec<(u64, Fault)> = Vec::new();
        for who in 1..=clients {
            add_link_faults(&mut random, who, &mut faults);
        }
        add_server_faults(&mut random, &mut faults);
        faults.sort_by_key(|(at, _)| *at);
        Self { clients, faults }
    }
}

/// Adds one trouble after another on one link.
fn add_link_faults(random: &mut fastrand::Rng, who: u32, faults: &mut Vec<(u64, Fault)>) {
    let mut at = random.u64(0..6_000);
    while at < SPAN_MS {
        let (fault, lasts) = match random.u32(0..12) {
            0..=2 => (Fault::Partition(who), random.u64(50..7_000)),
            3..=4 => (Fault::Deaf { who, to_server: random.bool() }, random.u64(50..7_000)),
            5..=6 => (Fault::Hold(who), random.u64(50..6_000)),
            7..=8 => (Fault::LateOld { who, answers: random.bool() }, random.u64(4_000..9_000)),
            9 => (Fault::CrashClient(who), random.u64(0..3_000)),
            _ => (Fault::Latency { who, ms: random.u64(1..400) }, 0),
        };
        faults.push((at, fault));
        match fault {
            Fault::CrashClient(_) => faults.push((at + lasts, Fault::RestartClient(who))),
            Fault::Latency { .. } => {}
            _ => faults.push((at + lasts, Fault::Heal(who))),
        }
        at += lasts + random.u64(100..6_000);
    }
}

fn add_server_faults(random: &mut fastrand::Rng, faults: &mut Vec<(u64, Fault)>) {
    let mut at = random.u64(2_000..20_000);
    while at < SPAN_MS {
        match random.u32(0..4) {
            0 => faults.push((at, Fault::DrainServer)),
            _ => {
                faults.push((at, Fault::CrashServer));
                at += random.u64(0..2_500);
                faults.push((at, Fault::RestartServer));
            }
        }
        at += random.u64(3_000..15_000);
    }
}
