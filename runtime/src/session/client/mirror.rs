//! The state of a keyed topic as a client holds it: the latest event of each item, put together
//! from what a subscription yields (PROTOCOL.md 7.23). What an event says of its item it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::types::{Gap, Standing};
use crate::wire::{Position, TopicSeq};

/// The items of a keyed topic. It holds no more than the topic keeps, and no more than its limits.
///
/// Every number of it is of one epoch: a [`Gap`] makes it begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mirror<V> {
    limits: MirrorLimits,
    entries: BTreeMap<Arc<str>, Entry<V>>,
    order: BTreeMap<TopicSeq, Arc<str>>,
    bytes: u64,
    /// How many the topic keeps.
    items: u32,
    live: Option<Position>,
    changes: VecDeque<MirrorChange<V>>,
}

/// How much a mirror may hold. One that would hold more ends, and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MirrorLimits {
    /// Items, those that were removed last among them: 100,000.
    pub items: u32,
    /// Bytes of their events, and of what tells the items apart: 64 MiB.
    pub bytes: u64,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self { items: 100_000, bytes: 64 * 1024 * 1024 }
    }
}

impl MirrorLimits {
    /// So many items, and so many bytes of them.
    #[must_use]
    pub const fn new(items: u32, bytes: u64) -> Self {
        Self { items, bytes }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry<V> {
    ts: TopicSeq,
    bytes: u64,
    /// `None`: the item is removed.
    value: Option<Arc<V>>,
}

/// What has changed in a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MirrorChange<V> {
    /// An item.
    Item {
        /// Its latest event before; `None` if it was not there.
        old: Option<Arc<V>>,
        /// Its latest event now; `None` if it is not there any more: it was removed, or nobody has
        /// told of it for as long as the topic keeps it.
        new: Option<Arc<V>>,
    },
    /// Nothing is here any more: what was can't be continued. The items come anew.
    Reset(Gap),
    /// What is here is the topic's state.
    Live,
    /// It is not for now: the connection was lost, or so much has happened that not every change is
    /// told. What is here may be of different times.
    Behind,
}

/// A mirror holds as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the topic has more than {} items or {} bytes, which is what the mirror may hold", .0.items, .0.bytes)]
pub struct MirrorFull(pub MirrorLimits);

impl<V> Mirror<V> {
    /// Nothing yet.
    #[must_use]
    pub const fn new(limits: MirrorLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            bytes: 0,
            items: u32::MAX,
            live: None,
            changes: VecDeque::new(),
        }
    }

    // ---- what comes ----

    /// An event of an item; `value` is `None` if it says that the item is gone.
    ///
    /// # Errors
    /// When it holds too much now. It is of no use any more.
    pub fn event(
        &mut self,
        position: Position,
        item: Arc<str>,
        value: Option<V>,
        bytes: u64,
    ) -> Result<(), MirrorFull> {
        let (ts, value) = (position.ts, value.map(Arc::new));
        if self.entries.get(&item).is_some_and(|entry| entry.ts >= ts) {
            return Ok(());
        }
        let bytes = bytes + item.len() as u64;
        let old = self.entries.insert(Arc::clone(&item), Entry { ts, bytes, value: value.clone() });
        self.order.insert(ts, item);
        self.bytes += bytes;
        let old = old.and_then(|old| {
            self.order.remove(&old.ts);
            self.bytes -= old.bytes;
            old.value
        });
        self.changed(old, value);
        self.keep_items();
        if let Some(live) = &mut self.live {
            *live = position;
        }
        let full =
            self.entries.len() > self.limits.items as usize || self.bytes > self.limits.bytes;
        if full { Err(MirrorFull(self.limits)) } else { Ok(()) }
    }

    /// How the topic stands.
    pub fn standing(&mut self, standing: Standing) {
        let (Standing::Behind { items, .. } | Standing::Complete { items, .. }) = standing;
        self.items = items;
        match standing {
            Standing::Behind { .. } => {
                if self.live.take().is_some() {
                    self.changes.push_back(MirrorChange::Behind);
                }
            }
            Standing::Complete { position, floor, .. } => {
                while let Some(oldest) = self.order.first_entry()
                    && *oldest.key() <= floor
                {
                    let item = oldest.remove();
                    self.drop_item(&item);
                }
                self.keep_items();
                if self.live.replace(position).is_none() {
                    self.changes.push_back(MirrorChange::Live);
                }
            }
        }
    }

    /// The topic keeps no more than so many items: those go whose events are the oldest. Events
    /// that were passed over make no difference to which these are: their items have later ones.
    fn keep_items(&mut self) {
        while self.entries.len() > self.items as usize
            && let Some((_, item)) = self.order.pop_first()
        {
            self.drop_item(&item);
        }
    }

    /// What was seen can't be continued.
    pub fn reset(&mut self, gap: Gap) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
        self.live = None;
        self.changes.push_back(MirrorChange::Reset(gap));
    }

    fn drop_item(&mut self, item: &str) {
        let Some(entry) = self.entries.remove(item) else {
            debug_assert!(false, "what has a place has an entry");
            return;
        };
        self.bytes -= entry.bytes;
        self.changed(entry.value, None);
    }

    fn changed(&mut self, old: Option<Arc<V>>, new: Option<Arc<V>>) {
        // Somebody has removed what nobody has seen.
        if old.is_some() || new.is_some() {
            self.changes.push_back(MirrorChange::Item { old, new });
        }
    }

    // ---- looks ----

    /// The next change. Take all of them before the next item comes, or they add up.
    pub fn poll_change(&mut self) -> Option<MirrorChange<V>> {
        self.changes.pop_front()
    }

    /// Up to where this is the topic's state; `None` while it is not.
    #[must_use]
    pub const fn live(&self) -> Option<Position> {
        self.live
    }

    /// The latest event of an item; `None` if there is none, or if it says that the item is gone.
    #[must_use]
    pub fn get(&self, item: &str) -> Option<&Arc<V>> {
        self.entries.get(item)?.value.as_ref()
    }

    /// The items that are there, in the order of their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<V>)> {
        self.entries.iter().filter_map(|(item, entry)| Some((item, entry.value.as_ref()?)))
    }

    /// Items and removals that are held, and their bytes.
    #[must_use]
    pub fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.bytes)
    }
}
