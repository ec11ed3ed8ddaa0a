//! How much reading a message allocates: at most a small multiple of its own length, whatever it
//! says. Alone in its program, because it counts what the whole program allocates.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use steadfast::private::{decode_body, decode_topic_key};
use steadfast::wire::Codec;
use steadfast_fuzz::corpus::Inputs;
use steadfast_fuzz::{CODECS, targets};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Strings that grow while their escapes are read: to twice their length, by way of all smaller
/// sizes.
const PER_BYTE: usize = 4;

/// The boxes of HELLO, WELCOME and the like, and what growing strings begin with.
const BESIDE: usize = 2_048;

/// The test harness has threads of its own.
const TRIES: usize = 5;

fn allocated(read: impl Fn()) -> usize {
    let one = || {
        let region = Region::new(ALLOCATOR);
        read();
        region.change().bytes_allocated
    };
    (0..TRIES).map(|_| one()).min().unwrap_or_default()
}

fn reads(codec: Codec, message: &[u8]) {
    let text = String::from_utf8_lossy(message);
    for (bytes, length) in [
        (allocated(|| drop(codec.read_client(message))), message.len()),
        (allocated(|| drop(codec.read_server(message))), message.len()),
        (allocated(|| drop(decode_topic_key::<String>(&text))), text.len()),
    ] {
        let bound = PER_BYTE * length + BESIDE;
        let shown = String::from_utf8_lossy(&message[..message.len().min(80)]);
        assert!(bytes <= bound, "{bytes} bytes for a message of {}: {shown}", message.len());
    }
}

/// Messages of one kind and any length that say much, or promise more than they hold.
fn hostile(length: usize) -> Vec<Vec<u8>> {
    let hello = |token: &str| {
        format!(
            "[20,{{\"v\":1,\"protocol\":\"{token}\",\"version\":\"{token}\",\"token\":\"{token}\",\"instance\":\
             \"0123456789abcdef0123456789abcdef\",\"dial\":1,\"window\":{{\"frames\":4294967295,\"bytes\":4294967295}}}}]"
        )
    };
    let fill = |text: &str| text.repeat(length / text.len());
    [
        format!("[1,1,0,1,0,\"post\",{}]", fill("[")),
        format!("[1,1,0,1,0,\"{}\",{{}}]", fill("n")),
        format!("[3,1,1,1,0,\"{}\"]", fill("x")),
        format!("[4,1,1,1,0,\"{}\",\"\",{{}}]", fill("\\u0061")),
        format!("[9,1,1,1,\"{}\",1]", fill("\\n")),
        format!("[22,{{\"reason\":\"{}\"}}]", fill("\\ud83d\\ude00")),
        format!("[24,{{\"later\":{}{}}}]", fill("["), fill("]")),
        format!("[23,{{\"later\":{}", fill("{\"a\":")),
        format!("[26,{{{}\"sub\":1,\"code\":\"x\"}}]", fill("\"later\":[1e9],")),
        hello(&fill("x")),
        hello(&fill("\\u0000")),
        fill("["),
        fill("[1,"),
        format!("[{}]", fill("9")),
        format!("[200,{}]", fill("{\"")),
        fill(" "),
        fill("\""),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain(hostile_binary(length))
    .collect()
}

/// The same for the binary codec: lengths that are lies, and what is nothing but beginnings.
fn hostile_binary(length: usize) -> Vec<Vec<u8>> {
    let many = [0xff; 7];
    let fill = |byte: u8| vec![byte; length];
    let map_of = |marker: &[u8], rest: Vec<u8>| [&[25_u8][..], marker, &rest].concat();
    vec![
        [&[1, 1, 0, 1, 0][..], &many, &[0x0f], &fill(b'n')].concat(),
        [&[4, 1, 0, 1, 0][..], &many, &[0x0f], &fill(b'x')].concat(),
        [&[9, 1, 0, 1, 0xff, 0xff, 0x03][..], &fill(b'x')].concat(),
        map_of(&[0xdf, 0xff, 0xff, 0xff, 0xff], fill(0xa0)),
        map_of(&[0x81, 0xdd, 0xff, 0xff, 0xff, 0xff], fill(0x80)),
        map_of(&[0x81, 0xa1, b'a'], fill(0x91)),
        map_of(&[0x81, 0xa1, b'a'], fill(0x81)),
        map_of(&[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff], fill(b'x')),
        map_of(&[0x81, 0xc6, 0xff, 0xff, 0xff, 0xff], fill(b'x')),
        map_of(&[0x81, 0xc9, 0xff, 0xff, 0xff, 0xff], fill(b'x')),
        fill(0xff),
        fill(0x80),
    ]
}

#[test]
fn reading_allocates_no_more_than_a_small_multiple_of_the_message() {
    for codec in CODECS {
        for length in [0, 1, 100, 10_000, 1_000_000] {
            hostile(length).iter().for_each(|message| reads(*codec, message));
        }
        for target in targets().iter().filter(|target| target.name.ends_with("_frames")) {
            let messages = Inputs::committed(target.name).expect("the corpus can be read");
            messages.iter().for_each(|(_, message)| reads(*codec, message));
        }
        let nested = format!("{{\"a\":{}", "[".repeat(1_000_000));
        let bytes = allocated(|| drop(decode_body::<serde_json::Value>(nested.as_bytes(), *codec)));
        assert!(bytes <= BESIDE * 16, "{bytes} bytes for a body that is nothing but brackets");
        for nested in [vec![0x91; 1_000_000], [0xdd, 0xff, 0xff, 0xff, 0xff].repeat(200_000)] {
            let body = [&[0x81, 0xa1, b'a'][..], &nested].concat();
            let bytes = allocated(|| drop(decode_body::<serde_json::Value>(&body, *codec)));
            assert!(bytes <= BESIDE * 16, "{bytes} bytes for a body that is nothing but arrays");
        }
    }
}
