//! Sections 4.7 to 4.12 and 1.2: how a session goes on, and how it ends.

use std::time::Duration;

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Server, Trial, fresh};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::{Frame, kind, random_id};

cases! { Trial;
    a_resume_goes_on_with_a_new_token_and_the_next_generation: "4.7" "1.2";
    answers_that_were_not_received_are_sent_again_in_order: "4.7" "4.2";
    nothing_that_was_received_is_sent_again: "4.7" "4.4";
    what_was_announced_does_not_shrink_within_a_session: "4.7";
    lost_welcomes_cost_nothing: "4.8";
    a_token_before_the_confirmed_one_is_refused: "4.8" "4.10";
    a_stale_dial_is_refused_on_its_own_socket: "4.9" "8.1";
    a_hello_that_names_the_lease_of_a_newer_socket_is_refused: "4.9" "8.1" "4.13";
    a_resume_closes_the_earlier_socket_with_4002: "4.9" "8.1" "4.14";
    another_process_that_resumes_closes_the_earlier_socket_with_4300: "4.9" "8.1" "4.14";
    an_unknown_session_fails_to_resume_and_a_new_one_begins: "4.10" "4.12";
    a_wrong_token_does_not_resume: "4.10";
    another_principal_ends_the_session: "4.10" "1.2";
    a_recv_that_does_not_fit_is_not_retained: "4.10" "4.4";
    another_lease_is_not_retained: "4.10" "4.7";
    a_session_ends_when_its_time_is_over: "4.11" "4.10" "4.12";
    a_socket_lost_without_a_code_leaves_the_session: "4.11";
    close_1000_ends_the_session: "4.11" "8.1";
    a_new_session_numbers_anew_and_keeps_the_lease: "4.12" "5.9" "1.3";
}

async fn a_resume_goes_on_with_a_new_token_and_the_next_generation(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    for generation in 2..5 {
        peer.call("4.7", "echo", json!({ "text": "" })).await?;
        peer.ack().await;
        peer = server.resume(peer.cut()).await?;
        ensure!(
            "1.2",
            peer.welcome()["gen"] == generation,
            "gen is not {generation}: {}",
            peer.welcome()
        );
    }
    Ok(())
}

/// A client to which two answers were sent that it did not receive.
async fn two_unseen_answers(server: &Server<'_>) -> Step<(Me, String)> {
    let mut peer = server.attach(Me::new("ann")).await?;
    let gate = fresh("gate");
    for text in ["one", "two"] {
        peer.command("wait", json!({ "gate": gate, "text": text })).await;
    }
    let acks = |frame: &Frame| frame.kind == kind::ACK && frame.number(0) == 2;
    peer.take("4.5", "ACK", acks).await?;
    let me = peer.cut();
    let mut other = server.attach(Me::new("ann")).await?;
    other.call("4.7", "open", json!({ "gate": gate })).await?;
    Ok((me, gate))
}

async fn answers_that_were_not_received_are_sent_again_in_order(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (me, _) = two_unseen_answers(&server).await?;
    let mut peer = server.resume(me).await?;
    let mut first = Vec::new();
    for n in 1..=2 {
        let frame = peer.answer("4.7", n).await?;
        ensure!("4.7", frame.kind == kind::RESULT, "no RESULT: {}", frame.text);
        first.push((frame.kind, frame.number(0), frame.number(2), frame.body_text().to_owned()));
    }
    // As if they had been lost on the way: they were not acknowledged, and the resume says so.
    let mut me = peer.cut();
    if let Some(session) = &mut me.session {
        session.recv = 0;
    }
    let mut peer = server.resume(me).await?;
    let mut again = Vec::new();
    for _ in 1..=2 {
        let frame = peer.take("4.7", "the answers again", Frame::is_sequenced).await?;
        again.push((frame.kind, frame.number(0), frame.number(2), frame.body_text().to_owned()));
    }
    first.sort_by_key(|answer| answer.1);
    ensure!("4.7", first == again, "{again:?} was sent again, not {first:?}");
    let reply = peer.call("4.7", "echo", json!({ "text": "newer" })).await?;
    ensure!("4.7", reply == "newer", "another reply: {reply}");
    Ok(())
}

async fn nothing_that_was_received_is_sent_again(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    for _ in 0..3 {
        peer.call("4.7", "echo", json!({ "text": "" })).await?;
    }
    // Only `recv` in HELLO tells the server about it. A frame below it would break 4.2.
    let mut peer = server.resume(peer.cut()).await?;
    peer.call("4.7", "echo", json!({ "text": "" })).await?;
    ensure!("4.7", peer.me.recv() == 4, "the sequence is at {} after four answers", peer.me.recv());
    Ok(())
}

async fn what_was_announced_does_not_shrink_within_a_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let peer = server.attach(Me::new("ann")).await?;
    let before = peer.welcome();
    let after = server.resume(peer.cut()).await?.welcome();
    for path in ["/window/frames", "/window/bytes", "/lease/span", "/frame_bytes"] {
        let (before, after) = (before.pointer(path), after.pointer(path));
        let shrunk =
            after.and_then(|after| after.as_u64()) < before.and_then(|before| before.as_u64());
        ensure!("4.7", !shrunk, "{path} shrank from {before:?} to {after:?}");
    }
    Ok(())
}

async fn lost_welcomes_cost_nothing(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let peer = server.attach(Me::new("ann")).await?;
    let mut me = peer.cut();
    for _ in 0..3 {
        // The server's answer never arrives, so the process still has the token that it confirmed
        // last.
        let token_before = me.clone();
        let lost = server.attach_silently(me).await?;
        ensure!(
            "4.8",
            lost.was_resumed(),
            "a resume with the confirmed token: {:?}",
            lost.resume_failed
        );
        let dial = lost.me.dial;
        lost.line.socket.cut();
        me = token_before;
        me.dial = dial;
        if let Some(session) = &mut me.session {
            session.generation += 1;
        }
    }
    server.resume(me).await.map(drop)
}

async fn a_token_before_the_confirmed_one_is_refused(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut old = server.attach(Me::new("ann")).await?.cut();
    let mut confirmed = server.resume(old.clone()).await?;
    confirmed.is_alive("4.8").await?;
    old.dial = confirmed.me.dial;
    let intruder = server.attach(old).await?;
    ensure!(
        "4.8",
        !intruder.was_resumed(),
        "a token that was replaced by a confirmed one still resumes"
    );
    ensure!(
        "4.10",
        intruder.resume_failed.is_some(),
        "WELCOME with a new session, and no RESUME_FAILED"
    );
    Ok(())
}

async fn a_stale_dial_is_refused_on_its_own_socket(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let old = server.attach(Me::new("ann")).await?.cut();
    let mut current = server.resume(old.clone()).await?;
    // A HELLO that was on its way for long: with the same dial as the current one, then with a
    // lower one.
    for dial in [current.me.dial, current.me.dial - 1] {
        let mut late = current.me.clone();
        late.dial = dial;
        let hello = late.hello();
        server.greet(&late, &hello).await?.closes_with("4.9", 4001).await?;
    }
    current.is_alive("4.9").await?;
    let reply = current.call("4.9", "echo", json!({ "text": "still here" })).await?;
    ensure!("4.9", reply == "still here", "another reply: {reply}");
    server.resume(current.cut()).await.map(drop)
}

async fn a_hello_that_names_the_lease_of_a_newer_socket_is_refused(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut current = server.attach(Me::new("ann")).await?;
    let late = current.me.clone().without_session();
    server.greet(&late, &late.hello()).await?.closes_with("4.9", 4001).await?;
    current.is_alive("4.9").await
}

async fn a_resume_closes_the_earlier_socket_with_4002(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut earlier = server.attach(Me::new("ann")).await?;
    let mut later = server.resume(earlier.me.clone()).await?;
    // Frames that arrive on the earlier socket are discarded.
    let list = fresh("list");
    earlier.command("append", json!({ "list": list, "text": "too late" })).await;
    earlier.closes_with("4.9", 4002).await?;
    ensure!("4.9", later.list(&list).await?.is_empty(), "a frame of the earlier socket was taken");
    Ok(())
}

async fn another_process_that_resumes_closes_the_earlier_socket_with_4300(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let earlier = server.attach(Me::new("ann")).await?;
    let mut other = earlier.me.clone();
    (other.instance, other.dial) = (random_id(), 0);
    let mut later = server.resume(other).await?;
    earlier.closes_with("4.9", 4300).await?;
    later.is_alive("4.9").await
}

/// Attaches, and checks that there is a new session after RESUME_FAILED.
async fn fails_to_resume(
    server: &Server<'_>,
    me: Me,
    reason: &str,
) -> Step<super::super::peer::Peer> {
    let before = me.session.clone();
    let peer = server.attach(me).await?;
    let failed = peer.resume_failed.as_ref();
    let told = failed.map(Frame::body).unwrap_or_default()["reason"].clone();
    ensure!(
        "4.10",
        !peer.was_resumed() && told == reason,
        "the resume did not fail with `{reason}`, but with {told}"
    );
    let fresh = before.is_none_or(|before| peer.welcome()["session"] != before.id.as_str());
    ensure!("4.10", fresh, "the new session has the id of the old one");
    Ok(peer)
}

async fn an_unknown_session_fails_to_resume_and_a_new_one_begins(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = server.attach(Me::new("ann")).await?.cut();
    if let Some(session) = &mut me.session {
        session.id = random_id();
    }
    let mut peer = fails_to_resume(&server, me, "unknown").await?;
    ensure!("4.12", peer.me.recv() == 0, "a new session does not begin at 0");
    peer.call("4.12", "echo", json!({ "text": "" })).await.map(drop)
}

async fn a_wrong_token_does_not_resume(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = server.attach(Me::new("ann")).await?.cut();
    if let Some(session) = &mut me.session {
        session.token = random_id();
    }
    fails_to_resume(&server, me, "token").await.map(drop)
}

async fn another_principal_ends_the_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let ann = server.attach(Me::new("ann")).await?.cut();
    let mut bob = ann.clone();
    bob.token = Some("bob".to_owned());
    let mut peer = fails_to_resume(&server, bob, "principal").await?;
    let who = peer.call("1.2", "whoami", json!({})).await?;
    ensure!("1.2", who == "bob", "bob's session is {who}'s");
    // The session was ended, and not left to its owner.
    let mut ann = ann;
    ann.dial = peer.me.dial;
    let again = server.attach(ann).await?;
    ensure!(
        "4.10",
        !again.was_resumed(),
        "the session lived on after another principal had claimed it"
    );
    Ok(())
}

async fn a_recv_that_does_not_fit_is_not_retained(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = server.attach(Me::new("ann")).await?.cut();
    if let Some(session) = &mut me.session {
        session.recv = 7;
    }
    fails_to_resume(&server, me, "not_retained").await?;
    // What was acknowledged can't be asked for again, either.
    let mut peer = server.attach(Me::new("ann")).await?;
    for _ in 0..2 {
        peer.call("4.10", "echo", json!({ "text": "" })).await?;
    }
    peer.ack().await;
    peer.is_alive("4.10").await?;
    let mut me = peer.cut();
    if let Some(session) = &mut me.session {
        session.recv = 0;
    }
    fails_to_resume(&server, me, "not_retained").await.map(drop)
}

async fn another_lease_is_not_retained(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = server.attach(Me::new("ann")).await?.cut();
    me.lease = Some(random_id());
    fails_to_resume(&server, me, "not_retained").await.map(drop)
}

async fn a_session_ends_when_its_time_is_over(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "session_ttl_ms": 50 })).await?;
    let mut me = server.attach(Me::new("ann")).await?.cut();
    // Each look starts the session's time again, so the pauses grow.
    for pause_ms in [100, 200, 400, 800, 1_600, 3_200] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let lease = me.lease.clone();
        let peer = server.attach(me).await?;
        if !peer.was_resumed() {
            ensure!("4.11", peer.me.lease == lease, "the lease went with the session");
            ensure!("4.10", peer.resume_failed.is_some(), "no RESUME_FAILED before WELCOME");
            return Ok(());
        }
        me = peer.cut();
    }
    Err(Stop::broken("4.11", "a session of 50 ms outlives its socket by more than 3 s"))
}

async fn a_socket_lost_without_a_code_leaves_the_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let me = server.attach(Me::new("ann")).await?.cut();
    let me = server.resume(me).await?.close(1001).await;
    server.resume(me).await.map(drop)
}

async fn close_1000_ends_the_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let me = server.attach(Me::new("ann")).await?.close(1000).await;
    let peer = server.attach(me).await?;
    ensure!("4.11", !peer.was_resumed(), "a session that the client has closed still lives");
    Ok(())
}

async fn a_new_session_numbers_anew_and_keeps_the_lease(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    peer.call("4.12", "append", json!({ "list": list, "text": "one" })).await?;
    let n = peer.command("append", json!({ "list": list, "text": "two" })).await;
    let answered = |frame: &Frame| frame.kind == kind::RESULT && frame.number(2) == n;
    peer.take("4.12", "RESULT", answered).await?;
    let lease = peer.me.lease.clone();
    let mut peer = server.attach(peer.cut().without_session()).await?;
    ensure!(
        "1.3",
        peer.me.lease == lease && peer.welcome()["lease"]["state"] == "ok",
        "the lease did not outlive it"
    );
    let again = peer.again(n, "append", &json!({ "list": list, "text": "two" }));
    ensure!("4.12", again[1] == 1, "the suite does not number anew");
    peer.say(again).await;
    let frame = peer.answer("5.9", n).await?;
    ensure!(
        "5.9",
        frame.kind == kind::RESULT && frame.body() == 2,
        "not the outcome of n {n}: {}",
        frame.text
    );
    ensure!(
        "4.12",
        frame.number(0) == 1,
        "the server's sequence does not begin at 1: {}",
        frame.text
    );
    let texts = peer.list(&list).await?;
    ensure!("5.6", texts == ["one", "two"], "the list is {texts:?}");
    Ok(())
}
