//! The rooms of the crate: which module may use which is the table of ARCHITECTURE.md under
//! "Arrows", and no files of a room need each other in a circle.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used)]

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sources::Sources;

/// Folders without circles of files.
const WITHOUT_CIRCLES: [&str; 7] =
    ["client", "server", "session/client", "session/node", "store", "test", "transport"];

/// Modules below the top that are rooms of their own.
const INNER_ROOMS: [&str; 3] = ["session/client", "session/node", "session/store"];

type Arrows = BTreeSet<(String, String)>;

fn runtime() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn room(file: &str) -> String {
    let path = file.trim_end_matches(".rs");
    let inner = INNER_ROOMS.iter().find(|room| {
        path.strip_prefix(**room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    inner.copied().or(path.split('/').next()).unwrap().replace('/', "::")
}

/// The arrows between rooms that the code uses.
fn used(sources: &Sources) -> Arrows {
    let between = sources.imports.iter().flat_map(|(from, imported)| {
        imported.iter().map(move |to| (room(from), room(to))).filter(|(from, to)| from != to)
    });
    between.collect()
}

/// The block under `## Arrows`: lines of `room -> room, room`.
fn allowed(text: &str) -> Arrows {
    let section = text.split("\n## Arrows\n").nth(1).expect("a heading `## Arrows`");
    let block = section.split("```").nth(1).expect("a fenced block under it");
    let lines = block.lines().filter_map(|line| line.split_once(" -> "));
    let arrows = lines.flat_map(|(from, to)| {
        to.split(", ").map(move |to| (from.trim().to_owned(), to.trim().to_owned()))
    });
    arrows.collect()
}

/// The files of a folder that need each other in a circle, each with one that leads back to it. A
/// module needs those that it declares.
fn circles(sources: &Sources, folder: &str) -> BTreeMap<String, String> {
    let inside = |file: &&String| file.starts_with(&format!("{folder}/"));
    let needs = |file: &String| {
        let both = sources.imports[file].iter().chain(&sources.children[file]);
        both.filter(inside).cloned().collect::<BTreeSet<String>>()
    };
    let mut circles = BTreeMap::new();
    for start in sources.imports.keys().filter(inside) {
        let (mut seen, mut left) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(file) = left.pop() {
            for needed in needs(&file) {
                if needed == *start {
                    circles.insert(start.clone(), file.clone());
                } else if seen.insert(needed.clone()) {
                    left.push(needed);
                }
            }
        }
    }
    circles
}

#[test]
fn the_arrows_between_rooms_are_those_of_the_architecture() {
    let used = used(&Sources::below(&runtime().join("src")));
    let text = std::fs::read_to_string(runtime().join("../ARCHITECTURE.md")).unwrap();
    let allowed = allowed(&text);
    let new: Vec<_> = used.difference(&allowed).collect();
    assert!(new.is_empty(), "arrows that ARCHITECTURE.md does not have: {new:?}");
    let unused: Vec<_> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "arrows of ARCHITECTURE.md that no code needs: {unused:?}");
}

#[test]
fn no_files_of_a_room_need_each_other_in_a_circle() {
    let sources = Sources::below(&runtime().join("src"));
    for folder in WITHOUT_CIRCLES {
        let circles = circles(&sources, folder);
        assert!(circles.is_empty(), "circles in {folder}: {circles:#?}");
    }
}

fn planted(files: &[(&str, &str)]) -> Sources {
    Sources::of(files.iter().map(|(file, text)| ((*file).into(), (*text).into())).collect())
}

#[test]
fn a_planted_arrow_is_found_wherever_it_stands() {
    for text in [
        "use crate::high::Thing;",
        "use crate::{low::x, high::{self, y}};",
        "pub(crate) use crate::{\n    low::{a as b, c},\n    high,\n};",
        "fn f() -> crate::high::Thing {}",
        "mod inner;\nuse super::high as h;",
    ] {
        let sources = planted(&[("low.rs", text), ("high/mod.rs", "")]);
        assert!(used(&sources).contains(&("low".into(), "high".into())), "{text}");
    }
    for text in [
        "// use crate::high::Thing;\n/// [`crate::high`]",
        "use crate::highest::Thing;\nuse other_crate::high;",
        "#[cfg(test)]\nmod tests {\n    use crate::high::Thing;\n}",
    ] {
        let sources = planted(&[("low.rs", text), ("high/mod.rs", ""), ("highest.rs", "")]);
        assert!(!used(&sources).contains(&("low".into(), "high".into())), "{text}");
    }
}

#[test]
fn a_module_of_tests_needs_what_it_likes() {
    let sources = planted(&[
        ("low/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("low/tests/mod.rs", "use crate::high::Thing;"),
        ("high.rs", ""),
    ]);
    assert!(used(&sources).is_empty());
}

#[test]
fn inner_rooms_are_told_apart_from_the_room_around_them() {
    let sources = planted(&[
        ("session/node/mod.rs", "use crate::session::{Now, store::Outcome};"),
        ("session/mod.rs", ""),
        ("session/store.rs", ""),
    ]);
    let arrows: Vec<_> = used(&sources).into_iter().map(|(_, to)| to).collect();
    assert_eq!(arrows, ["session", "session::store"]);
}

#[test]
fn a_planted_circle_is_found() {
    let straight = planted(&[
        ("client/mod.rs", "mod a;\nmod b;"),
        ("client/a.rs", "use super::b::B;"),
        ("client/b.rs", "use crate::wire::W;"),
        ("wire.rs", ""),
    ]);
    assert!(circles(&straight, "client").is_empty());
    for (a, b) in [
        ("use super::b::B;", "use crate::client::a::A;"),
        ("use super::Thing;", ""),
        ("", "fn f(_: super::Thing) {}"),
    ] {
        let sources =
            planted(&[("client/mod.rs", "mod a;\nmod b;"), ("client/a.rs", a), ("client/b.rs", b)]);
        assert!(circles(&sources, "client").len() >= 2, "{a} {b}");
    }
}

#[test]
fn the_table_is_read_line_by_line() {
    let text = "# A\n\n## Arrows\n\nprose\n\n```\na -> b, c\nb  -> c\n```\n\nmore";
    let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(allowed(text), [arrow("a", "b"), arrow("a", "c"), arrow("b", "c")].into());
}
