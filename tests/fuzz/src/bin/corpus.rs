//! Takes the committed inputs of a target out of their archive, and puts others in;
//! `tests/fuzz/run` calls it. Leaves it to libFuzzer which inputs are worth keeping.

#![expect(clippy::print_stdout, reason = "a program for a person at a terminal")]

use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::process::ExitCode;

use steadfast_fuzz::corpus::{Inputs, archive};
use steadfast_fuzz::targets;

const USAGE: &str = "\
corpus unpack <target> <folder>   puts each input into a file of a new folder
corpus pack <target> <folder>     makes the archive anew, of the files of a folder
corpus add <target> <file>...     adds files to the archive";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, target, paths @ ..] = arguments.as_slice() else { return Err(usage()) };
    if !targets().iter().any(|known| known.name == target) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("no target is named {target}")));
    }
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    match (command.as_str(), paths.as_slice()) {
        ("unpack", [folder]) => Inputs::committed(target)?.unpack(folder),
        ("pack", [folder]) => write(target, &Inputs::from_folder(folder)?),
        ("add", [_, ..]) => {
            let mut inputs = Inputs::committed(target)?;
            paths.iter().try_for_each(|file| inputs.add_file(file))?;
            write(target, &inputs)
        }
        _ => Err(usage()),
    }
}

fn write(target: &str, inputs: &Inputs) -> Result<()> {
    std::fs::write(archive(target), inputs.to_archive())?;
    println!("{target}: {} inputs; their number stands in tests/fuzz/src/lib.rs too", inputs.len());
    Ok(())
}

fn usage() -> Error {
    Error::new(ErrorKind::InvalidInput, USAGE)
}
