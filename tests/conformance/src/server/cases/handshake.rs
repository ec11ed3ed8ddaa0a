//! Section 4.1: HELLO, WELCOME, and what comes before and after.

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::trial::{Server, Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    another_protocol_or_version_closes_with_4401: "4.1" "8.3";
    the_applications_version_is_not_compared: "4.1";
    the_first_frame_must_be_hello: "4.1" "8.3";
    a_socket_without_hello_is_closed_with_4408: "4.1" "8.1";
    a_second_hello_closes_with_4400: "4.1" "8.3";
    refused_credentials_close_with_4201: "4.1" "8.3";
    expired_credentials_close_with_4202: "8.3" "8.1";
    the_first_welcome_has_a_new_session_and_a_new_lease: "4.1" "4.10" "5.1" "1.6";
    the_principal_is_that_of_the_token: "4.1" "1.3";
    an_attachment_has_no_subscriptions_to_begin_with: "1.1" "7.2";
    no_fingerprint_is_refused: "4.18";
    a_fingerprint_that_is_no_name_closes_with_4400: "4.18" "3.3";
    a_client_with_the_servers_fingerprint_is_told_so: "4.18" "4.19";
    a_client_that_nothing_is_known_of_is_judged_by_its_version: "4.19";
}

async fn another_protocol_or_version_closes_with_4401(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for (member, value) in [("protocol", json!("another")), ("v", json!(2)), ("v", json!(0))] {
        let mut me = Me::new("ann");
        me.dial = 1;
        let mut hello = me.hello();
        hello[member] = value;
        server.greet(&me, &hello).await?.closes_with("4.1", 4401).await?;
    }
    Ok(())
}

async fn the_applications_version_is_not_compared(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut hello = me.hello();
    hello["version"] = json!("99.0-from-the-future");
    server.greet(&me, &hello).await?.welcomed().await
}

/// What WELCOME tells of the server, to a client of this version and fingerprint.
async fn told(server: &Server<'_>, version: Option<&str>, fingerprint: Value) -> Step<Value> {
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut hello = me.hello();
    if let Some(version) = version {
        hello["version"] = json!(version);
    }
    hello["fingerprint"] = fingerprint;
    let mut peer = server.greet(&me, &hello).await?;
    peer.welcomed().await?;
    Ok(peer.welcome())
}

async fn no_fingerprint_is_refused(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for fingerprint in [Value::Null, json!("0"), json!("A.b-c_9"), json!("f".repeat(64))] {
        told(&server, None, fingerprint).await?;
    }
    Ok(())
}

async fn a_fingerprint_that_is_no_name_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for fingerprint in [json!(""), json!("a b"), json!("f".repeat(65)), json!(7)] {
        let mut me = Me::new("ann");
        me.dial = 1;
        let mut hello = me.hello();
        hello["fingerprint"] = fingerprint;
        server.greet(&me, &hello).await?.closes_with("4.18", 4400).await?;
    }
    Ok(())
}

async fn a_client_with_the_servers_fingerprint_is_told_so(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let welcome = told(&server, None, Value::Null).await?;
    // Who has no contract to tell has none that could be equal.
    let Some(own) = welcome["fingerprint"].as_str() else { return Ok(()) };
    let same = told(&server, Some("0.0.1"), json!(own)).await?;
    ensure!("4.19", same["verdict"] == "same", "equal fingerprints, and {}", same["verdict"]);
    ensure!("4.18", same["fingerprint"] == own, "another fingerprint: {same}");
    let other = told(&server, None, json!("not-the-servers")).await?;
    ensure!("4.19", other["verdict"] != "same", "different fingerprints, and `same`");
    Ok(())
}

async fn a_client_that_nothing_is_known_of_is_judged_by_its_version(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let welcome = told(&server, None, Value::Null).await?;
    let own = welcome["version"].as_str().unwrap_or_default();
    // With up to three numbers there is room for one more, which makes it newer.
    let parts: Vec<_> = own.split('.').collect();
    let is_number = |part: &&str| {
        (1..9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_zero = parts.iter().all(|part| part.bytes().all(|byte| byte == b'0'));
    if parts.len() > 3 || is_zero || !parts.iter().all(is_number) {
        return Ok(());
    }
    let fits = [
        (format!("{own}.1"), "server_outdated"),
        (format!("{own}.0"), "unknown"),
        ("0.0.0.0".to_owned(), "client_outdated"),
        (format!("{own}-beta"), "unknown"),
    ];
    for (version, verdict) in fits {
        let welcome = told(&server, Some(&version), json!(fresh("contract"))).await?;
        let told = &welcome["verdict"];
        let fits = told.is_null() || told == verdict;
        ensure!("4.19", fits, "a client of {version}, a server of {own}: {told}");
    }
    Ok(())
}

async fn the_first_frame_must_be_hello(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for first in ["[12,1]", "[0,0,1]", "[1,1,0,1,0,\"echo\",{\"text\":\"\"}]"] {
        server.say(first).await?.closes_with("4.1", 4400).await?;
    }
    Ok(())
}

async fn a_socket_without_hello_is_closed_with_4408(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "handshake_ms": 100 })).await?;
    server.silent().await?.closes_with("4.1", 4408).await.map(drop)
}

async fn a_second_hello_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut peer = server.greet(&me, &me.hello()).await?;
    peer.welcomed().await?;
    peer.say(json!([kind::HELLO, me.hello()])).await;
    peer.closes_with("4.1", 4400).await.map(drop)
}

async fn refused_credentials_close_with_4201(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for token in [Some("nobody"), None] {
        let mut me = Me::new("ann");
        me.token = token.map(str::to_owned);
        me.dial = 1;
        server.greet(&me, &me.hello()).await?.closes_with("8.3", 4201).await?;
    }
    Ok(())
}

async fn expired_credentials_close_with_4202(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let peer = server.attach(Me::new("brief")).await?;
    let me = peer.closes_with("8.3", 4202).await?;
    // The credentials have expired, the session has not.
    server.resume(me).await.map(drop)
}

async fn the_first_welcome_has_a_new_session_and_a_new_lease(trial: &Trial) -> Step {
    let peer = trial.peer().await?;
    let welcome = peer.welcome();
    ensure!("4.10", peer.resume_failed.is_none(), "RESUME_FAILED to a first HELLO");
    ensure!(
        "4.10",
        welcome["resumed"] == false && welcome["recv"] == 0,
        "not a new session: {welcome}"
    );
    ensure!("1.6", welcome["gen"] == 1, "the first `gen` is 1: {welcome}");
    ensure!(
        "5.1",
        welcome["lease"]["state"] == "new",
        "a client without a lease gets a new one: {welcome}"
    );
    Ok(())
}

async fn the_principal_is_that_of_the_token(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for token in ["ann", "bob"] {
        let who = server.attach(Me::new(token)).await?.call("4.1", "whoami", json!({})).await?;
        ensure!("4.1", who == token, "the token `{token}` makes `{who}`");
    }
    Ok(())
}

async fn an_attachment_has_no_subscriptions_to_begin_with(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    peer.follow(&list).await?;
    let mut peer = server.resume(peer.cut()).await?;
    peer.append(&list, ["unseen".to_owned()]).await?;
    peer.settle("1.1").await?;
    let seen =
        peer.has(|frame| matches!(frame.kind, kind::EVENT | kind::SNAPSHOT | kind::SUBSCRIBED));
    ensure!("1.1", !seen, "a subscription went on after its attachment had ended");
    Ok(())
}
