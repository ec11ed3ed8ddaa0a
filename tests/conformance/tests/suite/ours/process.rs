//! A client's process, as far as one can be killed here: a runtime of its own, whose end is nobody's
//! to notice, and an outbox file. The next one gets a copy of that, as a crash leaves it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::client::{OutboxFile, OutboxSettings};
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// How long its tasks may take to be dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process with an outbox in a file.
pub struct Process {
    folder: PathBuf,
    number: u32,
    /// `None` once it is killed.
    runtime: Option<Runtime>,
}

impl Process {
    /// The first process of a client.
    pub fn start() -> Self {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let client = CLIENTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("steadfast-conformance-{}-{client}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, number: 1, runtime: Some(runtime()) }
    }

    /// Ends it in the middle of whatever it does; the next one has what is on its disk.
    pub async fn next(mut self) -> Self {
        let killed = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || killed.shutdown_timeout(PATIENCE)).await.unwrap();
        let left = self.path();
        self.number += 1;
        if left.exists() {
            std::fs::copy(left, self.path()).unwrap();
        }
        self.runtime = Some(runtime());
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("outbox-{}", self.number))
    }

    /// Its outbox.
    pub fn outbox(&self) -> OutboxFile {
        OutboxFile::open(self.path(), OutboxSettings::default()).unwrap()
    }

    /// What is spawned until this is dropped ends with the process.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.as_ref().unwrap().enter()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // Whatever is left of it is for the operating system to delete.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
