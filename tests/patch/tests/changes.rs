//! What a folder of patches says, and what it does to a text.

use std::path::{Path, PathBuf};

use steadfast_patch::{Change, Result, Sources, changes, parse};

const FILE: &str = "\
fn place(from: Position, topic: &Topic) -> bool {
    if from.ts > topic.head
        && !from.is_old()
    {
        return topic.header();
    }
    topic.is_empty()
}
";

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.put("a/place.rs", FILE.to_owned());
    sources
}

fn understood(text: &str) -> Vec<Change> {
    parse("some.patch", text).expect("it is understood")
}

fn patched(text: &str) -> String {
    let mut sources = sources();
    sources.apply(&understood(text), "").expect("every patch fits");
    sources.text("a/place.rs").expect("it was there before").to_owned()
}

fn told<T: std::fmt::Debug>(mistakes: Result<T>) -> Vec<String> {
    mistakes.expect_err("something is wrong").iter().map(ToString::to_string).collect()
}

fn told_of(text: &str) -> Vec<String> {
    let (mut sources, before) = (sources(), sources());
    let told = told(sources.apply(&understood(text), ""));
    assert_eq!(sources, before, "nothing is changed by halves");
    told
}

#[test]
fn a_patch_puts_one_text_in_the_place_of_another() {
    let patched = patched("[One]\nin a/place.rs\n- topic.is_empty()\n+ planted(One)\n");
    assert_eq!(patched, FILE.replace("topic.is_empty()", "planted(One)"));
}

#[test]
fn line_breaks_of_rustfmt_do_not_matter() {
    let broken = "[One]\nin a/place.rs\n- from.ts > topic\n-     .head && !from.is_old()\n+ true\n";
    let on_one_line = "[One]\nin a/place.rs\n- from.ts>topic.head&&!from.is_old()\n+ true\n";
    let expected = FILE.replace("from.ts > topic.head\n        && !from.is_old()", "true");
    assert_ne!(expected, FILE);
    assert_eq!([patched(broken), patched(on_one_line)], [expected.clone(), expected]);
}

#[test]
fn white_space_parts_two_words() {
    let told = told_of("[One]\nin a/place.rs\n- returntopic.header()\n+ true\n");
    assert_eq!(told.len(), 1);
}

#[test]
fn a_text_begins_and_ends_with_whole_words() {
    let patched = patched("[One]\nin a/place.rs\n- topic.head\n+ topic.tail\n");
    assert_eq!(patched, FILE.replace("> topic.head\n", "> topic.tail\n"));
}

#[test]
fn every_text_that_does_not_stand_there_exactly_once_is_named_with_its_places() {
    let told = told_of(
        "[Fits]\nin a/place.rs\n- is_empty()\n+ x\n\n[Gone]\nin a/place.rs\n- topic.tail\n+ x\n\n\
         [Twice]\nin a/place.rs\n- from.\n+ x\nin b.rs\n- x\n+ x\n",
    );
    assert_eq!(
        told,
        [
            "some.patch:8: Gone: `topic.tail` stands 0 times in a/place.rs, not once",
            "some.patch:13: Twice: `from.` stands 2 times in a/place.rs, not once: line 2, 3",
            "some.patch:16: Twice: there is no b.rs",
        ]
    );
}

#[test]
fn texts_that_overlap_are_a_mistake() {
    let told = told_of(
        "[One]\nin a/place.rs\n- topic.is_empty()\n+ x\n[Other]\nin a/place.rs\n- is_empty()\n+ x\n",
    );
    assert_eq!(told, ["some.patch:7: Other: its text overlaps that of One in a/place.rs"]);
}

#[test]
fn patches_are_looked_for_in_the_file_as_it_was() {
    let (one, other) = (
        "[One]\nin a/place.rs\n- topic.is_empty()\n+ topic.is_full()\n",
        "[Other]\nin a/place.rs\n- topic.is_full()\n+ true\n",
    );
    assert_eq!(told_of(&format!("{one}{other}")).len(), 1);
    assert_eq!(told_of(&format!("{other}{one}")).len(), 1);
}

#[test]
fn one_change_may_have_several_patches_in_several_files() {
    let understood = understood(
        "# An area.\n\n[One]\n/// What it is\n/// for.\nin a.rs\n- a\n- b\n+ c\n+ d\n- e\n+ f\nin b.rs\n- g\n+ h\n",
    );
    let [change] = understood.as_slice() else { panic!("{understood:?}") };
    assert_eq!((change.name.as_str(), change.doc.join(" ")), ("One", "What it is for.".to_owned()));
    let patches: Vec<_> = change
        .patches
        .iter()
        .map(|it| (it.written_at.as_str(), it.file.as_str(), it.find.as_str(), it.replace.as_str()))
        .collect();
    assert_eq!(
        patches,
        [
            ("some.patch:7", "a.rs", "a\nb", "c\nd"),
            ("some.patch:11", "a.rs", "e", "f"),
            ("some.patch:14", "b.rs", "g", "h"),
        ]
    );
}

#[test]
fn every_line_that_is_not_understood_is_named() {
    let told = told(parse(
        "some.patch",
        "in a.rs\n[One]\n- a\n+ b\nin a.rs\n- nothing is put there\nsomething else\n",
    ));
    let lines: Vec<&str> = told.iter().filter_map(|line| line.split(": ").next()).collect();
    let expected = ["some.patch:1", "some.patch:3", "some.patch:4", "some.patch:7", "some.patch:6"];
    assert_eq!(lines, expected, "{told:?}");
}

#[test]
fn files_that_are_changed_get_the_tail() {
    let mut sources = sources();
    sources.put("b.rs", "fn b() {}\n".to_owned());
    let change = understood("[One]\nin b.rs\n- fn b()\n+ fn c()\n");
    sources.apply(&change, "use d;\n").expect("it fits");
    assert_eq!(sources.text("b.rs"), Some("fn c() {}\nuse d;\n"));
    assert_eq!(sources.text("a/place.rs"), Some(FILE));
}

#[test]
fn a_head_is_taken_off_and_nothing_else() {
    let mut sources = Sources::default();
    let body = "\n\n/// A doc.\n#[cfg(test)]\nmod a;\n";
    let head = "//! What it\n//!\n//! is.\n#![cfg_attr(\n    x[0],\n    doc = \"y\"\n)]\n//! More.\n#![no_std]";
    sources.put("lib.rs", format!("{head}{body}"));
    sources.behead("lib.rs").expect("it is there");
    assert_eq!(sources.text("lib.rs"), Some(body));
    sources.behead("lib.rs").expect("it is there");
    assert_eq!(sources.text("lib.rs"), Some(body));
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an earlier run left it");
    }
    folder
}

#[test]
fn what_is_written_is_what_was_read_and_nothing_of_an_earlier_copy() {
    let (from, to) = (folder("from"), folder("to"));
    let mut written = sources();
    written.put("lib.rs", "mod a;\n".to_owned());
    written.write(&from).expect("it can be written");
    assert_eq!(Sources::read(&from), Ok(written.clone()));
    assert_eq!(Sources::read_parts(&from, &["a", "lib.rs"]), Ok(written));
    assert_eq!(Sources::read_parts(&from, &["a"]), Ok(sources()));
    sources().write(&to).expect("it can be written");
    let mut others = Sources::default();
    others.put("lib.rs", String::new());
    others.write(&to).expect("it can be written");
    assert!(!to.join("a/place.rs").exists());
    assert_eq!(
        told(Sources::read_parts(&to, &["a"])).len(),
        1,
        "a part that is missing is a mistake"
    );
}

#[test]
fn a_file_from_elsewhere_takes_the_place_of_one_and_another_is_added_to() {
    let folder = folder("elsewhere");
    let mut ours = Sources::default();
    ours.put("place.rs", "fn ours() {}\n".to_owned());
    ours.write(&folder).expect("it can be written");
    let mut sources = sources();
    sources.put_file("a/place.rs", &folder.join("place.rs")).expect("it can be read");
    sources.append("a/place.rs", "mod models;\n").expect("it is there");
    assert_eq!(sources.text("a/place.rs"), Some("fn ours() {}\nmod models;\n"));
    assert_eq!(told(sources.append("b.rs", "mod models;\n")), ["there is no b.rs"]);
    assert_eq!(told(sources.put_file("b.rs", &folder.join("b.rs"))).len(), 1);
}

#[test]
fn a_name_is_given_once() {
    let folder = folder("patches");
    let mut texts = Sources::default();
    texts.put("a.patch", "[One]\n".to_owned());
    texts.put("b.patch", "[Other]\n[One]\n".to_owned());
    texts.put("README.md", "not a patch\n".to_owned());
    texts.write(&folder).expect("it can be written");
    assert_eq!(told(changes(&folder)), ["One is there twice"]);
}
