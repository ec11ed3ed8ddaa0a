//! Every kind of fault, planted into a history or a file that is in order, is named by the checker,
//! and nothing else is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use steadfast_histories::{Answer, Entry, Held, History, Kind, Line, Log, judge};

const EPOCH: u64 = 7;

fn asked(who: &str, op: u64, name: &str, ordered: bool) -> Line {
    let (who, room, name) = (who.to_owned(), "a".to_owned(), name.to_owned());
    Line::Asked { who, op, room, name, ordered }
}

fn told(who: &str, op: u64, answer: Answer) -> Line {
    Line::Told { who: who.to_owned(), op, answer }
}

fn done(who: &str, op: u64, receipt: u64) -> Line {
    told(who, op, Answer::Done { receipt })
}

fn follows(after: Option<u64>) -> Line {
    Line::Follows { who: "f0".to_owned(), room: "a".to_owned(), after }
}

fn saw(ts: u64, name: &str, receipt: u64) -> Line {
    let (who, room, name) = ("f0".to_owned(), "a".to_owned(), name.to_owned());
    Line::Saw { who, room, epoch: EPOCH, ts, name, receipt }
}

fn killed(prefix: &str) -> Line {
    Line::Killed { prefix: prefix.to_owned() }
}

/// A writer with commands in order, of which it does not hear of the last; another one, killed, and
/// a third one that asks again for what it asked for; one that is refused; and a follower that is
/// killed in between and goes on.
fn history() -> Vec<Line> {
    vec![
        follows(None),
        asked("c0.0.0", 1, "c0.0.0/1", true),
        asked("c0.0.0", 2, "c0.0.0/2", true),
        done("c0.0.0", 1, 11),
        saw(1, "c0.0.0/1", 11),
        asked("c1.0.0", 1, "n1", false),
        asked("c0.0.0", 3, "c0.0.0/3", true),
        done("c0.0.0", 2, 12),
        saw(2, "c0.0.0/2", 12),
        killed("c1.0."),
        Line::ServerKilled { times: 1 },
        follows(Some(2)),
        asked("c1.1.0", 1, "n1", false),
        asked("c1.1.0", 2, "n2", false),
        told("c1.1.0", 2, Answer::NotDone { why: "refused".to_owned() }),
        saw(3, "n1", 21),
        done("c1.1.0", 1, 21),
        saw(4, "c0.0.0/3", 13),
        killed("c0.0."),
    ]
}

fn entry(ts: u64, name: &str, receipt: u64) -> Entry {
    Entry { ts, name: name.to_owned(), receipt }
}

fn held() -> Held {
    let entries = vec![
        entry(1, "c0.0.0/1", 11),
        entry(2, "c0.0.0/2", 12),
        entry(3, "n1", 21),
        entry(4, "c0.0.0/3", 13),
    ];
    let logs = BTreeMap::from([("a".to_owned(), Log { epoch: EPOCH, head: 4, entries })]);
    let replies = BTreeMap::from([("n1".to_owned(), "21".to_owned())]);
    Held { logs, replies, owed: 0, damage: String::new() }
}

/// Kinds that are blamed when a fault is planted.
fn blamed(plant: impl FnOnce(&mut Vec<Line>, &mut Held)) -> BTreeSet<Kind> {
    let (mut lines, mut held) = (history(), held());
    plant(&mut lines, &mut held);
    let verdict = judge(&History(lines), &held);
    verdict.violations.iter().map(|violation| violation.kind).collect()
}

#[track_caller]
fn names(expected: &[Kind], plant: impl FnOnce(&mut Vec<Line>, &mut Held)) {
    assert_eq!(blamed(plant), expected.iter().copied().collect());
}

fn log(held: &mut Held) -> &mut Log {
    held.logs.get_mut("a").unwrap()
}

fn place(lines: &[Line], wanted: &Line) -> usize {
    lines.iter().position(|line| line == wanted).unwrap()
}

/// Numbers entries anew, as a store would have that has forgotten one or has one too many.
fn number_anew(held: &mut Held) {
    let log = log(held);
    for (entry, ts) in log.entries.iter_mut().zip(1..) {
        entry.ts = ts;
    }
    log.head = log.entries.len() as u64;
}

/// Followers that saw what the log has.
fn see_the_log(lines: &mut Vec<Line>, held: &Held) {
    lines.retain(|line| !matches!(line, Line::Saw { .. } | Line::Follows { .. }));
    let entries = &held.logs["a"].entries;
    lines.insert(0, follows(None));
    lines.extend(entries.iter().map(|entry| saw(entry.ts, &entry.name, entry.receipt)));
}

#[test]
fn a_history_in_order_is_blamed_for_nothing_and_counted() {
    let verdict = judge(&History(history()), &held());
    assert!(verdict.passed(), "{verdict}");
    let figures = verdict.figures;
    assert_eq!((figures.commands, figures.done, figures.not_done), (5, 3, 1));
    assert_eq!((figures.indefinite, figures.indefinite_done), (1, 1));
    assert_eq!((figures.again, figures.seen), (1, 4));
    assert_eq!((figures.server_kills, figures.client_kills), (1, 2));
}

#[test]
fn a_command_that_was_reported_done_and_is_not_there_is_lost() {
    names(&[Kind::Lost], |lines, held| {
        log(held).entries.remove(1);
        number_anew(held);
        see_the_log(lines, held);
    });
}

#[test]
fn a_command_that_nobody_knows_of_may_be_there_or_not() {
    names(&[], |lines, held| {
        log(held).entries.remove(3);
        number_anew(held);
        see_the_log(lines, held);
    });
}

#[test]
fn a_command_that_is_there_twice_is_told_whoever_knows_of_it() {
    for name in ["c0.0.0/2", "c0.0.0/3", "n1"] {
        names(&[Kind::Twice], |lines, held| {
            let entries = &mut log(held).entries;
            let at = entries.iter().position(|entry| entry.name == name).unwrap();
            let again = Entry { receipt: 99, ..entries[at].clone() };
            entries.insert(at + 1, again);
            number_anew(held);
            see_the_log(lines, held);
        });
    }
}

#[test]
fn another_answer_than_the_one_that_counts_is_told() {
    names(&[Kind::AnotherAnswer], |lines, _| {
        let at = place(lines, &done("c1.1.0", 1, 21));
        lines[at] = done("c1.1.0", 1, 22);
    });
    // Two callers of one command are told different things.
    names(&[Kind::AnotherAnswer], |lines, _| {
        lines.extend([asked("c1.1.1", 1, "n1", false), done("c1.1.1", 1, 22)]);
    });
    names(&[Kind::AnotherAnswer], |_, held| {
        held.replies.insert("n1".to_owned(), "22".to_owned());
    });
}

#[test]
fn a_command_that_was_refused_and_is_there_is_told() {
    names(&[Kind::DoneAllTheSame], |lines, held| {
        log(held).entries.push(entry(5, "n2", 31));
        log(held).head = 5;
        see_the_log(lines, held);
    });
}

#[test]
fn what_nobody_has_asked_for_is_told() {
    names(&[Kind::Phantom], |lines, held| {
        log(held).entries.push(entry(5, "nobody's", 31));
        log(held).head = 5;
        see_the_log(lines, held);
    });
}

#[test]
fn calls_of_one_caller_that_took_effect_in_another_order_are_told() {
    names(&[Kind::Disorder], |lines, held| {
        log(held).entries.swap(0, 1);
        number_anew(held);
        see_the_log(lines, held);
    });
}

#[test]
fn a_call_without_an_end_is_told_unless_its_caller_was_killed() {
    names(&[Kind::NeverEnded], |lines, _| {
        let at = place(lines, &done("c1.1.0", 1, 21));
        lines.remove(at);
    });
    names(&[Kind::NeverEnded], |lines, _| {
        lines.retain(|line| *line != killed("c0.0."));
    });
}

#[test]
fn an_outcome_that_was_told_to_be_unknown_is_told() {
    names(&[Kind::Unknown], |lines, _| {
        let at = place(lines, &done("c0.0.0", 2, 12));
        lines[at] = told("c0.0.0", 2, Answer::Unknown);
    });
}

#[test]
fn a_log_with_a_hole_or_without_its_end_is_told() {
    names(&[Kind::Hole, Kind::AnotherEvent], |_, held| log(held).entries[2].ts = 9);
    names(&[Kind::Hole, Kind::EventLost], |_, held| log(held).head = 5);
}

#[test]
fn events_that_a_follower_has_not_seen_are_lost_in_the_middle_at_the_end_and_after_a_kill() {
    for missing in [1, 2, 3, 4] {
        names(&[Kind::EventLost], |lines, _| {
            lines.retain(|line| !matches!(line, Line::Saw { ts, .. } if *ts == missing));
        });
    }
}

#[test]
fn an_event_that_comes_again_is_told() {
    names(&[Kind::EventTwice], |lines, _| {
        let at = place(lines, &saw(3, "n1", 21));
        lines.insert(at, saw(2, "c0.0.0/2", 12));
    });
}

#[test]
fn an_event_that_comes_after_a_later_one_is_told() {
    assert!(
        blamed(|lines, _| {
            let (one, two) =
                (place(lines, &saw(1, "c0.0.0/1", 11)), place(lines, &saw(2, "c0.0.0/2", 12)));
            lines.swap(one, two);
        })
        .contains(&Kind::EventDisorder)
    );
}

#[test]
fn an_event_that_is_not_the_one_of_the_log_is_told() {
    names(&[Kind::AnotherEvent], |lines, _| {
        let at = place(lines, &saw(3, "n1", 21));
        lines[at] = saw(3, "n1", 22);
    });
    names(&[Kind::AnotherEvent], |_, held| log(held).epoch = 8);
}

#[test]
fn a_gap_is_never_justified() {
    names(&[Kind::Gap], |lines, _| {
        let (who, room, reason) = ("f0".to_owned(), "a".to_owned(), "epoch".to_owned());
        lines.push(Line::Gap { who, room, reason });
    });
}

#[test]
fn events_that_are_in_no_log_and_damage_are_told() {
    names(&[Kind::Owed], |_, held| held.owed = 1);
    names(&[Kind::Damaged], |_, held| held.damage = "page 7".to_owned());
}

#[test]
fn a_line_that_is_none_is_refused_by_its_number() {
    let mut text = Vec::new();
    history().iter().for_each(|line| line.write(&mut text).unwrap());
    assert_eq!(History::read(&text[..]).unwrap(), History(history()));
    text.extend_from_slice(b"{\"is\":\"asked\"}\n");
    let error = History::read(&text[..]).unwrap_err().to_string();
    assert!(error.starts_with("line 20: "), "{error}");
}

#[test]
fn the_checker_shares_no_code_with_what_it_judges() {
    let manifest = include_str!("../Cargo.toml");
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap();
    let (dependencies, _) = rest.split_once("\n[").unwrap();
    let names = |line: &str| !line.starts_with('#') && line.contains("steadfast");
    assert!(dependencies.contains("rusqlite") && !dependencies.lines().any(names));
}
