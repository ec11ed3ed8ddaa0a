//! The archives of the corpus: what is packed comes out again, and what is damaged is an error, not
//! a smaller corpus.

use std::path::Path;

use steadfast_fuzz::corpus::{Inputs, archive};
use steadfast_fuzz::targets;

fn some() -> Inputs {
    let mut inputs = Inputs::default();
    inputs.add("refused", b"p1,0\n".to_vec());
    inputs.add("0123456789abcdef", b"".to_vec());
    inputs.add("0123456789abcdef0123456789abcdef01234567", b"\xff\n3 inputs\n\0".to_vec());
    inputs
}

#[test]
fn what_is_packed_comes_out_again() {
    assert_eq!(some().len(), 3);
    assert_eq!(Inputs::from_archive(&some().to_archive()).expect("it is whole"), some());
}

#[test]
fn the_same_inputs_make_the_same_archive() {
    let mut others = Inputs::default();
    let added: Vec<_> =
        some().iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    added.into_iter().rev().for_each(|(name, bytes)| others.add(&name, bytes));
    assert_eq!(others.to_archive(), some().to_archive());
    for target in targets() {
        let committed = Inputs::committed(target.name).expect("it is whole");
        let bytes = std::fs::read(archive(target.name)).expect("it can be read");
        assert!(committed.to_archive() == bytes, "{} is not as it would be packed", target.name);
    }
}

#[test]
fn an_archive_that_is_cut_short_anywhere_is_an_error() {
    let whole = some().to_archive();
    for length in 0..whole.len() {
        let cut = Inputs::from_archive(&whole[..length]);
        assert!(cut.is_err(), "{length} of {} bytes are read as {cut:?}", whole.len());
    }
}

#[test]
fn an_archive_that_goes_on_behind_its_end_is_an_error() {
    let longer = [some().to_archive(), b"\n".to_vec()].concat();
    assert!(Inputs::from_archive(&longer).is_err());
}

#[test]
fn other_bytes_under_the_name_of_a_hash_are_an_error() {
    let mut changed = some().to_archive();
    let at = changed.iter().position(|byte| *byte == 0xff).expect("the second input has it");
    changed[at] = 0xfe;
    assert!(Inputs::from_archive(&changed).is_err());
}

#[test]
fn an_input_is_there_once_and_keeps_the_name_that_says_something() {
    let mut inputs = some();
    inputs.add("fedcba9876543210", b"p1,0\n".to_vec());
    assert_eq!(inputs, some(), "it has a name already");
    inputs.add("empty", b"".to_vec());
    let names: Vec<&str> = inputs.iter().map(|(name, _)| name).collect();
    assert_eq!(names[1..], ["empty", "refused"]);
    assert_eq!(inputs.len(), 3);
}

#[test]
fn files_of_a_folder_make_the_archive_that_they_came_from() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unpacked");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an earlier run left it");
    }
    some().unpack(&folder).expect("it can be written");
    assert_eq!(Inputs::from_folder(&folder).expect("it can be read"), some());
    assert!(some().unpack(&folder).is_err(), "the folder may hold something else");
}
