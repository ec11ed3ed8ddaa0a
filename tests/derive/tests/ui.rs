//! Mistakes as users make them, one per file, and what the compiler says to each. What the derive
//! makes of enums without mistakes is for the other tests.

use std::fs;
use std::path::{Path, PathBuf};

const FAIL: &str = "tests/ui/fail";

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

fn cases(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FAIL))
        .expect("the folder is part of the repository");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn one_mistake_is_one_error() {
    let expectations = cases("stderr");
    assert_eq!(expectations.len(), cases("rs").len(), "a case without its expectation");
    for path in expectations {
        let text = fs::read_to_string(&path).expect("a readable file");
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        let warnings = text.lines().filter(|line| line.starts_with("warning")).count();
        assert_eq!((errors, warnings), (1, 0), "{}:\n{text}", path.display());
    }
}
