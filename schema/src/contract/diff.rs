//! How two contracts differ, for people. Lines are sorted, so no line has moved.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
        if near(at) {
            text.push_str(if left_out && !text.is_empty() { "  …\n" } else { "" });
            text.push_str(line);
            text.push('\n');
        }
        left_out = !near(at);
    }
    Some(text)
}

fn marked(kept: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for (about, says) in kept {
        all.insert(about, (Some(says), None));
    }
    for (about, says) in new {
        match all.entry(about) {
            Entry::Occupied(mut entry) => entry.get_mut().1 = Some(says),
            Entry::Vacant(entry) => {
                entry.insert((None, Some(says)));
            }
        }
    }
    let mut lines = Vec::new();
    for (about, (kept, new)) in all {
        if let (Some(kept), Some(new)) = (kept, new)
            && kept == new
        {
            lines.push(format!("  {}", line(about, kept)));
            continue;
        }
        lines.extend(kept.map(|says| format!("- {}", line(about, says))));
        lines.extend(new.map(|says| format!("+ {}", line(about, says))));
    }
    lines
}
