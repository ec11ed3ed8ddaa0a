//! The disks of clients that have a journal: slow, full at times, torn by a crash. What a client
//! finds after it is what its core asked to be saved, up to some point.

use std::collections::VecDeque;
use std::sync::Arc;

use steadfast::session::Now;
use steadfast::session::client::{
    CallId, Client, ClientConfig, Command, Record, Recovery, SaveNo, Saving, Submission,
};

use super::{Due, World};
use crate::checkers::{Found, TakenUp};

/// What one client's processes save.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// What is there, whatever happens.
    records: Vec<Record>,
    /// What a write left that failed: a crash may come upon any beginning of it.
    uncertain: Vec<Record>,
    /// What is asked for, and not reported.
    queue: VecDeque<(SaveNo, Saving)>,
    /// A write failed, and nothing has replaced everything since.
    broken: bool,
    busy: bool,
}

/// What is reported of a group of saves: how far it goes, and whether it failed (with nothing left
/// of it, or perhaps something).
type Report = (SaveNo, Option<bool>);

impl Disk {
    /// Writes what waits. `fails` is asked for each write, and `undone` for each failure.
    fn write(
        &mut self,
        mut fails: impl FnMut() -> bool,
        mut undone: impl FnMut() -> bool,
    ) -> Vec<Report> {
        let (mut reports, mut batch) = (Vec::new(), Vec::new());
        let mut queue = std::mem::take(&mut self.queue);
        while let Some((no, saving)) = queue.pop_front() {
            match saving {
                Saving::Append(record) => {
                    batch.push(record);
                    if matches!(queue.front(), Some((_, Saving::Append(_)))) {
                        continue;
                    }
                    let failed = self.broken || fails();
                    let records = std::mem::take(&mut batch);
                    if !failed {
                        self.records.extend(records);
                    } else if !std::mem::replace(&mut self.broken, true) && !undone() {
                        self.uncertain = records;
                    }
                    reports.push((no, failed.then_some(self.uncertain.is_empty())));
                }
                Saving::Rewrite(records) => {
                    let failed = fails();
                    if !failed {
                        self.records = records;
                        self.uncertain.clear();
                    }
                    self.broken = failed;
                    reports.push((no, failed.then_some(self.uncertain.is_empty())));
                }
            }
        }
        reports
    }

    /// The process dies: of what was under way some beginning is there.
    fn tear(&mut self, mut below: impl FnMut(u64) -> u64) {
        let left = below(self.uncertain.len() as u64 + 1) as usize;
        self.records.extend(std::mem::take(&mut self.uncertain).into_iter().take(left));
        let mut broken = std::mem::take(&mut self.broken);
        let left = below(self.queue.len() as u64 + 1) as usize;
        for (_, saving) in std::mem::take(&mut self.queue).into_iter().take(left) {
            match saving {
                Saving::Append(record) if !broken => self.records.push(record),
                Saving::Append(_) => {}
                Saving::Rewrite(records) => (self.records, broken) = (records, false),
            }
        }
        self.busy = false;
    }

    /// What the next process takes up: its clock begins elsewhere.
    fn recovery(&self, before: Now, now: Now) -> Recovery {
        let mut recovery = Recovery::default();
        for record in &self.records {
            recovery.apply(match record.clone() {
                Record::Taken { call, command } => {
                    Record::Taken { call, command: later(&command, before, now) }
                }
                record => record,
            });
        }
        recovery
    }
}

/// A command as the next process finds it, which starts when the earlier one's clock shows `before`.
fn later(command: &Command, before: Now, now: Now) -> Command {
    let (submitted, waited_ms) = command.since();
    let (timeout_ms, declared_timeout_ms) = command.timeouts_ms();
    let (name, body) = (command.name().clone(), command.body().clone());
    let said = Submission { name, body, timeout_ms, declared_timeout_ms, max_bytes: u32::MAX };
    let waited_ms = before.since(submitted).saturating_add(waited_ms);
    Command::of_before(now, said, waited_ms, "1.0".into())
}

/// A core with what its disk has, and what that is; without a journal it begins with nothing.
pub(super) fn recovered(
    config: Arc<ClientConfig>,
    seed: [u8; 32],
    disk: Option<&Disk>,
    before: Now,
    now: Now,
) -> (Client, Recovery) {
    let Some(disk) = disk else { return (Client::new(config, seed), Recovery::default()) };
    let recovery = disk.recovery(before, now);
    (Client::with_journal(config, seed, &recovery), recovery)
}

/// What the checkers have to know of what a process takes up.
pub(super) fn taken_up(recovery: &Recovery, now: Now) -> TakenUp {
    let calls = recovery.calls().iter().map(|(call, recovered)| {
        let (timeout_ms, _) = recovered.command.timeouts_ms();
        let (_, waited_ms) = recovered.command.since();
        let due = now.after_ms(timeout_ms.saturating_sub(waited_ms));
        let (outcome, n) = (recovered.outcome.clone(), recovered.n.map(|n| n.0));
        (*call, Found { outcome, n, due })
    });
    let (lease, next) = (recovery.lease(), recovery.next().0);
    TakenUp { lease, next, calls: calls.collect() }
}

impl World {
    /// A process of a client has died; what its disk has then.
    pub(super) fn torn_disk(&mut self, at: usize) -> Option<Disk> {
        let mut disk = self.clients[at].disk.take()?;
        let under_way = disk.queue.len() + disk.uncertain.len();
        disk.tear(|bound| self.rng.below(bound));
        if under_way > 0 {
            self.checkers.sometimes.count("journal torn");
        }
        Some(disk)
    }

    pub(super) fn save(&mut self, at: usize, no: SaveNo, saving: Saving) {
        let process = self.clients[at].process;
        let Some(disk) = &mut self.clients[at].disk else { return };
        disk.queue.push_back((no, saving));
        if !std::mem::replace(&mut disk.busy, true) {
            let ms = self.rng.within(self.plan.journal.delay_ms);
            self.after(ms, Due::Saved { client: at, process });
        }
    }

    /// Everything that waits is written, or not.
    pub(super) fn saved(&mut self, at: usize, process: u64) {
        if self.clients[at].process != process {
            return;
        }
        let (fails, healing) = (self.plan.journal.fails, self.healing);
        if !healing && self.rng.chance(self.plan.journal.dies) {
            return self.crash_client(at);
        }
        let Some(mut disk) = self.clients[at].disk.take() else { return };
        disk.busy = false;
        let mut chances = self.rng.clone();
        let reports = disk.write(|| !healing && self.rng.chance(fails), || chances.chance(600));
        self.clients[at].disk = Some(disk);
        let now = self.client_now(at);
        for (no, failed) in reports {
            self.note(|_| format!("client {at}: saved up to {no:?}, failed: {failed:?}"));
            match failed {
                None => self.clients[at].core.handle_saved(now, no),
                Some(undone) => {
                    self.checkers.sometimes.count("journal not written");
                    self.clients[at].core.handle_unsaved(now, no, undone);
                }
            }
            self.pump_client(at);
        }
    }

    /// The application was told; some let go of an outcome at once, some keep it.
    pub(super) fn lets_go_of(&mut self, at: usize, call: CallId) {
        if self.clients[at].disk.is_some() && self.rng.chance(700) {
            let now = self.client_now(at);
            self.checkers.lets_go(self.clients[at].process, call);
            self.clients[at].core.forget(now, call);
        }
    }
}
