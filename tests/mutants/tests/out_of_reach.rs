//! `steadfast` as its users build it has no mutants: no setting of theirs can turn one on.

use std::fs;
use std::path::PathBuf;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).ok()
}

#[test]
fn no_published_package_has_a_switch_for_mutants() {
    for package in ["runtime", "macros", "schema"] {
        let manifest = read(&format!("{package}/Cargo.toml"))
            .expect("published packages have a manifest there");
        assert!(
            !manifest.contains("mutant") && !manifest.contains("mutated"),
            "{package} knows of mutants"
        );
        assert!(
            !manifest.contains("build = ") && read(&format!("{package}/build.rs")).is_none(),
            "{package} is built"
        );
    }
}

#[test]
fn only_tests_depend_on_the_mutated_core() {
    let workspace = read("Cargo.toml").expect("the workspace has a manifest");
    let members =
        workspace.lines().filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\","));
    let users: Vec<&str> = members
        .filter(|member| {
            let manifest = read(&format!("{member}/Cargo.toml")).expect("members have a manifest");
            manifest.lines().any(|line| line.contains("-mutated") && !line.starts_with("name"))
        })
        .collect();
    assert!(users.contains(&"tests/mutants"), "nobody is found: {users:?}");
    assert!(users.iter().all(|user| user.starts_with("tests/")), "{users:?}");
}
