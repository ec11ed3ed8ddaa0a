//! The sockets that are open in a net, each with a way to cut it. What they carry is carried
//! elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// An open socket.
#[derive(Debug)]
pub(super) struct OpenLink {
    pub(super) id: u64,
    /// Whose line it is on.
    pub(super) line: LineNo,
    pub(super) host: String,
    cut: watch::Sender<bool>,
}

/// Tells the lines of a net apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineNo(pub(super) u64);

/// Those of a net.
#[derive(Debug, Default)]
pub(super) struct Links {
    last: u64,
    open: BTreeMap<u64, Arc<OpenLink>>,
}

impl OpenLink {
    /// Both ends find the socket closed; what is under way is lost.
    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Waits until it is cut.
    pub(super) async fn until_cut(&self) {
        // The sender lives in `self`.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }
}

impl Links {
    pub(super) fn open(&mut self, line: LineNo, host: &str) -> Arc<OpenLink> {
        self.last += 1;
        let (id, host) = (self.last, host.to_owned());
        let link = Arc::new(OpenLink { id, line, host, cut: watch::Sender::new(false) });
        self.open.insert(id, Arc::clone(&link));
        link
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.open.remove(&id);
    }

    pub(super) fn of(&self, which: impl Fn(&OpenLink) -> bool) -> Vec<Arc<OpenLink>> {
        self.open.values().filter(|link| which(link)).cloned().collect()
    }
}
