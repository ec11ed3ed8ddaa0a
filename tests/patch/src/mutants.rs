//! What a mutant has beside other changes: it says what goes wrong, and it asks whether it is
//! planted. How that is answered is for the crate that it is planted into.

use std::fmt::Write as _;
use std::path::Path;

use crate::{Change, Mistake, Result, changes, none};

/// Reads the mutants of a folder, as [`changes`] does.
///
/// # Errors
/// As those of [`changes`], and when one does not say what goes wrong, or has a patch that does not
/// ask `planted(ItsName)`.
pub fn mutants(folder: &Path) -> Result<Vec<Change>> {
    let mutants = changes(folder)?;
    none(mutants.iter().filter_map(mistake).collect())?;
    Ok(mutants)
}

/// The argument of `mutants!`, which each crate with mutants has for itself: their names and docs.
#[must_use]
pub fn listed(mutants: &[Change]) -> String {
    let mut list = "mutants! {\n".to_owned();
    for Change { name, doc, .. } in mutants {
        for line in doc {
            writeln!(list, "    /// {line}").expect("a string takes everything");
        }
        writeln!(list, "    {name},").expect("a string takes everything");
    }
    list + "}\n"
}

fn mistake(mutant: &Change) -> Option<Mistake> {
    let Change { name, doc, patches } = mutant;
    let asks = format!("planted({name})");
    if doc.is_empty() {
        return Some(Mistake::new(format!("{name} does not say what goes wrong")));
    }
    if patches.is_empty() {
        return Some(Mistake::new(format!("{name} has no patch")));
    }
    let silent = patches.iter().find(|patch| !patch.replace.contains(&asks))?;
    Some(Mistake::new(format!("{}: {name} does not ask {asks}", silent.written_at)))
}
