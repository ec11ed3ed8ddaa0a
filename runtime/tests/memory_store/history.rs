//! Many threads at a time: whatever they are answered, there is an order of their operations, true
//! to which ended before which began, in which the pure state gives the same answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use steadfast::session::Now;
use steadfast::session::store::{StoreOp, StoreOutcome};
use steadfast::store::{MemoryLimits, MemoryState, MemoryStore, Store};
use steadfast_rig::dice::Dice;

const THREADS: usize = 3;
const OPERATIONS: usize = 5;
const ROUNDS: u64 = 2_000;

/// An operation as its thread saw it.
struct Asked {
    began: u64,
    ended: u64,
    op: StoreOp,
    outcome: StoreOutcome,
}

/// Operations that are atomic as a whole, and that are about the same few things.
fn operations(dice: &mut Dice) -> Vec<StoreOp> {
    let one = |op: &StoreOp| match op {
        StoreOp::Settle { records } => records.len() == 1,
        StoreOp::ListUnsettled { .. } => false,
        _ => true,
    };
    std::iter::repeat_with(|| dice.op()).filter(one).take(OPERATIONS).collect()
}

fn run(store: &MemoryStore, lists: Vec<Vec<StoreOp>>) -> Vec<Vec<Asked>> {
    let (count, begin) = (AtomicU64::new(0), Barrier::new(lists.len()));
    let act = |ops: Vec<StoreOp>| {
        begin.wait();
        let ask = |op: StoreOp| {
            let again = op.clone();
            let began = count.fetch_add(1, Ordering::SeqCst);
            let outcome = store.execute_at_once(op).expect("it answers at once");
            let ended = count.fetch_add(1, Ordering::SeqCst);
            Asked { began, ended, op: again, outcome }
        };
        ops.into_iter().map(ask).collect()
    };
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = lists.into_iter().map(|ops| scope.spawn(move || act(ops))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// Looks for such an order, beginning with what no other operation ended before.
fn has_an_order(state: &MemoryState, next: &[usize], threads: &[Vec<Asked>]) -> bool {
    let waiting = || threads.iter().zip(next).filter_map(|(asked, next)| asked.get(*next));
    let Some(first_end) = waiting().map(|asked| asked.ended).min() else { return true };
    (0..threads.len()).any(|thread| {
        let Some(asked) = threads[thread].get(next[thread]) else { return false };
        if asked.began > first_end {
            return false;
        }
        let mut after = state.clone();
        if after.apply(Now(5), asked.op.clone()) != asked.outcome {
            return false;
        }
        let mut next = next.to_vec();
        next[thread] += 1;
        has_an_order(&after, &next, threads)
    })
}

#[test]
fn threads_are_answered_as_if_they_had_asked_one_after_the_other() {
    let mut together = 0;
    for round in 0..ROUNDS {
        let mut dice = Dice::new(round);
        let mut state = MemoryState::new(MemoryLimits::default());
        let store = MemoryStore::new(MemoryLimits::default(), Arc::new(|| Now(5)));
        for op in operations(&mut dice).into_iter().chain(operations(&mut dice)) {
            let _ = state.apply(Now(5), op.clone());
            let _ = store.execute_at_once(op).expect("it answers at once");
        }
        let lists = (0..THREADS).map(|_| operations(&mut dice)).collect();
        let threads = run(&store, lists);
        let overlaps = |asked: &Asked| asked.ended > asked.began + 1;
        together += threads.iter().flatten().filter(|asked| overlaps(asked)).count();
        if !has_an_order(&state, &[0; THREADS], &threads) {
            let told = |Asked { began, ended, op, outcome }: &Asked| {
                format!("{began}..{ended} {op:?}\n    {outcome:?}")
            };
            let told: Vec<String> = threads.iter().flatten().map(told).collect();
            panic!("round {round}: no order of\n{}", told.join("\n"));
        }
    }
    assert!(together > 100, "{together} operations met another one");
}
