//! What a server that keeps to no rule can make a client hold.

mod client_support;

use client_support::{Rig, body, command};
use steadfast::session::client::Submission;
use steadfast::wire::{RefusalCode, Window};

/// A server that refuses for now, again and again, and never acknowledges the sequence that it
/// refuses.
#[test]
fn what_a_server_never_acknowledges_is_bounded_by_the_outbox() {
    let wide = Window { frames: u32::MAX, bytes: u32::MAX };
    let mut rig = Rig::with(|config| config.outbox_commands = 5);
    rig.window = wide;
    rig.start();
    rig.connect();
    rig.welcome_new();
    rig.submit("first");
    for _ in 0..100 {
        rig.refuse(1, RefusalCode::Overload, 0);
    }
    assert_eq!(rig.commands().len(), 5, "as many as the outbox may hold are under way");
}

/// The same in bytes: answered commands leave the outbox, and stay to be replayed.
#[test]
fn what_a_server_answers_and_never_acknowledges_is_bounded_by_the_outbox() {
    let wide = Window { frames: u32::MAX, bytes: u32::MAX };
    let mut rig = Rig::with(|config| config.outbox_bytes = 1_000);
    rig.window = wide;
    rig.start();
    rig.connect();
    rig.welcome_new();
    for n in 1..=100 {
        let submission = Submission { body: body("x".repeat(100)), ..command("") };
        let _ = rig.act(|client, now| client.submit(now, submission));
        rig.result(n);
    }
    assert_eq!(rig.commands().len(), 10, "as many bytes as the outbox may hold are under way");
}
