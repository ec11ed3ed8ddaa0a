//! The adapter of our client (ADAPTER.md, "For a client"). It translates, and checks nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use steadfast::Codec;
use steadfast::client::{
    Call, CallError, ConnectionState, DialReason, Gap, Inbox, InboxItem, Item, SnapshotReason,
    Subscribe, SubscribeError, Subscription, SubscriptionEnd, TopicItem,
};
use steadfast::protocol::{Reply, TopicKey, decode_body};
use steadfast::wire::{RefusalCode, ResetReason, UnsubscribeCode};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::Ends;
use super::application::{
    ConformanceClient, ConformanceError, ConformanceEvent, ConformanceEventState, List, Log,
};
use super::lines::{self, Answers};
use super::process::Process;
use super::relay::{Mistake, Relay};

/// What the application does with a subscription.
struct Follower {
    takes: mpsc::UnboundedSender<()>,
    task: JoinHandle<()>,
}

/// A call that was made, as the suite named it.
struct Made {
    id: u64,
    name: String,
    body: Value,
}

/// What is known of calls, in whatever process they were made.
struct Calls {
    made: Vec<Made>,
    /// Who hears that a call is not wanted any more.
    unwanted: BTreeMap<u64, Arc<Notify>>,
    reports: JoinSet<()>,
    answers: Answers,
}

/// Runs the adapter. If there is a mistake, the client dials a relay that makes it.
pub async fn adapt(ends: Ends, mistake: Option<Mistake>) {
    let (mut questions, answers) = lines::of(ends);
    let stable = mistake.as_ref().and_then(|mistake| mistake.stable);
    let (mut client, mut relay, mut process) = (None, None, None::<Process>);
    let mut calls = Calls::new(&answers);
    let (mut first, mut url) = (Value::Null, String::new());
    let mut followers: BTreeMap<u64, Follower> = BTreeMap::new();
    while let Some(question) = lines::next(&mut questions).await {
        let number = |name: &str| question[name].as_u64().unwrap();
        match (question["do"].as_str().unwrap(), &client) {
            ("start", _) => {
                url = question["url"].as_str().unwrap().to_owned();
                if let Some(mistake) = &mistake {
                    let between = Relay::start(url, mistake.clone()).await;
                    url = between.url.clone();
                    relay = Some(between);
                }
                let keeps = question["settings"]["outbox"].as_bool() == Some(true);
                process = keeps.then(Process::start);
                client = Some(start(&question, &url, stable, process.as_ref(), &answers));
                first = question.clone();
            }
            ("restart", Some(_)) if process.is_some() => {
                process = Some(process.take().unwrap().next().await);
                calls.reports.abort_all();
                followers.values().for_each(|follower| follower.task.abort());
                let next = start(&first, &url, stable, process.as_ref(), &answers);
                calls.go_on(&next, codec_of(&first));
                client = Some(next);
            }
            ("call", Some(client)) => calls.make(client, &question, process.is_some()),
            ("cancel", Some(_)) => calls.cancel(number("call")),
            ("volatile", Some(client)) => {
                client.nudge(question["body"]["list"].as_str().unwrap().to_owned());
            }
            ("subscribe", Some(client)) => {
                let (sub, key) = (number("sub"), question["key"].as_str().unwrap().to_owned());
                let (takes, taken) = mpsc::unbounded_channel();
                let (topic, answers) = (question["topic"].as_str().unwrap(), answers.clone());
                let last = question["last"].as_u64().map(|last| u32::try_from(last).unwrap());
                let task = if topic == "list" {
                    let asked = begin(client, List(key), last);
                    tokio::spawn(follow(asked, sub, taken, answers, listed))
                } else {
                    let asked = begin(client, Log(key), last);
                    tokio::spawn(follow(asked, sub, taken, answers, logged))
                };
                followers.insert(sub, Follower { takes, task });
            }
            ("take", Some(_)) => {
                // One that has ended has reported that.
                let _ = followers[&number("sub")].takes.send(());
            }
            ("unsubscribe", Some(_)) => {
                let follower = followers.remove(&number("sub")).unwrap();
                follower.task.abort();
                let _ = follower.task.await;
            }
            ("close", Some(client)) => {
                let client = client.clone();
                tokio::spawn(async move { client.close().await });
            }
            (other, _) => {
                answers.unsupported(&question, &format!("`{other}`"));
                continue;
            }
        }
        answers.ok(&question, json!({}));
    }
    followers.values().for_each(|follower| follower.task.abort());
    drop(relay);
}

/// What the client of a `start` speaks.
fn codec_of(question: &Value) -> Codec {
    let codec = question["settings"]["codec"].as_str().and_then(Codec::from_subprotocol);
    codec.unwrap_or(Codec::Json)
}

fn start(
    question: &Value,
    url: &str,
    stable: Option<Duration>,
    process: Option<&Process>,
    answers: &Answers,
) -> ConformanceClient {
    let settings = &question["settings"];
    let tokens: Vec<String> = serde_json::from_value(question["tokens"].clone()).unwrap();
    let (at, tokens) = (AtomicUsize::new(0), Mutex::new(tokens));
    let next_token = move |reason: DialReason| {
        let tokens = tokens.lock().unwrap();
        if reason == DialReason::Refused {
            at.fetch_add(1, Ordering::Relaxed);
        }
        std::future::ready(tokens[at.load(Ordering::Relaxed).min(tokens.len() - 1)].clone())
    };
    let builder = ConformanceClient::builder(url)
        .codec(codec_of(question))
        .token(next_token)
        .configure(|config| {
            let backoff = Duration::from_millis(settings["backoff_ms"].as_u64().unwrap());
            (config.backoff.base, config.backoff.cap) = (backoff, backoff);
            (config.backoff.attempts, config.backoff.elapsed) = (None, None);
            config.backoff.stable = stable.unwrap_or(config.backoff.stable);
            config.welcome_timeout = settings["welcome_timeout_ms"]
                .as_u64()
                .map_or(config.welcome_timeout, Duration::from_millis);
        })
        .transport(|transport| {
            let bytes =
                settings["message_bytes"].as_u64().map(|bytes| usize::try_from(bytes).unwrap());
            transport.message_bytes = bytes.unwrap_or(transport.message_bytes);
        });
    let client = match process {
        Some(process) => {
            let _inside = process.enter();
            builder.outbox(process.outbox()).connect_lazily().unwrap()
        }
        None => builder.connect_lazily().unwrap(),
    };
    tokio::spawn(take_in(client.inbox(), answers.clone()));
    let (mut state, answers) = (client.state(), answers.clone());
    tokio::spawn(async move {
        if let Ok(state) = state.wait_for(ConnectionState::is_over).await {
            let code = match &*state {
                ConnectionState::Failed { reason } => reason.code.map(|code| code.0),
                _ => Some(1000),
            };
            answers.say(json!({ "event": "stopped", "code": code }));
        }
    });
    client
}

impl Calls {
    fn new(answers: &Answers) -> Self {
        let (made, unwanted, reports) = (Vec::new(), BTreeMap::new(), JoinSet::new());
        Self { made, unwanted, reports, answers: answers.clone() }
    }

    fn make(&mut self, client: &ConformanceClient, question: &Value, keeps: bool) {
        let (id, body) = (question["call"].as_u64().unwrap(), question["body"].clone());
        let name = question["name"].as_str().unwrap().to_owned();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "echo" => self.report(id, client.echo(text("text")), keeps),
            "fail" => self.report(id, client.fail(text("list")), keeps),
            "late" => self.report(id, client.late(text("gate")), keeps),
            other => panic!("the suite calls `{other}`"),
        }
        self.made.push(Made { id, name, body });
    }

    fn cancel(&self, id: u64) {
        self.unwanted[&id].notify_one();
    }

    /// Reports what comes of the calls of an earlier process, which are handed out in their order.
    fn go_on(&mut self, client: &ConformanceClient, codec: Codec) {
        let mut from = 0;
        for call in client.inner().recovered() {
            let body: Value = decode_body(call.body(), codec).unwrap();
            let is_it = |made: &Made| made.name == call.name() && made.body == body;
            from += self.made[from..].iter().position(is_it).unwrap() + 1;
            let Made { id, ref name, .. } = self.made[from - 1];
            match name.as_str() {
                "echo" => self.report(id, call.into_call::<String>(), false),
                _ => self.report(id, call.into_call::<()>(), false),
            }
        }
    }

    fn report<T: Reply + serde::Serialize + Send + 'static>(
        &mut self,
        id: u64,
        call: Call<T, ConformanceError>,
        keeps: bool,
    ) {
        let answers = self.answers.clone();
        let unwanted = Arc::clone(self.unwanted.entry(id).or_default());
        self.reports.spawn(async move {
            if keeps && call.accepted().await {
                answers.say(json!({ "event": "accepted", "call": id }));
            }
            report(id, call, &unwanted, answers).await;
        });
    }
}

/// Reports the outcome of a call.
async fn report<T: Reply + serde::Serialize>(
    id: u64,
    mut call: Call<T, ConformanceError>,
    unwanted: &Notify,
    answers: Answers,
) {
    let mut outcome = loop {
        tokio::select! {
            outcome = &mut call => break outcome,
            () = unwanted.notified() => drop(call.cancel()),
        }
    };
    if matches!(outcome, Err(CallError::Timeout)) {
        answers.say(json!({ "event": "gave_up", "call": id }));
        outcome = call.settled().await;
    }
    let mut told = match outcome {
        Ok(reply) => json!({ "outcome": "reply", "body": reply }),
        Err(CallError::App(ConformanceError::Failed { list })) => {
            json!({ "outcome": "error", "name": "failed", "body": { "list": list } })
        }
        Err(CallError::Refused { code }) => {
            json!({ "outcome": "refused", "code": refusal(code) })
        }
        Err(CallError::TooLarge { .. }) => json!({ "outcome": "refused", "code": "too_large" }),
        Err(CallError::OutcomeUnknown | CallError::Closed { maybe_executed: true }) => {
            json!({ "outcome": "unknown" })
        }
        Err(CallError::HandlerFailed) => json!({ "outcome": "failed", "code": "internal" }),
        Err(CallError::HandlerTimedOut) => json!({ "outcome": "failed", "code": "timeout" }),
        Err(CallError::Undecodable { .. } | CallError::App(_)) => {
            json!({ "outcome": "unreadable" })
        }
        Err(CallError::Cancelled) => json!({ "outcome": "cancelled" }),
        Err(_) => json!({ "outcome": "not_sent" }),
    };
    (told["event"], told["call"]) = (json!("outcome"), json!(id));
    answers.say(told);
}

/// A topic from its beginning, or from its latest events on.
fn begin<T>(client: &ConformanceClient, topic: T, last: Option<u32>) -> Subscribe<T>
where
    T: TopicKey<Events = ConformanceEvent>,
{
    let asked = client.subscribe(topic);
    match last {
        Some(last) => asked.last(last),
        None => asked,
    }
}

/// Takes items of a topic whenever it is told to, and reports them.
async fn follow<T>(
    asked: Subscribe<T>,
    sub: u64,
    mut takes: mpsc::UnboundedReceiver<()>,
    answers: Answers,
    told: fn(TopicItem<T>) -> Value,
) where
    T: TopicKey<Events = ConformanceEvent>,
{
    let mut subscription: Subscription<T> = match asked.await {
        Ok(subscription) => subscription,
        Err(error) => {
            let code = match error {
                SubscribeError::Refused { code } => unsubscribed(code),
                _ => "closed",
            };
            return answers.say(json!({ "event": "ended", "sub": sub, "code": code }));
        }
    };
    while takes.recv().await.is_some() {
        let Some(item) = subscription.next().await else {
            let code = match subscription.end() {
                Some(SubscriptionEnd::Refused(code)) => unsubscribed(code),
                _ => "closed",
            };
            return answers.say(json!({ "event": "ended", "sub": sub, "code": code }));
        };
        let mut told = told(item);
        (told["event"], told["sub"]) = (json!("item"), json!(sub));
        answers.say(told);
    }
}

/// Reports direct messages as they come.
async fn take_in(mut inbox: Inbox<ConformanceEvent>, answers: Answers) {
    while let Some(next) = inbox.next().await {
        let mut told = match next {
            InboxItem::Message(message) => event(message),
            InboxItem::Missed(_) => json!({ "missed": true }),
        };
        told["event"] = json!("direct");
        answers.say(told);
    }
}

fn event(event: ConformanceEvent) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(message)) => match message.into_iter().next() {
            Some((name, body)) => json!({ "item": "event", "name": name, "body": body }),
            None => json!({ "item": "unreadable" }),
        },
        // The unknown variant is never written.
        _ => json!({ "item": "unreadable" }),
    }
}

fn logged(item: TopicItem<Log>) -> Value {
    match item {
        Item::Event(message) => event(message),
        Item::Gap(gap) => json!({ "item": "gap", "reason": reason(&gap) }),
    }
}

fn listed(item: TopicItem<List>) -> Value {
    match item {
        Item::Event(message) => event(message),
        Item::Snapshot { state: ConformanceEventState { list, texts }, reason: why } => {
            let gap = match why {
                SnapshotReason::Initial => None,
                SnapshotReason::Gap(gap) => Some(reason(&gap)),
            };
            let body = json!({ "list": list, "texts": texts });
            json!({ "item": "snapshot", "name": "state", "body": body, "gap": gap })
        }
    }
}

fn reason(gap: &Gap) -> &'static str {
    match gap.reason {
        ResetReason::Initial => "initial",
        ResetReason::Trimmed => "trimmed",
        ResetReason::Epoch => "epoch",
        ResetReason::Ahead => "ahead",
    }
}

fn refusal(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Unsupported => "unsupported",
        RefusalCode::Invalid => "invalid",
        RefusalCode::TooLarge => "too_large",
        RefusalCode::Forbidden => "forbidden",
        RefusalCode::Expired => "expired",
        _ => "other",
    }
}

fn unsubscribed(code: UnsubscribeCode) -> &'static str {
    match code {
        UnsubscribeCode::Forbidden => "forbidden",
        UnsubscribeCode::Unsupported => "unsupported",
        UnsubscribeCode::Duplicate => "duplicate",
        UnsubscribeCode::Invalid => "invalid",
        UnsubscribeCode::Overload => "overload",
        UnsubscribeCode::Internal => "internal",
        _ => "other",
    }
}
