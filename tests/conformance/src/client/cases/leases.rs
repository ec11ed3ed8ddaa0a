//! Section 5.23: what a client does until it has its lease.

use serde_json::json;

use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    who_has_nothing_to_command_asks_for_no_lease: "5.23";
    its_first_command_waits_for_the_lease: "5.23";
    who_has_something_to_command_asks_in_hello: "5.23" "5.1";
    it_asks_again_after_a_lost_socket: "5.23" "4.7";
    a_lease_that_a_resume_tells_is_taken: "5.23";
    a_second_lease_closes_with_4410: "5.23" "8.1";
}

/// A client that asked for no lease and got none; `None` for one that always asks.
macro_rules! reader {
    ($trial:expr) => {{
        let mut client = $trial.client().await?;
        let mut peer = client.accept().await?;
        if peer.hello["lease_later"] != true {
            return Ok(());
        }
        peer.welcome(json!({ "lease": null })).await;
        (client, peer)
    }};
}

async fn who_has_nothing_to_command_asks_for_no_lease(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader!(trial);
    client.subscribe("log").await?;
    peer.subscribe("7.2").await?;
    peer.settle("5.23").await?;
    ensure!("5.23", !peer.has(|frame| frame.kind == kind::LEASE), "LEASE, and nothing to command");
    Ok(())
}

async fn its_first_command_waits_for_the_lease(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader!(trial);
    client.echo("one").await?;
    client.echo("two").await?;
    peer.take_kind("5.23", "LEASE", kind::LEASE).await?;
    // The desk takes no command without a lease.
    peer.settle("5.23").await?;
    ensure!("5.23", !peer.has(|frame| frame.kind == kind::LEASE), "LEASE twice");
    peer.grant().await;
    peer.command("5.23").await?;
    peer.command("5.23").await.map(drop)
}

async fn who_has_something_to_command_asks_in_hello(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    client.echo("early").await?;
    let mut peer = client.accept().await?;
    if peer.hello["lease_later"] == true {
        // It was faster than its application.
        return Ok(());
    }
    peer.welcome(json!({})).await;
    peer.command("5.23").await.map(drop)
}

async fn it_asks_again_after_a_lost_socket(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader!(trial);
    client.echo("x").await?;
    peer.take_kind("5.23", "LEASE", kind::LEASE).await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    ensure!("5.23", peer.hello["lease_later"] != true, "it needs one: {}", peer.hello);
    peer.welcome(json!({ "lease": null })).await;
    peer.grant().await;
    peer.command("5.23").await.map(drop)
}

async fn a_lease_that_a_resume_tells_is_taken(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader!(trial);
    client.echo("x").await?;
    peer.take_kind("5.23", "LEASE", kind::LEASE).await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    peer.welcome(json!({})).await;
    peer.command("5.23").await.map(drop)
}

async fn a_second_lease_closes_with_4410(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    let other = crate::frame::random_id();
    peer.say(json!([kind::LEASE, { "id": other, "state": "new", "span": 1, "ttl_ms": 1 }])).await;
    peer.closes_with("5.23", 4410).await
}
