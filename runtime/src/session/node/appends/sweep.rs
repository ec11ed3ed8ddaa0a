//! When to look for records that earlier lives have left unsettled (PROTOCOL.md 5.6).

use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose, Timer};
use crate::session::store::{Record, StoreOp};
use crate::session::{Now, millis};
use crate::wire::{CommandNo, LeaseId};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Sweep {
    /// Unsettled records are being listed.
    under_way: bool,
    /// Where the page before ended.
    after: Option<(LeaseId, CommandNo)>,
    /// Only records of some age are asked for.
    aged: bool,
    /// Somebody asked for them meanwhile: the list may be older than what is looked for.
    again: bool,
    /// They will be listed again after a while.
    armed: bool,
    /// When they were listed last; `None` before the start.
    last: Option<Now>,
}

impl Sweep {
    /// The first sweep: an earlier process may have left some.
    pub(crate) fn start(&mut self, now: Now, fx: &mut Effects) {
        self.last = Some(now);
        self.soon(fx);
    }

    /// Lists unsettled records again: some may have been left.
    pub(crate) fn soon(&mut self, fx: &mut Effects) {
        if self.under_way {
            self.again = true;
        } else {
            self.begin(false, fx);
        }
    }

    fn begin(&mut self, aged: bool, fx: &mut Effects) {
        self.under_way = true;
        self.aged = aged;
        self.after = None;
        fx.ask(Purpose::ListUnsettled);
    }

    /// Whether there may be more records behind those of a page: another one might not have fit.
    pub(crate) fn fills(
        &self,
        records: &[(LeaseId, CommandNo, Record)],
        config: &NodeConfig,
    ) -> bool {
        let bytes: u64 = records.iter().map(|(.., record)| record.publish_bytes()).sum();
        let another = u64::from(config.publish_bytes_per_command);
        records.len() >= config.sweep_records as usize || bytes + another > config.sweep_bytes
    }

    pub(crate) fn op(&self, config: &NodeConfig) -> StoreOp {
        StoreOp::ListUnsettled {
            max: config.sweep_records,
            max_bytes: config.sweep_bytes,
            after: self.after,
            older_than_ms: if self.aged { millis(config.sweep_age) } else { 0 },
        }
    }

    /// The same, when the store has had time to recover.
    pub(crate) fn later(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        if !std::mem::replace(&mut self.armed, true) {
            fx.arm(now.after(config.store_pause()), Timer::Sweep);
        }
    }

    /// That time is over.
    pub(crate) fn on_timer(&mut self, fx: &mut Effects) {
        self.armed = false;
        self.soon(fx);
    }

    /// A process that never comes back, or a store that went back, may have left some.
    pub(crate) fn now_and_then(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        if self.next(config).is_some_and(|at| at <= now) {
            self.last = Some(now);
            if !self.under_way {
                self.begin(true, fx);
            }
        }
    }

    pub(crate) fn next(&self, config: &NodeConfig) -> Option<Now> {
        self.last.map(|last| last.after(config.sweep_interval))
    }

    /// A page has come, with its last record if it is full. The next one is asked for while there
    /// is room for what it holds; else the store is asked again when it has had time.
    pub(crate) fn listed(
        &mut self,
        now: Now,
        last: Option<(LeaseId, CommandNo)>,
        room: bool,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        if last.is_some() && room {
            self.after = last;
            return fx.ask(Purpose::ListUnsettled);
        }
        self.under_way = false;
        if last.is_some() {
            self.later(now, config, fx);
        }
        // The list may be older than what somebody looks for.
        if std::mem::take(&mut self.again) {
            self.soon(fx);
        }
    }

    /// The store gives no list.
    pub(crate) fn failed(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        self.under_way = false;
        self.again = false;
        self.later(now, config, fx);
    }
}
