//! What waits for a thread of the store, bounded in count and bytes. What is done with it is not
//! known here.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something that waits.
pub(crate) trait Weighty {
    /// Operations in it.
    fn operations(&self) -> usize;
    /// Bytes of them.
    fn bytes(&self) -> u64;
}

/// Bounds of a queue, or of what is taken from it at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) operations: usize,
    pub(crate) bytes: u64,
}

/// A queue that any number of threads put into and take from.
pub(crate) struct Queue<T> {
    held: Mutex<Held<T>>,
    ready: Condvar,
    room: Room,
}

struct Held<T> {
    waiting: VecDeque<T>,
    operations: usize,
    bytes: u64,
    closed: bool,
    /// Threads that wait for something.
    takers: usize,
}

/// What came of waiting.
pub(crate) enum Taken<T> {
    /// At least one.
    Some(Vec<T>),
    /// None came in time.
    Nothing,
    /// There is none, and none will come.
    Closed,
}

impl<T: Weighty> Queue<T> {
    pub(crate) fn new(room: Room) -> Self {
        let waiting = VecDeque::new();
        let held = Held { waiting, operations: 0, bytes: 0, closed: false, takers: 0 };
        Self { held: Mutex::new(held), ready: Condvar::new(), room }
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        // Nothing that can panic runs under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item at the end, or gives it back if there is no room. An empty queue has room for
    /// anything.
    pub(crate) fn put(&self, item: T) -> Result<(), T> {
        let mut held = self.lock();
        let operations = held.operations + item.operations();
        let bytes = held.bytes + item.bytes();
        let full = operations > self.room.operations || bytes > self.room.bytes;
        if held.closed || full && !held.waiting.is_empty() {
            return Err(item);
        }
        (held.operations, held.bytes) = (operations, bytes);
        held.waiting.push_back(item);
        // Waking is a call to the system, also where nobody sleeps.
        let sleeps = held.takers > 0;
        drop(held);
        if sleeps {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Waits for something, at most for `patience`, and takes the first item, with as many behind
    /// it as there is room for.
    pub(crate) fn take(&self, room: Room, patience: Duration) -> Taken<T> {
        let mut held = self.lock();
        held.takers += 1;
        let idle = |held: &mut Held<T>| held.waiting.is_empty() && !held.closed;
        let waited = self.ready.wait_timeout_while(held, patience, idle);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        held.takers -= 1;
        let mut taken = Vec::new();
        let (mut operations, mut bytes) = (0, 0);
        while let Some(next) = held.waiting.front() {
            operations += next.operations();
            bytes += next.bytes();
            if !taken.is_empty() && (operations > room.operations || bytes > room.bytes) {
                break;
            }
            taken.extend(held.pop());
        }
        match (taken.is_empty(), held.closed) {
            (false, _) => Taken::Some(taken),
            (true, false) => Taken::Nothing,
            (true, true) => Taken::Closed,
        }
    }

    /// Lets nothing more in. What waits is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Operations that wait, and their bytes.
    pub(crate) fn load(&self) -> (usize, u64) {
        let held = self.lock();
        (held.operations, held.bytes)
    }
}

impl<T: Weighty> Held<T> {
    fn pop(&mut self) -> Option<T> {
        let item = self.waiting.pop_front()?;
        self.operations -= item.operations();
        self.bytes -= item.bytes();
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighty for (usize, u64) {
        fn operations(&self) -> usize {
            self.0
        }

        fn bytes(&self) -> u64 {
            self.1
        }
    }

    const ROOM: Room = Room { operations: 4, bytes: 100 };

    fn taken(queue: &Queue<(usize, u64)>, room: Room) -> Vec<(usize, u64)> {
        match queue.take(room, Duration::ZERO) {
            Taken::Some(items) => items,
            Taken::Nothing | Taken::Closed => Vec::new(),
        }
    }

    #[test]
    fn a_queue_is_full_by_count_or_by_bytes() {
        let queue = Queue::new(ROOM);
        assert_eq!(queue.put((3, 10)), Ok(()));
        assert_eq!(queue.put((2, 10)), Err((2, 10)));
        assert_eq!(queue.put((1, 91)), Err((1, 91)));
        assert_eq!(queue.put((1, 90)), Ok(()));
        assert_eq!(queue.load(), (4, 100));
        assert_eq!(taken(&queue, ROOM), [(3, 10), (1, 90)]);
        assert_eq!(queue.load(), (0, 0));
    }

    #[test]
    fn an_empty_queue_has_room_for_anything() {
        let queue = Queue::new(ROOM);
        assert_eq!(queue.put((9, 1_000)), Ok(()));
        assert_eq!(queue.put((0, 0)), Err((0, 0)));
        assert_eq!(taken(&queue, ROOM), [(9, 1_000)]);
    }

    #[test]
    fn what_is_taken_at_once_is_bounded_too() {
        let queue = Queue::new(ROOM);
        for item in [(1, 10), (2, 10), (1, 10)] {
            assert_eq!(queue.put(item), Ok(()));
        }
        assert_eq!(taken(&queue, Room { operations: 2, bytes: 100 }), [(1, 10)]);
        assert_eq!(taken(&queue, Room { operations: 9, bytes: 19 }), [(2, 10)]);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_lets_nothing_in() {
        let queue = Queue::new(ROOM);
        assert_eq!(queue.put((1, 1)), Ok(()));
        queue.close();
        assert_eq!(queue.put((1, 1)), Err((1, 1)));
        assert_eq!(taken(&queue, ROOM), [(1, 1)]);
        assert!(matches!(queue.take(ROOM, Duration::MAX), Taken::Closed));
    }
}
