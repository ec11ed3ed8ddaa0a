//! The committed corpus, once more: every input that ever taught or found something.

use steadfast_fuzz::{replay, targets};

#[test]
fn every_input_of_the_corpus_is_run_and_harms_nobody() {
    let replayed = replay().expect("the corpus can be read");
    let committed: Vec<_> = targets().iter().map(|target| (target.name, target.inputs)).collect();
    assert_eq!(replayed.per_target, committed, "inputs were lost, or a number is to be changed");
}
