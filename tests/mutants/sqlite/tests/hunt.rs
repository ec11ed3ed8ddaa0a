//! Every mistake that is planted into `steadfast-sqlite` is found by one of its own tests, which
//! passes without it. Each runs in a process of its own, this program again.
#![allow(warnings, reason = "the tests are linted where they stand")]

use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_sqlite::mutant::{Mutant, PLANTED};
use tokio::runtime::Builder;

include!(concat!(env!("OUT_DIR"), "/claims/list.rs"));

/// Tests by their names.
type Claims = &'static [(&'static str, fn())];

/// The file of a test, and its name.
type Claim = (&'static str, &'static str);

/// What asks for one test.
const ONE: &str = "--one";

/// What a test takes at most, on a machine that is busy.
const AT_MOST: Duration = Duration::from_secs(120);

/// Who finds a mistake.
const fn found_by(mutant: Mutant) -> Claim {
    const ANSWERS: Claim =
        ("same_as_memory", "the_local_store_answers_what_the_memory_store_answers");
    const RULES: Claim = ("suite", "the_local_store_keeps_every_rule_in_every_way");
    const POWER: Claim =
        ("power_cut", "what_was_acknowledged_is_there_after_a_power_cut_at_any_moment");
    match mutant {
        Mutant::CommitNotFlushed | Mutant::HeadNotWritten => POWER,
        Mutant::SettledOverOwed | Mutant::LateAppendLands | Mutant::EndedLeaseOpensAgain => RULES,
        Mutant::ForgottenUnwritten | Mutant::RepliesNotFreed => ANSWERS,
        Mutant::NothingTrimmed => {
            ("bounds", "what_a_group_pushes_out_of_a_log_is_not_in_the_file_any_more")
        }
        Mutant::MarkAheadOfRecords => {
            ("bounds", "what_was_resolved_does_not_run_again_after_a_crash")
        }
        Mutant::CommitsAreNoNews => {
            ("suite", "clones_of_the_local_store_keep_every_rule_about_several_nodes")
        }
        Mutant::DecidedAgain => ("decisions", "a_panic_ends_its_own_command"),
        Mutant::RefusedRowsStay => {
            ("decisions", "rows_of_an_answer_that_breaks_its_terms_or_is_an_error_are_undone")
        }
        Mutant::BarredWithItsOperation => {
            ("decisions", "a_statement_that_ends_the_transaction_of_all_ends_its_own_command")
        }
        Mutant::UnfitFailsAll => {
            ("decisions", "a_constraint_that_commit_looks_at_fails_its_own_command")
        }
        Mutant::DecisionLetGoEarly => {
            ("decisions", "a_decision_is_kept_until_its_commit_is_on_the_disk")
        }
        Mutant::UnknownToldFailed => {
            ("trouble", "a_commit_that_is_not_flushed_is_answered_unknown")
        }
        Mutant::UndoneStaysKnown | Mutant::FailsTogether => {
            ("trouble", "a_row_that_makes_no_sense_fails_its_own_operations_alone")
        }
        Mutant::AnswersLostOnTheWay => {
            ("bounds", "an_answer_that_nobody_takes_keeps_no_other_one_back")
        }
        Mutant::OneCommitEach => ("bounds", "operations_that_wait_share_one_commit"),
    }
}

/// Runs a test as `flavor = "multi_thread"` does.
fn on_threads(test: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(test);
}

/// Runs a test as without it.
fn on_one(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("this thread").block_on(test);
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [one, file, name] = &args[..]
        && one == ONE
    {
        std::thread::spawn(|| {
            std::thread::park_timeout(AT_MOST);
            // A mistake may make a test wait for ever.
            std::process::exit(2);
        });
        let claims = ALL.iter().find(|(other, _)| other == file).expect("a file of tests").1;
        claims.iter().find(|(other, _)| other == name).expect("a test in it").1();
        return ExitCode::SUCCESS;
    }
    // Whoever asks for other tests by name does not mean these.
    if args.iter().any(|arg| !arg.starts_with('-')) {
        return ExitCode::SUCCESS;
    }
    hunt()
}

/// Each mistake, and each test that finds one without any.
fn runs() -> Vec<(Option<Mutant>, Claim)> {
    let mut claims: Vec<Claim> = Mutant::ALL.iter().map(|mutant| found_by(*mutant)).collect();
    claims.sort();
    claims.dedup();
    let planted = Mutant::ALL.iter().map(|mutant| (Some(*mutant), found_by(*mutant)));
    claims.into_iter().map(|claim| (None, claim)).chain(planted).collect()
}

fn hunt() -> ExitCode {
    let (runs, next, failed) = (runs(), AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\nrunning {} tests", runs.len());
    let work = || {
        while let Some(&(planted, claim)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let as_it_should = passes(claim, planted) == planted.is_none();
            let word = if as_it_should { "ok" } else { "FAILED" };
            let said = planted.map_or("without a mistake".to_owned(), |it| format!("{it:?}"));
            println!("test {}::{}: {said} ... {word}", claim.0, claim.1);
            failed.fetch_add(usize::from(!as_it_should), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner();
    let (passed, word) = (runs.len() - failed, if failed == 0 { "ok" } else { "FAILED" });
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a test passes, with a mistake or without.
fn passes((file, name): Claim, planted: Option<Mutant>) -> bool {
    let mut test = Command::new(std::env::current_exe().expect("this program"));
    test.args([ONE, file, name]).stdout(Stdio::null()).stderr(Stdio::null()).env_remove(PLANTED);
    if let Some(mutant) = planted {
        test.env(PLANTED, format!("{mutant:?}"));
    }
    test.status().expect("this program can be started again").success()
}
