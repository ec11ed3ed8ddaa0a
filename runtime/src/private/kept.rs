//! What `assert_contract!` calls: a contract is held against the file that a team has committed, or
//! the file is written anew where that is asked for.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast_schema::Contract;

use crate::protocol::{ClientEnum, contract};

/// What has to be set to `update` for the file to be written.
const SETTING: &str = "STEADFAST_CONTRACT";

/// Fails with the differences, and with what to do about them.
///
/// # Panics
/// When the file says something else than the enums, or is not there.
#[track_caller]
pub fn assert_contract<C: ClientEnum>(package: &str, path: Option<&str>) {
    let contract = contract::<C>();
    let path = path.map_or_else(
        || Path::new("contracts").join(format!("{}.contract", contract.protocol())),
        PathBuf::from,
    );
    let setting = std::env::var(SETTING).ok();
    let checked = match setting.as_deref() {
        Some("update") => update(&contract, &Path::new(package).join(&path)),
        None | Some("") => check(&contract, package, &path),
        Some(other) => Err(format!("{SETTING} is `{other}`; it may be `update`, or not be set")),
    };
    assert!(checked.is_ok(), "{}", checked.err().unwrap_or_default());
}

fn update(contract: &Contract, file: &Path) -> Result<(), String> {
    let kept = fs::read_to_string(file).ok();
    if kept.and_then(|text| Contract::parse(&text).ok()).as_ref() == Some(contract) {
        return Ok(());
    }
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| fs::write(file, contract.to_string()));
    written.map_err(|error| format!("{} can't be written: {error}", file.display()))
}

fn check(contract: &Contract, package: &str, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let text = fs::read_to_string(Path::new(package).join(path)).map_err(|error| {
        format!(
            "the contract of `{}` is to be in {shown} of this package, which can't be read \
             ({error}).\nTo write it: {SETTING}=update cargo test\nThen commit it.",
            contract.protocol()
        )
    })?;
    let kept = Contract::parse(&text).map_err(|error| format!("{shown}: {error}"))?;
    match contract.diff(&kept) {
        Some(diff) => Err(told(contract, &kept, &diff, path)),
        None => Ok(()),
    }
}

fn told(contract: &Contract, kept: &Contract, diff: &str, path: &Path) -> String {
    let (name, path) = (contract.protocol(), path.display());
    let missing = Contract::missing(kept, contract);
    let verdict = if missing.is_empty() {
        "Clients that were built with the kept contract find everything that they know.".to_owned()
    } else {
        let each: Vec<String> = missing.iter().map(|what| format!("  {what}\n")).collect();
        format!(
            "Clients that were built with the kept contract rely on what is gone or changed:\n{}",
            each.concat()
        )
    };
    format!(
        "the contract of `{name}` is not the one in {path}:\n\n{diff}\n{verdict}\n\
         If that is meant: {SETTING}=update cargo test, and commit {path}. If clients with the kept \
         contract are in use, keep a copy of the old file, and give it to your server \
         (`Builder::released`)."
    )
}
