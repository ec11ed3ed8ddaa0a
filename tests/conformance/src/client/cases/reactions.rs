//! Sections 8.1 and 8.1a: what a client does about each close code.

use std::time::Duration;

use serde_json::json;

use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    it_resumes_after_what_ends_the_attachment_alone: "8.1" "4.7";
    it_begins_a_new_session_after_what_ended_the_session: "8.1" "4.12";
    it_stops_where_it_is_told_to: "8.1";
    it_asks_for_new_credentials_and_resumes: "8.1" "8.3" "8.1b";
    it_stops_after_three_refused_credentials_in_a_row: "8.1a" "8.1";
    it_stops_after_three_sequence_errors_in_a_row: "8.1a" "8.1" "8.1b";
    it_begins_to_count_anew_when_it_was_attached_for_5_s: "8.1b" "8.1a";
    it_counts_on_when_it_was_attached_for_less: "8.1b" "8.1a";
    its_own_4410_begins_a_new_session: "8.1a" "8.1";
    a_stop_leaves_what_was_sent_unknown_to_the_caller: "8.1" "6.1" "6.3";
}

async fn it_resumes_after_what_ends_the_attachment_alone(trial: &Trial) -> Step {
    let codes = [
        1001, 1006, 1011, 1012, 1013, 3000, 4000, 4001, 4002, 4003, 4004, 4005, 4010, 4099, 4408,
        4500,
    ];
    let (mut client, mut peer) = trial.attached().await?;
    for code in codes.into_iter().filter(|code| *code != 1006) {
        peer.is_alive("8.1").await?;
        peer.line.socket.close(code, "").await;
        peer = client.attach().await?;
        ensure!("8.1", peer.wants_resume(), "no resume after {code}: {}", peer.hello);
    }
    peer.is_alive("8.1").await?;
    // Without any code, which is 1006.
    peer.line.socket.cut();
    let peer = client.accept().await?;
    ensure!("8.1", peer.wants_resume(), "no resume after a socket without a code: {}", peer.hello);
    Ok(())
}

async fn it_begins_a_new_session_after_what_ended_the_session(trial: &Trial) -> Step {
    for code in [4100, 4199, 4410] {
        let (mut client, mut peer) = trial.attached().await?;
        client.echo("x").await?;
        peer.command("8.1").await?;
        peer.line.socket.close(code, "").await;
        let mut peer = client.accept().await?;
        ensure!("8.1", !peer.wants_resume(), "a resume after {code}: {}", peer.hello);
        ensure!(
            "8.1",
            !peer.hello["lease"].is_null(),
            "the lease was given up after {code}: {}",
            peer.hello
        );
        peer.welcome_anew(false).await;
        peer.command_no("4.12", 1).await?;
    }
    Ok(())
}

async fn it_stops_where_it_is_told_to(trial: &Trial) -> Step {
    for code in [1000, 4300, 4399, 4400, 4401, 4403, 4409, 4413, 4499] {
        let (mut client, mut peer) = trial.attached().await?;
        peer.is_alive("8.1").await?;
        peer.line.socket.close(code, "").await;
        client.stops("8.1").await?;
    }
    Ok(())
}

async fn it_asks_for_new_credentials_and_resumes(trial: &Trial) -> Step {
    for code in [4201, 4202, 4299] {
        let mut client = trial.client_with(json!({}), &["first", "second"]).await?;
        let mut peer = client.attach().await?;
        ensure!("4.1", peer.hello["token"] == "first", "another credential: {}", peer.hello);
        peer.is_alive("8.1").await?;
        peer.line.socket.close(code, "").await;
        let peer = client.accept().await?;
        ensure!(
            "8.1",
            peer.hello["token"] == "second",
            "the old credentials after {code}: {}",
            peer.hello
        );
        ensure!("8.1", peer.wants_resume(), "no resume after {code}: {}", peer.hello);
    }
    Ok(())
}

async fn it_stops_after_three_refused_credentials_in_a_row(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    for _ in 0..3 {
        client.accept().await?.line.socket.close(4201, "").await;
    }
    client.stops("8.1a").await.map(drop)
}

async fn it_stops_after_three_sequence_errors_in_a_row(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    for _ in 0..3 {
        client.accept().await?.line.socket.close(4410, "").await;
    }
    client.stops("8.1a").await.map(drop)
}

/// Longer than the 5 s of 8.1b. It counts from a PONG, when WELCOME has arrived long since.
const LONG_LIFE: Duration = Duration::from_millis(5_500);

/// So much shorter that no slow machine makes the client see a long life.
const SHORT_LIFE: Duration = Duration::from_secs(2);

/// Two errors, a long life that ends with the third, and one more: never three in a row.
async fn it_begins_to_count_anew_when_it_was_attached_for_5_s(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    for _ in 0..2 {
        client.accept().await?.line.socket.close(4410, "").await;
    }
    let mut peer = client.attach().await?;
    peer.is_alive("8.1b").await?;
    peer.listen("8.1b", LONG_LIFE).await?;
    peer.line.socket.close(4410, "").await;
    for _ in 0..2 {
        let dialled = client.dials_again("8.1b").await?;
        dialled.line.socket.close(4410, "").await;
    }
    client.stops("8.1a").await.map(drop)
}

/// Says nothing if the machine takes longer than a short life for any of the three.
async fn it_counts_on_when_it_was_attached_for_less(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    for _ in 0..3 {
        let mut peer = client.accept().await?;
        let life = async {
            peer.welcome_anew(false).await;
            peer.is_alive("8.1b").await?;
            peer.line.socket.close(4410, "").await;
            Step::Ok(())
        };
        let Ok(lived) = tokio::time::timeout(SHORT_LIFE, life).await else { return Ok(()) };
        lived?;
    }
    client.stops("8.1b").await.map(drop)
}

async fn its_own_4410_begins_a_new_session(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.say(json!([kind::ACK, 9])).await;
    peer.closes_with("4.4", 4410).await?;
    let peer = client.accept().await?;
    ensure!("8.1a", !peer.wants_resume(), "a resume after its own 4410: {}", peer.hello);
    ensure!("8.1a", !peer.hello["lease"].is_null(), "the lease was given up: {}", peer.hello);
    Ok(())
}

async fn a_stop_leaves_what_was_sent_unknown_to_the_caller(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("8.1").await?;
    peer.line.socket.close(4300, "").await;
    client.stops("8.1").await?;
    client.ends("6.1", call, json!({ "outcome": "unknown" })).await
}
