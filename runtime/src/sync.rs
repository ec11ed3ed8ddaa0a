//! The primitives by which tasks of the drivers share state. Everything that two tasks lock or wake
//! goes through here, so that `tests/loom` can try every interleaving of it.

pub(crate) use futures_util::task::AtomicWaker;
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};
