//! The thread that writes an outbox file: it takes everything that waits, writes it in one go, and
//! says how that went. What is to be written, and what follows, is the core's.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::watch;

use super::disk::{Disk, Failed};
use super::open::{Opened, wall_ms};
use super::record::{self, Clocks};
use crate::client::saves::SaveRequest;
use crate::client::shared::SharedClient;
use crate::session::client::{Record, SaveNo, Saving};

/// Saves that are written in one go at most.
const GROUP: usize = 1024;

struct Writer {
    shared: Arc<SharedClient>,
    disk: Disk,
    version: String,
    requests: Receiver<SaveRequest>,
    /// A failure is logged once, until a write succeeds.
    failing: bool,
    /// Whoever waits for the client's end waits for this thread, too.
    _alive: watch::Receiver<()>,
}

/// Starts the thread. It ends when the client is over and everything that was asked for is written.
pub(in crate::client) fn start(
    shared: Arc<SharedClient>,
    Opened(disk): Opened,
    version: String,
    requests: Receiver<SaveRequest>,
) -> io::Result<()> {
    let alive = shared.alive().subscribe();
    let writer = Writer { shared, disk, version, requests, failing: false, _alive: alive };
    let thread = std::thread::Builder::new().name("steadfast-outbox".into());
    thread.spawn(move || writer.run()).map(|_| ())
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = self.requests.try_recv()
            {
                group.push(next);
            }
            self.write(group);
        }
    }

    /// Writes a group in its order. What is appended up to the next rewrite is one batch.
    fn write(&mut self, group: Vec<SaveRequest>) {
        let (mut last, mut records) = (None, Vec::new());
        for SaveRequest { no, saving } in group {
            match saving {
                Saving::Append(record) => {
                    self.encode(&record, &mut records);
                    last = Some(no);
                }
                Saving::Rewrite(all) => {
                    self.append(last.take(), &std::mem::take(&mut records));
                    let mut bytes = Vec::new();
                    all.iter().for_each(|record| self.encode(record, &mut bytes));
                    let written = self.disk.rewrite(&bytes);
                    self.tell(no, written);
                }
            }
        }
        self.append(last, &records);
    }

    fn encode(&self, record: &Record, out: &mut Vec<u8>) {
        let clocks = Clocks { now: self.shared.clock().now(), wall_ms: wall_ms() };
        record::write(record, clocks, &self.version, out);
    }

    fn append(&mut self, last: Option<SaveNo>, records: &[u8]) {
        if let Some(no) = last {
            let written = self.disk.append(records);
            self.tell(no, written);
        }
    }

    fn tell(&mut self, no: SaveNo, written: Result<(), Failed>) {
        let failed = written.err();
        let path = self.disk.path().display();
        match &failed {
            Some(Failed { error, .. }) if !self.failing => {
                tracing::error!(%path, %error, "an outbox can't be written");
            }
            None if self.failing => tracing::info!(%path, "an outbox can be written again"),
            _ => {}
        }
        self.failing = failed.is_some();
        self.shared.told(no, failed.map(|failed| failed.undone));
    }
}
