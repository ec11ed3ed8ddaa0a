//! The committed corpus, once more: every input that ever taught or found something.

use steadfast_fuzz::{replay, targets};

#[test]
fn every_input_of_the_corpus_is_run_and_harms_nobody() {
    let replayed = replay().expect("the corpus can be read");
    for (target, (name, files)) in targets().iter().zip(&replayed.per_target) {
        assert_eq!(&target.name, name);
        assert!(*files >= target.files, "{name}: {files} inputs, {} are committed", target.files);
    }
}
