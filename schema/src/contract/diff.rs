//! How two contracts differ, for people. Lines are sorted, so no line has moved.

use std::collections::{BTreeMap, BTreeSet};

use super::line;

/// Lines that stay, shown around those that do not.
const AROUND: usize = 2;

pub(super) fn diff(
    kept: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Option<String> {
    let lines = marked(kept, new);
    let changed: Vec<usize> = (0..lines.len()).filter(|at| !lines[*at].starts_with(' ')).collect();
    if changed.is_empty() {
        return None;
    }
    let near = |at: usize| changed.iter().any(|changed| changed.abs_diff(at) <= AROUND);
    let mut text = String::new();
    let mut left_out = false;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) && !text.is_empty() {
            text.push_str("  …\n");
        }
        text.push_str(line);
        text.push('\n');
    }
    Some(text)
}

fn marked(kept: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let all: BTreeSet<&String> = kept.keys().chain(new.keys()).collect();
    let mut lines = Vec::new();
    for about in all {
        let (kept, new) = (kept.get(about), new.get(about));
        if kept == new {
            lines.extend(kept.map(|says| format!("  {}", line(about, says))));
            continue;
        }
        lines.extend(kept.map(|says| format!("- {}", line(about, says))));
        lines.extend(new.map(|says| format!("+ {}", line(about, says))));
    }
    lines
}
