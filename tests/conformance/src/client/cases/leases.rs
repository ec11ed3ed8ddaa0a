//! Clauses 5.23 to 5.25: what a client does until it has its lease.

use serde_json::json;

use super::super::peer::Peer;
use super::super::trial::{Client, Trial};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    who_has_nothing_to_command_asks_for_no_lease: "5.23" "5.24";
    its_first_command_waits_for_the_lease: "5.24";
    who_has_something_to_command_asks_in_hello: "5.23" "5.1";
    it_asks_again_after_a_lost_socket: "5.25" "4.7";
    a_lease_that_a_resume_tells_is_taken: "5.25";
    a_second_lease_closes_with_4410: "5.24" "8.1";
}

/// A client that asked for no lease and got none. One may always ask.
async fn reader(trial: &Trial) -> Step<(Client, Peer)> {
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    if peer.hello["lease_later"] != true {
        return Err(Stop::NotApplicable("it asks for its lease in HELLO".into()));
    }
    peer.welcome(json!({ "lease": null })).await;
    Ok((client, peer))
}

async fn who_has_nothing_to_command_asks_for_no_lease(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader(trial).await?;
    client.subscribe("log").await?;
    peer.subscribe("7.2").await?;
    peer.settle("5.24").await?;
    ensure!("5.24", !peer.has(|frame| frame.kind == kind::LEASE), "LEASE, and nothing to command");
    Ok(())
}

async fn its_first_command_waits_for_the_lease(trial: &Trial) -> Step {
    let (mut client, mut peer) = reader(trial).await?;
    client.echo("one").await?;
    client.echo("two").await?;
    peer.take_kind("5.24", "LEASE", kind::LEASE).await?;
    // The desk takes no command without a lease.
    peer.settle("5.24").await?;
    ensure!("5.24", !peer.has(|frame| frame.kind == kind::LEASE), "LEASE twice");
    peer.grant().await;
    peer.command("5.24").await?;
    peer.command("5.24").await.map(drop)
}

async fn who_has_something_to_command_asks_in_hello(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    // Called before the dial that comes to something.
    client.echo("early").await?;
    client.refuse_upgrade(503).await?;
    let mut peer = client.accept().await?;
    ensure!("5.23", peer.hello["lease_later"] != true, "it needs one: {}", peer.hello);
    peer.welcome(json!({})).await;
    peer.command("5.23").await.map(drop)
}

/// A client whose socket broke when it had asked for its lease, and its next one.
async fn broken_off(trial: &Trial) -> Step<(Client, Peer)> {
    let (mut client, mut peer) = reader(trial).await?;
    client.echo("x").await?;
    peer.take_kind("5.24", "LEASE", kind::LEASE).await?;
    peer.line.socket.cut();
    let peer = client.accept().await?;
    Ok((client, peer))
}

async fn it_asks_again_after_a_lost_socket(trial: &Trial) -> Step {
    let (_client, mut peer) = broken_off(trial).await?;
    ensure!("5.25", peer.hello["lease_later"] != true, "it needs one: {}", peer.hello);
    peer.welcome(json!({ "lease": null })).await;
    peer.grant().await;
    peer.command("5.25").await.map(drop)
}

async fn a_lease_that_a_resume_tells_is_taken(trial: &Trial) -> Step {
    let (_client, mut peer) = broken_off(trial).await?;
    peer.welcome(json!({})).await;
    peer.command("5.25").await.map(drop)
}

async fn a_second_lease_closes_with_4410(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    let other = crate::frame::random_id();
    peer.say(json!([kind::LEASE, { "id": other, "state": "new", "span": 1, "ttl_ms": 1 }])).await;
    peer.closes_with("5.24", 4410).await
}
