//! Whatever a peer sends: decoders and whole sessions, fed with bytes that somebody hostile chose.
//! Here are the bodies of the fuzz targets, their corpus, and its replay. `libfuzzer/` wraps
//! libFuzzer around them, so that everything here runs on the stable toolchain.

mod bodies;
mod client;
pub mod corpus;
mod frames;
mod honest;
mod ledger;
mod node;
mod oracle;
mod protocol;
mod script;
mod server;
mod session;
mod size;
mod upgrade;
mod world;

use steadfast::wire::Codec;

use crate::corpus::Inputs;

/// Every codec: each property is checked in each, whatever an input was meant for.
pub const CODECS: &[Codec] = &Codec::ALL;

/// Something that takes bytes of a hostile peer, and panics if a property does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its archive in the corpus.
    pub name: &'static str,
    /// One execution.
    pub run: fn(&[u8]),
    /// How many inputs are committed. Said here once more, so that one that is lost is noticed.
    pub inputs: usize,
}

/// Every target.
#[must_use]
pub fn targets() -> &'static [Target] {
    &[
        Target {
            name: "client_frames",
            run: |input| each_codec(frames::client, input),
            inputs: 405,
        },
        Target {
            name: "server_frames",
            run: |input| each_codec(frames::server, input),
            inputs: 387,
        },
        Target { name: "bodies", run: |input| each_codec(bodies::read, input), inputs: 327 },
        Target { name: "node", run: node::run, inputs: 301 },
        Target { name: "client", run: client::run, inputs: 301 },
        Target { name: "session", run: session::run, inputs: 300 },
        Target { name: "upgrade", run: upgrade::run, inputs: 300 },
    ]
}

fn each_codec(check: fn(Codec, &[u8]), input: &[u8]) {
    CODECS.iter().for_each(|codec| check(*codec, input));
}

/// What a replay has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// All inputs.
    pub inputs: usize,
    /// Inputs per target.
    pub per_target: Vec<(&'static str, usize)>,
}

/// Says which input it was, should its execution panic.
struct Shown<'a>(&'a str, &'a str);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {} of corpus/{}.inputs", self.1, self.0);
        }
    }
}

/// Runs every committed input once.
///
/// # Errors
/// When an archive can't be read, or is damaged.
///
/// # Panics
/// When a property does not hold.
pub fn replay() -> std::io::Result<Replayed> {
    let mut per_target = Vec::new();
    for target in targets() {
        let inputs = Inputs::committed(target.name)?;
        for (name, bytes) in inputs.iter() {
            let _shown = Shown(target.name, name);
            (target.run)(bytes);
        }
        per_target.push((target.name, inputs.len()));
    }
    Ok(Replayed { inputs: per_target.iter().map(|(_, inputs)| inputs).sum(), per_target })
}

/// One execution of a target, by name.
///
/// # Panics
/// When there is no such target, or a property does not hold.
pub fn run(target: &str, input: &[u8]) {
    let target = targets().iter().find(|it| it.name == target).expect("the target is in the list");
    (target.run)(input);
}
