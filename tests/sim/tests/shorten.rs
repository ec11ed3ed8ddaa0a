//! A failing run can be read: most of what happened in it is left out, and the command that it
//! prints shows what is left.

use steadfast_sim::mistake::Mistake;
use steadfast_sim::shorten::shorten;
use steadfast_sim::trace::Recording;
use steadfast_sim::{Failure, Variant, attempt};

fn long_failure(mistake: Mistake) -> Box<Failure> {
    let variant = Variant { mistake: Some(mistake), ..Variant::default() };
    let mut failing = (0..4_000).filter_map(|seed| attempt(seed, &variant, Recording::Off).err());
    failing.find(|failure| failure.deeds.len() > 20).expect("the mistake is caught")
}

#[test]
fn a_shortened_run_breaks_the_same_rule_with_fewer_deeds() {
    for mistake in [Mistake::LosesItems, Mistake::DropsRecords, Mistake::ChangesReplies] {
        let long = long_failure(mistake);
        let rule = long.violation.rule;
        let (seed, before) = (long.seed, long.deeds.len());
        let short = shorten(long);
        assert_eq!((short.seed, short.violation.rule), (seed, rule));
        assert!(
            short.deeds.len() <= before / 2,
            "{mistake:?}: {} of {before} deeds are left",
            short.deeds.len()
        );
        let again = attempt(seed, &short.variant, Recording::Tail).expect_err("it fails each time");
        assert_eq!((again.violation, again.trace), (short.violation, short.trace));
    }
}

#[test]
fn a_failure_prints_how_to_see_it_again() {
    let short = shorten(long_failure(Mistake::LosesItems));
    let told = short.to_string();
    assert!(told.contains(&format!("-- --replay {}", short.seed)), "{told}");
    let only = short
        .replay()
        .split_once("--only ")
        .map(|(_, rest)| rest.split(' ').next().unwrap_or("").to_owned());
    let deeds: Vec<_> =
        only.expect("something was left out").split(',').map(str::to_owned).collect();
    let parsed = deeds
        .iter()
        .map(|deed| deed.parse())
        .collect::<Result<_, _>>()
        .expect("deeds can be read again");
    assert_eq!(short.variant.only.as_deref(), Some(&parsed));
}
