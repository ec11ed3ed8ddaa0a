//! The clauses, read from PROTOCOL.md itself, and the list of those that nothing can check from
//! outside. What a clause says is for its cases to know.

use std::collections::BTreeSet;

/// The specification, as this build of the suite knows it.
const SPECIFICATION: &str = include_str!("../../../PROTOCOL.md");

/// A numbered clause of PROTOCOL.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// Its number, such as `4.2` or `8.1a`.
    pub id: &'static str,
    /// Its text, with the tables and layouts that follow it.
    pub text: &'static str,
    /// Why no case can show it; `None` if one can.
    pub definition: Option<&'static str>,
}

/// How many clauses have a case, and which have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// All clauses.
    pub clauses: usize,
    /// Those that have at least one case.
    pub covered: usize,
    /// Those that are pure definitions, and say why.
    pub definitions: usize,
    /// Those that have neither, by number.
    pub uncovered: Vec<&'static str>,
    /// Those that have a case for servers.
    pub of_servers: usize,
    /// Those that have a case for clients.
    pub of_clients: usize,
}

/// Clauses that nothing can check from outside, with the reason. A clause that says what somebody
/// does never belongs here.
const DEFINITIONS: &[(&str, &str)] = &[];

/// Every clause, in the order of PROTOCOL.md.
#[must_use]
pub fn clauses() -> Vec<Clause> {
    let starts: Vec<(usize, usize, usize)> =
        SPECIFICATION.match_indices("\n- **").filter_map(clause_at).collect();
    let ends = starts.iter().skip(1).map(|start| start.0).chain([SPECIFICATION.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&(_, id_end, text_start), next)| clause(id_end, text_start, next))
        .collect()
}

/// Where a clause begins, where its number ends, and where its text begins.
fn clause_at((start, mark): (usize, &str)) -> Option<(usize, usize, usize)> {
    let id_start = start + mark.len();
    let length = SPECIFICATION[id_start..].find("** ")?;
    let id = &SPECIFICATION[id_start..id_start + length];
    is_number(id).then_some((start, id_start + length, id_start + length + 3))
}

fn clause(id_end: usize, text_start: usize, next: usize) -> Clause {
    let id_start = SPECIFICATION[..id_end].rfind("**").map_or(id_end, |mark| mark + 2);
    let id = &SPECIFICATION[id_start..id_end];
    let text = &SPECIFICATION[text_start..next];
    let text = text.find("\n## ").map_or(text, |heading| &text[..heading]).trim();
    let definition = DEFINITIONS.iter().find(|(of, _)| *of == id).map(|(_, why)| *why);
    Clause { id, text, definition }
}

/// Whether a text looks like a clause's number.
fn is_number(text: &str) -> bool {
    let Some((section, rest)) = text.split_once('.') else { return false };
    let digits = rest.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_count(section) && is_count(digits) && rest.len() <= digits.len() + 1
}

/// Compares the specification with the lists of cases.
#[must_use]
pub fn coverage() -> Coverage {
    let of_servers: BTreeSet<&str> =
        crate::server::cases().flat_map(|case| case.clauses).copied().collect();
    let of_clients: BTreeSet<&str> =
        crate::client::cases().flat_map(|case| case.clauses).copied().collect();
    let clauses = clauses();
    let has_case =
        |clause: &&Clause| of_servers.contains(clause.id) || of_clients.contains(clause.id);
    let is_defined = |clause: &&Clause| clause.definition.is_some();
    Coverage {
        clauses: clauses.len(),
        covered: clauses.iter().filter(has_case).count(),
        definitions: clauses.iter().filter(is_defined).count(),
        uncovered: clauses
            .iter()
            .filter(|c| !has_case(c) && !is_defined(c))
            .map(|clause| clause.id)
            .collect(),
        of_servers: clauses.iter().filter(|clause| of_servers.contains(clause.id)).count(),
        of_clients: clauses.iter().filter(|clause| of_clients.contains(clause.id)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_numbered_line_of_the_specification_is_a_clause() {
        let numbered = SPECIFICATION.lines().filter(|line| line.starts_with("- **")).count();
        let clauses = clauses();
        assert_eq!(clauses.len(), numbered);
        assert!(clauses.iter().any(|clause| clause.id == "8.1a"));
        assert!(
            clauses.iter().all(|clause| !clause.text.is_empty() && !clause.text.contains("\n## "))
        );
        let ids: BTreeSet<_> = clauses.iter().map(|clause| clause.id).collect();
        assert_eq!(ids.len(), clauses.len(), "a number is used twice");
    }

    #[test]
    fn every_clause_has_a_case_or_a_reason_to_have_none() {
        let coverage = coverage();
        assert!(coverage.uncovered.is_empty(), "{coverage:?}");
        assert_eq!(coverage.covered + coverage.definitions, coverage.clauses, "{coverage:?}");
    }

    #[test]
    fn every_case_names_clauses_that_exist_and_has_a_name_of_its_own() {
        let known: BTreeSet<_> = clauses().iter().map(|clause| clause.id).collect();
        let of_servers = crate::server::cases().map(|case| (case.name, case.clauses));
        let of_clients = crate::client::cases().map(|case| (case.name, case.clauses));
        for cases in [of_servers.collect::<Vec<_>>(), of_clients.collect()] {
            let names: BTreeSet<_> = cases.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), cases.len(), "two cases of one name");
            for (name, clauses) in cases {
                assert!(
                    !clauses.is_empty() && clauses.iter().all(|id| known.contains(id)),
                    "{name}: {clauses:?}"
                );
            }
        }
    }

    #[test]
    fn every_clause_that_a_check_names_exists() {
        let known: BTreeSet<_> = clauses().iter().map(|clause| clause.id).collect();
        let mut seen = 0;
        for file in files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
            let source = std::fs::read_to_string(&file).expect("the sources are there");
            for text in source.split('"').skip(1).step_by(2).filter(|text| is_number(text)) {
                // The application's version, and numbers that are wrong on purpose, look like
                // clauses, too.
                seen += 1;
                assert!(
                    known.contains(text) || ["1.0"].contains(&text),
                    "{}: {text}",
                    file.display()
                );
            }
        }
        assert!(seen > 300, "only {seen} clauses were found in the sources");
    }

    fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).expect("the sources are there");
        let paths = entries.map(|entry| entry.expect("the sources are there").path());
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn only_clauses_that_exist_are_called_definitions() {
        let known: Vec<_> = clauses().iter().map(|clause| clause.id).collect();
        assert!(DEFINITIONS.iter().all(|(id, why)| known.contains(id) && !why.is_empty()));
    }
}
