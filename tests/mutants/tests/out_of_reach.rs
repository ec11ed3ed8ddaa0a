//! `steadfast` as its users build it has no mutants and no models of loom: its sources have no line
//! for them, none of its packages is made by a build script, and only tests depend on the copies.

use std::fs;
use std::path::{Path, PathBuf};

/// What users compile.
const PUBLISHED: [&str; 3] = ["runtime", "macros", "schema"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// Every file below a folder, with its text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("its entries can be read").path());
    paths
        .flat_map(|path| match fs::read_to_string(&path) {
            Ok(text) => vec![(path, text)],
            Err(_) => files(&path),
        })
        .collect()
}

#[test]
fn no_published_source_has_a_line_for_the_builds_of_tests() {
    let (mut seen, words) = (0, ["mutant", "planted", "mutated", "loom::", "cfg(steadfast"]);
    for package in PUBLISHED {
        for (path, text) in files(&root().join(package).join("src")) {
            seen += 1;
            let found = words.iter().find(|word| text.to_lowercase().contains(**word));
            assert_eq!(found, None, "in {}", path.display());
        }
    }
    assert!(seen > 100, "only {seen} files were found");
}

#[test]
fn no_published_package_has_a_switch_for_mutants() {
    for package in PUBLISHED {
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
