//! Sections 1 and 3: ids, numbers, layouts, names, bodies, unknown kinds.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::{is_id, kind};

cases! { Trial;
    ids_are_hexadecimal_digits_and_differ: "1.5";
    numbers_out_of_range_or_not_written_as_integers_close_with_4400: "1.6" "3.6" "8.3";
    the_largest_number_is_taken: "1.6" "3.7";
    durations_are_told_in_milliseconds_as_configured: "1.7" "4.1";
    white_space_between_tokens_is_allowed: "3.1";
    what_is_no_array_closes_with_4400: "3.1" "3.6" "8.3";
    an_element_too_many_closes_with_4400: "3.2" "8.3";
    a_body_with_brackets_and_commas_ends_at_the_frames_bracket: "3.2";
    unknown_members_and_nulls_of_rare_frames_are_ignored: "3.3";
    a_rare_frame_without_a_needed_member_closes_with_4400: "3.3" "3.6" "8.3";
    names_that_break_the_rule_close_with_4400: "3.4" "3.6";
    a_name_of_64_characters_is_taken: "3.4" "5.12";
    unknown_members_of_a_body_are_ignored: "3.5";
    a_body_that_is_not_json_concerns_its_message_alone: "3.5" "5.12";
    a_body_that_does_not_fit_concerns_its_message_alone: "3.5" "5.12";
    a_deeply_nested_body_concerns_its_message_alone: "3.5" "3.2";
    unknown_kinds_from_128_are_ignored: "3.6";
    other_unknown_kinds_close_with_4400: "3.6" "8.3";
    frames_of_the_other_direction_close_with_4400: "3.6" "8.3";
    frames_cut_short_close_with_4400: "3.6" "8.3";
}

async fn ids_are_hexadecimal_digits_and_differ(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (one, two) = (server.attach(Me::new("ann")).await?, server.attach(Me::new("ann")).await?);
    for path in ["session", "token"] {
        let (one, two) = (one.welcome()[path].clone(), two.welcome()[path].clone());
        ensure!("1.5", one != two, "two clients got the same {path}: {one}");
        ensure!("1.5", one.as_str().is_some_and(|id| is_id(id, 32)), "{path}: {one}");
    }
    ensure!("1.3", one.me.lease != two.me.lease, "two clients got the same lease");
    Ok(())
}

/// Checks that each message, on an attachment of its own, is answered by a close with 4400.
async fn all_close(trial: &Trial, clause: &'static str, messages: &[&str]) -> Step {
    let server = trial.server().await?;
    for message in messages {
        let mut peer = server.attach(Me::new("ann")).await?;
        peer.line.socket.send(*message).await;
        let closed = peer.closes_with(clause, 4400).await;
        closed.map_err(|stop| match stop {
            crate::case::Stop::Broken(mut broken) => {
                broken.what = format!("{} after {message}", broken.what);
                broken.into()
            }
            stop => stop,
        })?;
    }
    Ok(())
}

async fn numbers_out_of_range_or_not_written_as_integers_close_with_4400(trial: &Trial) -> Step {
    let messages = [
        "[12,9007199254740992]",
        "[12,1.0]",
        "[12,1e3]",
        "[12,-1]",
        "[12,01]",
        "[12,\"1\"]",
        "[12,null]",
    ];
    all_close(trial, "1.6", &messages).await
}

async fn the_largest_number_is_taken(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for k in [0, 9_007_199_254_740_991_u64] {
        peer.say(json!([kind::PING, k])).await;
        let pong = peer.take_kind("1.6", "PONG", kind::PONG).await?;
        ensure!("3.7", pong.number(0) == k, "PING {k} was answered with {}", pong.text);
    }
    Ok(())
}

async fn durations_are_told_in_milliseconds_as_configured(trial: &Trial) -> Step {
    let heartbeat = json!({ "interval_ms": 12_345, "timeout_ms": 2_345, "missed": 4 });
    let settings = json!({
        "heartbeat": heartbeat, "session_ttl_ms": 61_001, "span": 17,
        "window": { "frames": 9, "bytes": 9_999 },
    });
    let peer = trial.peer_with(settings).await?;
    let welcome = peer.welcome();
    ensure!(
        "1.7",
        welcome["heartbeat"] == heartbeat,
        "another heartbeat than configured: {welcome}"
    );
    ensure!("1.7", welcome["ttl_ms"] == 61_001, "another ttl_ms than configured: {welcome}");
    ensure!("4.1", welcome["lease"]["span"] == 17, "another span than configured: {welcome}");
    let window = json!({ "frames": 9, "bytes": 9_999 });
    ensure!("4.1", welcome["window"] == window, "another window than configured: {welcome}");
    Ok(())
}

async fn white_space_between_tokens_is_allowed(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    me.dial = 1;
    let hello = serde_json::to_string_pretty(&json!([kind::HELLO, me.hello()])).unwrap_or_default();
    let mut peer = server.say(&format!("\r\n\t {hello} \n")).await?;
    peer.welcomed().await?;
    peer.line.socket.send(" [ 0 ,\t0\n, 1 ] ").await;
    let (n, _) = peer.number("echo", &json!({}));
    peer.line.socket.send(" [ 1 , 1 , 0 , 1 , 0 , \"echo\" , { \"text\" : \"a b\" } ] ").await;
    let text = peer.result("3.1", n).await?;
    ensure!("3.1", text == "a b", "another reply: {text}");
    Ok(())
}

async fn what_is_no_array_closes_with_4400(trial: &Trial) -> Step {
    let messages = ["{}", "hello", "", "12", "[]", "[\"12\",1]", "[12,1]]", "[12,1] []", "[12 1]"];
    all_close(trial, "3.6", &messages).await
}

async fn an_element_too_many_closes_with_4400(trial: &Trial) -> Step {
    let subscribe = r#"[23,{"sub":1,"topic":"log","key":"x","credit":{"events":1,"bytes":1}},1]"#;
    let messages = ["[12,1,2]", "[0,0,1,1]", "[8,1,0,0,0]", "[25,{\"sub\":1},{}]", subscribe];
    all_close(trial, "3.2", &messages).await
}

async fn a_body_with_brackets_and_commas_ends_at_the_frames_bracket(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for text in ["]", "}]", "[1,2]", "\\\"]", "\\u005d", "{\"a\":[1,{}]}"] {
        let reply = peer.call("3.2", "echo", json!({ "text": text })).await?;
        ensure!("3.2", reply == text, "{text} came back as {reply}");
    }
    Ok(())
}

async fn unknown_members_and_nulls_of_rare_frames_are_ignored(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut hello = me.hello();
    hello["from_the_future"] = json!({ "nested": [1, 2, { "deep": null }] });
    (hello["resume"], hello["lease"]) = (json!(null), json!(null));
    hello["window"]["pace"] = json!("andante");
    let mut peer = server.greet(&me, &hello).await?;
    peer.welcomed().await?;
    peer.ack().await;
    let key = fresh("log");
    peer.say(json!([kind::SUBSCRIBE, {
        "later": true, "sub": 5, "topic": "log", "key": key, "from": null,
        "credit": { "events": 9, "bytes": 999, "x": 1 },
    }]))
    .await;
    let subscribed = peer.take_kind("3.3", "SUBSCRIBED", kind::SUBSCRIBED).await?;
    ensure!("3.3", subscribed.body()["sub"] == 5, "an answer to another sub: {}", subscribed.text);
    peer.is_alive("3.3").await
}

async fn a_rare_frame_without_a_needed_member_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for hello in [json!({ "v": 1 }), json!({}), json!("hello"), json!([])] {
        server.greet(&Me::new("ann"), &hello).await?.closes_with("3.6", 4400).await?;
    }
    all_close(trial, "3.6", &["[23,{\"sub\":1}]", "[25,{}]", "[25,1]", "[23]"]).await
}

async fn names_that_break_the_rule_close_with_4400(trial: &Trial) -> Step {
    let long = format!("[1,1,0,1,0,\"{}\",{{}}]", "n".repeat(65));
    let messages = [
        "[1,1,0,1,0,\"\",{}]",
        "[1,1,0,1,0,\"two words\",{}]",
        "[1,1,0,1,0,\"ech\\u006f\",{\"text\":\"\"}]",
        "[1,1,0,1,0,\"é\",{}]",
        "[1,1,0,1,0,7,{}]",
        long.as_str(),
        "[6,\"a/b\",{}]",
    ];
    all_close(trial, "3.4", &messages).await
}

async fn a_name_of_64_characters_is_taken(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let name = "aZ09_.-".repeat(10)[..64].to_owned();
    let n = peer.command(&name, json!({})).await;
    peer.refused("3.4", n, "unsupported").await?;
    peer.is_alive("3.4").await
}

async fn unknown_members_of_a_body_are_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let body = json!({ "from_the_future": [1, { "deep": null }], "text": "known" });
    let reply = peer.call("3.5", "echo", body).await?;
    ensure!("3.5", reply == "known", "another reply: {reply}");
    Ok(())
}

async fn a_body_that_is_not_json_concerns_its_message_alone(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for body in ["{\"text\":}", "nonsense", "{\"text\":\"a\""] {
        let (n, frame) = peer.number("echo", &json!("BODY"));
        peer.line.socket.send(frame.to_string().replace("\"BODY\"", body)).await;
        peer.refused("3.5", n, "invalid").await?;
    }
    peer.line.socket.send("[6,\"nudge\",{\"list\":]").await;
    let reply = peer.call("3.5", "echo", json!({ "text": "alive" })).await?;
    ensure!("3.5", reply == "alive", "another reply: {reply}");
    Ok(())
}

async fn a_body_that_does_not_fit_concerns_its_message_alone(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for body in [json!({ "text": 7 }), json!({}), json!("text"), json!(["text"]), json!(null)] {
        let n = peer.command("echo", body).await;
        peer.refused("5.12", n, "invalid").await?;
    }
    peer.is_alive("3.5").await
}

async fn a_deeply_nested_body_concerns_its_message_alone(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
    for body in [
        format!("{{\"text\":{open}{close}}}"),
        format!("{{\"text\":\"x\",\"later\":{open}{close}}}"),
    ] {
        let (n, frame) = peer.number("echo", &json!("BODY"));
        peer.line.socket.send(frame.to_string().replace("\"BODY\"", &body)).await;
        // The server may say how deeply a body may be nested.
        let answer = peer.answer("3.5", n).await?;
        let refused = answer.kind == kind::REFUSED && answer.string(3) == "invalid";
        ensure!(
            "3.5",
            refused || answer.kind == kind::RESULT,
            "a deep body was answered with {}",
            answer.text
        );
    }
    let reply = peer.call("3.5", "echo", json!({ "text": "alive" })).await?;
    ensure!("3.5", reply == "alive", "another reply: {reply}");
    Ok(())
}

async fn unknown_kinds_from_128_are_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for message in ["[128]", "[200,{\"a\":1},\"b\",[2]]", "[255,1,2,3]"] {
        peer.line.socket.send(message).await;
    }
    peer.is_alive("3.6").await
}

async fn other_unknown_kinds_close_with_4400(trial: &Trial) -> Step {
    let messages = [
        "[14,1]",
        "[19]",
        "[28,1]",
        "[29,{}]",
        "[39,{}]",
        "[40]",
        "[127,{}]",
        "[256]",
        "[1000000]",
    ];
    all_close(trial, "3.6", &messages).await
}

async fn frames_of_the_other_direction_close_with_4400(trial: &Trial) -> Step {
    let messages = [
        "[3,1,0,1,0,{}]",
        "[5,1,1,\"appended\",{}]",
        "[9,1,0,1,\"overload\",1]",
        "[11,1,1]",
        "[22,{\"reason\":\"unknown\"}]",
        "[24,{\"sub\":1}]",
        "[27,{\"after_ms\":1,\"deadline_ms\":1}]",
    ];
    all_close(trial, "3.6", &messages).await
}

async fn frames_cut_short_close_with_4400(trial: &Trial) -> Step {
    let messages = [
        "[12]",
        "[12,",
        "[0,0]",
        "[1,1,0,1,0,\"echo\"]",
        "[1,1,0",
        "[8,1,1]",
        "[6,\"nudge\"]",
        "[255",
    ];
    all_close(trial, "3.6", &messages).await
}
