//! Small configurations, explored to their end: every property holds in every state, and what they
//! are about is reached.

use steadfast_model::{Explored, Size, configurations};

/// So many states are few enough to explore each time, and too many to have been explored by
/// accident.
const AT_LEAST: usize = 50_000;

#[test]
fn small_configurations_keep_every_property_in_every_state() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let small = configurations().into_iter().filter(|of| of.size == Size::Small);
    let explored: Vec<Explored> = small.map(|of| of.explore(threads)).collect();
    let mut states = 0;
    for of in &explored {
        eprintln!(
            "{}: {} states, depth {}, {:.1} s",
            of.name, of.unique_states, of.max_depth, of.seconds
        );
        let found: Vec<String> =
            of.violations.iter().map(|of| format!("{} after\n{}", of.property, of.path)).collect();
        assert!(of.exhaustive, "{}: {}", of.name, found.join("\n"));
        for (what, reached) in &of.sometimes {
            assert!(reached, "{}: nowhere {what}", of.name);
        }
        states += of.unique_states;
    }
    eprintln!("{states} states in {} configurations", explored.len());
    assert!(states > AT_LEAST, "only {states} states");
}

#[test]
fn orders_that_are_left_out_make_no_difference() {
    let mut left_out = 0;
    for of in configurations()
        .into_iter()
        .filter(|of| of.size == Size::Small && of.settings.budget.cuts == 0)
    {
        let mut full = of.clone();
        full.settings.reduced = false;
        let (reduced, full) = (of.explore(2), full.explore(2));
        assert!(full.exhaustive, "{}: {:?}", full.name, full.violations);
        assert_eq!(reduced.sometimes, full.sometimes, "{}", of.name);
        left_out += full.unique_states - reduced.unique_states;
    }
    assert!(left_out > 0, "the reduction does nothing");
}
