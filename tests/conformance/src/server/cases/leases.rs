//! Clauses 5.23 to 5.26: leases that are asked for when there is something to command, and that
//! outlive a process.

use serde_json::json;

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Server, Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind, random_id};

cases! { Trial;
    who_needs_no_lease_yet_gets_one_when_it_asks: "5.23" "5.24" "5.1";
    a_command_without_a_lease_closes_with_4410: "5.23" "8.1";
    a_session_without_a_lease_is_resumed_without_one: "5.23" "4.7";
    a_lease_that_was_not_heard_of_is_told_at_the_resume: "5.25" "4.7";
    who_resumes_with_something_to_command_gets_a_lease_unasked: "5.25";
    a_lease_that_is_asked_for_twice_is_granted_once: "5.24";
    the_next_process_of_a_client_goes_on_with_its_lease: "5.26" "5.8" "4.14";
}

/// A client that has nothing to command.
async fn reader(server: &Server<'_>) -> Step<Peer> {
    let peer = server.attach(Me::reader("ann")).await?;
    ensure!("5.23", peer.me.lease.is_none(), "a lease that nobody needs: {}", peer.welcome());
    Ok(peer)
}

async fn granted(peer: &mut Peer) -> Step {
    peer.take_kind("5.24", "LEASE", kind::LEASE).await.map(drop)
}

async fn who_needs_no_lease_yet_gets_one_when_it_asks(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = reader(&server).await?;
    peer.settle("5.23").await?;
    peer.say(json!([kind::LEASE, {}])).await;
    granted(&mut peer).await?;
    peer.call("5.24", "echo", json!({ "text": "" })).await?;
    // From then on it is like any other lease.
    let lease = peer.me.lease.clone();
    let mut peer = server.resume(peer.cut()).await?;
    ensure!("4.7", peer.me.lease == lease, "another lease after a resume");
    peer.call("5.24", "echo", json!({ "text": "" })).await.map(drop)
}

async fn a_command_without_a_lease_closes_with_4410(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = reader(&server).await?;
    peer.command("echo", json!({ "text": "" })).await;
    peer.closes_with("5.23", 4410).await.map(drop)
}

async fn a_session_without_a_lease_is_resumed_without_one(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let peer = reader(&server).await?;
    let mut peer = server.resume(peer.cut()).await?;
    ensure!("5.23", peer.me.lease.is_none(), "a lease that nobody needs: {}", peer.welcome());
    peer.is_alive("5.23").await
}

async fn a_lease_that_was_not_heard_of_is_told_at_the_resume(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = reader(&server).await?;
    let before = peer.me.clone();
    peer.say(json!([kind::LEASE, {}])).await;
    granted(&mut peer).await?;
    let lease = peer.cut().lease;
    let mut peer = server.resume(before).await?;
    ensure!("5.25", peer.me.lease == lease, "not the lease that was granted: {}", peer.welcome());
    peer.call("5.25", "echo", json!({ "text": "" })).await.map(drop)
}

async fn who_resumes_with_something_to_command_gets_a_lease_unasked(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = reader(&server).await?.cut();
    me.lease_later = false;
    me.dial += 1;
    let hello = me.hello();
    // WELCOME may have no lease yet.
    me.lease_later = true;
    let mut peer = server.greet(&me, &hello).await?;
    peer.welcomed().await?;
    peer.ack().await;
    if peer.me.lease.is_none() {
        granted(&mut peer).await?;
    }
    peer.call("5.25", "echo", json!({ "text": "" })).await.map(drop)
}

async fn a_lease_that_is_asked_for_twice_is_granted_once(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = reader(&server).await?;
    peer.say(json!([kind::LEASE, {}])).await;
    granted(&mut peer).await?;
    peer.say(json!([kind::LEASE, {}])).await;
    peer.settle("5.24").await?;
    peer.call("5.24", "echo", json!({ "text": "" })).await.map(drop)
}

async fn the_next_process_of_a_client_goes_on_with_its_lease(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut earlier = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    let body = json!({ "list": list, "text": "once" });
    let n = earlier.command("append", body.clone()).await;
    let mut next = earlier.me.clone().without_session();
    (next.instance, next.dial) = (random_id(), 0);
    earlier.take("5.6", "RESULT", Frame::is_sequenced).await?;
    // As far as the server knows the earlier socket lives.
    let mut peer = server.attach(next).await?;
    ensure!("5.26", peer.me.lease == earlier.me.lease, "another lease: {}", peer.welcome());
    let again = peer.again(n, "append", &body);
    peer.say(again).await;
    let frame = peer.take("5.26", "the recorded outcome", Frame::is_sequenced).await?;
    ensure!(
        "5.26",
        frame.kind == kind::RESULT && frame.number(3) == 1,
        "not its record: {}",
        frame.text
    );
    let texts = peer.list(&list).await?;
    ensure!("5.26", texts == ["once"], "it was executed again: {texts:?}");
    earlier.closes_with("4.14", 4300).await.map(drop)
}
