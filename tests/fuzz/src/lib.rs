//! Whatever a peer sends: decoders and whole sessions, fed with bytes that somebody hostile chose.
//! Owns the bodies of the fuzz targets, their corpus, and its replay; refuses libFuzzer, which
//! `libfuzzer/` wraps around them, so that everything here runs on the stable toolchain.

mod bodies;
mod client;
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

use std::path::{Path, PathBuf};

use steadfast::wire::Codec;

/// Every codec: a second one has each property checked by being named here.
pub const CODECS: &[Codec] = &[Codec::Json];

/// Something that takes bytes of a hostile peer, and panics if a property does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// One execution.
    pub run: fn(&[u8]),
    /// What the corpus must have at least, so that a replay of nothing is noticed.
    pub files: usize,
}

/// Every target.
#[must_use]
pub fn targets() -> &'static [Target] {
    &[
        Target {
            name: "client_frames",
            run: |input| each_codec(frames::client, input),
            files: 300,
        },
        Target {
            name: "server_frames",
            run: |input| each_codec(frames::server, input),
            files: 300,
        },
        Target { name: "bodies", run: |input| each_codec(bodies::read, input), files: 300 },
        Target { name: "node", run: node::run, files: 300 },
        Target { name: "client", run: client::run, files: 300 },
        Target { name: "session", run: session::run, files: 300 },
        Target { name: "upgrade", run: upgrade::run, files: 300 },
    ]
}

fn each_codec(check: fn(Codec, &[u8]), input: &[u8]) {
    CODECS.iter().for_each(|codec| check(*codec, input));
}

/// Where the corpus of a target is.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The committed inputs of a target, by file name.
///
/// # Errors
/// When its folder can't be read.
pub fn corpus(target: &Target) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder(target.name))? {
        let path = entry?.path();
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push((name, std::fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}

/// What a replay has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// All files.
    pub files: usize,
    /// Files per target.
    pub per_target: Vec<(&'static str, usize)>,
}

/// Says which input it was, should its execution panic.
struct Shown<'a>(&'a str, &'a str);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was corpus/{}/{}", self.0, self.1);
        }
    }
}

/// Runs every committed input once.
///
/// # Errors
/// When the corpus can't be read.
///
/// # Panics
/// When a property does not hold.
pub fn replay() -> std::io::Result<Replayed> {
    let mut per_target = Vec::new();
    for target in targets() {
        let files = corpus(target)?;
        for (name, bytes) in &files {
            let _shown = Shown(target.name, name);
            (target.run)(bytes);
        }
        per_target.push((target.name, files.len()));
    }
    Ok(Replayed { files: per_target.iter().map(|(_, files)| files).sum(), per_target })
}

/// One execution of a target, by name.
///
/// # Panics
/// When there is no such target, or a property does not hold.
pub fn run(target: &str, input: &[u8]) {
    let target = targets().iter().find(|it| it.name == target).expect("the target is in the list");
    (target.run)(input);
}
