//! The properties of the fuzz targets, over changes of the committed inputs and over frames made up
//! from the tables: a few thousand of them in each test run, where the corpus alone repeats what is
//! known. The round trip of every kind of frame is `runtime/tests/wire_round_trip.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use steadfast_fuzz::corpus::Inputs;
use steadfast_fuzz::run;

fn inputs(target: &str) -> Vec<Vec<u8>> {
    Inputs::committed(target).unwrap().iter().map(|(_, bytes)| bytes.to_vec()).collect()
}

/// What stands in frames, and beside what may.
fn token() -> impl Strategy<Value = String> {
    let telling = select(vec![
        "{}",
        "null",
        "[]",
        "true",
        "-0",
        "01",
        "1.0",
        "1e1",
        "\"\"",
        "\"post\"",
        "\"a\\u0062\"",
        "\"\\ud800\"",
        "\"error\"",
        "\"later\"",
        "9007199254740991",
        "9007199254740992",
        "18446744073709551616",
        "{\"sub\":1}",
        "{\"sub\":1,\"sub\":1}",
        "{\"reason\":\"token\",\"more\":[[{}]]}",
        "{\"after_ms\":1,\"deadline_ms\":4294967296}",
        "",
        " ",
        "]",
        "}",
    ]);
    prop_oneof![3 => (0_u64..4).prop_map(|n| n.to_string()), 3 => telling.prop_map(str::to_owned)]
}

/// `[kind, …]` with elements that may or may not fit.
fn frame() -> impl Strategy<Value = String> {
    let kind = prop_oneof![4 => 0_u64..28, 1 => 0_u64..300];
    let parts = (kind, vec((token(), select(vec!["", " ", "\n"])), 0..8));
    parts.prop_map(|(kind, parts)| {
        let elements: Vec<String> =
            parts.into_iter().map(|(token, space)| format!("{space}{token}{space}")).collect();
        format!("[{}]", [vec![kind.to_string()], elements].concat().join(","))
    })
}

/// What stands in binary frames, and beside what may.
fn binary_token() -> impl Strategy<Value = Vec<u8>> {
    let telling: Vec<&[u8]> = vec![
        &[0x80],
        &[0x81, 0xa3, b's', b'u', b'b', 1],
        &[0x82, 0xa3, b's', b'u', b'b', 1, 0xa3, b's', b'u', b'b', 1],
        &[0x81, 0xa6, b'r', b'e', b'a', b's', b'o', b'n', 0xa5, b't', b'o', b'k', b'e', b'n'],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x91],
        &[0xc0],
        &[0xc1],
        &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
        &[0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0],
        &[4, b'p', b'o', b's', b't'],
        &[5, b'e', b'r', b'r', b'o', b'r'],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
        &[0x80, 0x00],
        &[0x88, 0x27],
        &[],
    ];
    prop_oneof![3 => (0_u8..4).prop_map(|n| vec![n]), 3 => select(telling).prop_map(<[u8]>::to_vec)]
}

/// A kind, and elements that may or may not fit.
fn binary_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => 0_u8..28, 1 => any::<u8>()];
    (kind, vec(binary_token(), 0..8))
        .prop_map(|(kind, parts)| [vec![kind], parts.concat()].concat())
}

/// One change: what, where, and with which byte.
fn change(bytes: &mut Vec<u8>, (what, at, byte): (u8, Index, u8)) {
    const TELLING: &[u8] = b"[]{},:\" \\0919-+.eEu\x00\xff\n\x80\x81\x91\xa1\xc0\xc1\xdd\xdf";
    let byte = if byte < 160 { TELLING[usize::from(byte) % TELLING.len()] } else { byte };
    match what % 5 {
        _ if bytes.is_empty() => bytes.push(byte),
        0 => *at.get_mut(bytes) = byte,
        1 => bytes.insert(at.index(bytes.len() + 1), byte),
        2 => drop(bytes.remove(at.index(bytes.len()))),
        3 => bytes.truncate(at.index(bytes.len())),
        _ => bytes.extend_from_within(at.index(bytes.len())..),
    }
}

fn changed(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    (select(inputs(target)), vec(any::<(u8, Index, u8)>(), 1..6)).prop_map(
        |(mut bytes, changes)| {
            changes.into_iter().for_each(|one| change(&mut bytes, one));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn our_reader_and_serde_json_agree_on_frames_of_clients(text in frame()) {
        run("client_frames", text.as_bytes());
    }

    #[test]
    fn our_reader_and_serde_json_agree_on_frames_of_servers(text in frame()) {
        run("server_frames", text.as_bytes());
    }

    #[test]
    fn binary_frames_of_clients_are_the_same_in_both_codecs(message in binary_frame()) {
        run("client_frames", &message);
    }

    #[test]
    fn binary_frames_of_servers_are_the_same_in_both_codecs(message in binary_frame()) {
        run("server_frames", &message);
    }

    #[test]
    fn they_agree_on_changed_frames_of_clients(message in changed("client_frames")) {
        run("client_frames", &message);
    }

    #[test]
    fn they_agree_on_changed_frames_of_servers(message in changed("server_frames")) {
        run("server_frames", &message);
    }

    #[test]
    fn changed_bodies_are_read_as_what_they_are_written_as(input in changed("bodies")) {
        run("bodies", &input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_node_survives_changed_attacks(script in changed("node")) {
        run("node", &script);
    }

    #[test]
    fn a_client_survives_changed_attacks(script in changed("client")) {
        run("client", &script);
    }

    #[test]
    fn a_session_survives_a_network_that_changes_it(script in changed("session")) {
        run("session", &script);
    }
}
