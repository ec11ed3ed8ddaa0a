//! What a client relies on and a server does not give it, from their contracts alone. Whatever can't
//! be told to be the same counts as different.

use std::collections::{BTreeMap, BTreeSet};

use super::body::{Body, STEPS};

type Facts = BTreeMap<String, String>;

/// One message, topic or error.
#[derive(Default)]
struct Subject<'a> {
    kind: &'a str,
    aliases: Vec<&'a str>,
    /// What stands in one line: limits, ids.
    facts: BTreeMap<&'a str, &'a str>,
    body: Body<'a>,
    reply: Body<'a>,
    key: Body<'a>,
}

/// Everything of one contract, by name.
struct Protocol<'a> {
    client: BTreeMap<&'a str, Subject<'a>>,
    server: BTreeMap<&'a str, Subject<'a>>,
    errors: BTreeMap<&'a str, Subject<'a>>,
    topics: BTreeMap<&'a str, Subject<'a>>,
    /// Types that hold themselves.
    types: Vec<(&'a str, &'a str)>,
}

pub(super) fn missing(client: &Facts, server: &Facts) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut tell = |what: String| {
        found.insert(what);
    };
    if client.get("protocol") != server.get("protocol") {
        tell("it is another protocol".into());
    }
    let (theirs, ours) = (Protocol::of(client), Protocol::of(server));
    for (name, sent) in &theirs.client {
        match find(&ours.client, name) {
            Some(taken) => sent.command(name, taken, &mut tell),
            None => tell(format!("the server does not know `{name}`")),
        }
    }
    for (name, wanted) in &theirs.server {
        match ours.sends(name, wanted) {
            Some(sent) => wanted.delivery(name, sent, &mut tell),
            None => tell(format!("the server does not send `{name}`")),
        }
    }
    for (name, sent) in &ours.errors {
        if let Some(known) = find(&theirs.errors, name) {
            let mut tell = |what: String| tell(format!("error `{name}`: {what}"));
            sent.body.unread_by(&known.body, &mut tell);
        }
    }
    for (name, wanted) in &theirs.topics {
        match ours.topics.get(name) {
            Some(served) => wanted.topic(name, served, &mut tell),
            None => tell(format!("the server has no topic `{name}`")),
        }
    }
    if theirs.types != ours.types {
        tell("a type that holds itself is another one".into());
    }
    found.into_iter().collect()
}

/// Under its name, or as an alias of what now has another one.
fn find<'a, 'b>(
    subjects: &'b BTreeMap<&'a str, Subject<'a>>,
    name: &str,
) -> Option<&'b Subject<'a>> {
    let alias = || subjects.values().find(|subject| subject.aliases.contains(&name));
    subjects.get(name).or_else(alias)
}

impl<'a> Protocol<'a> {
    fn of(facts: &'a Facts) -> Self {
        let mut protocol = Self {
            client: BTreeMap::new(),
            server: BTreeMap::new(),
            errors: BTreeMap::new(),
            topics: BTreeMap::new(),
            types: Vec::new(),
        };
        for (about, says) in facts {
            let (side, rest) = about.split_once(' ').unwrap_or((about, ""));
            let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
            let subjects = match side {
                "client" => &mut protocol.client,
                "server" => &mut protocol.server,
                "error" => &mut protocol.errors,
                "topic" => &mut protocol.topics,
                "type" => {
                    protocol.types.push((rest, says));
                    continue;
                }
                _ => continue,
            };
            subjects.entry(name).or_default().say(words, says);
        }
        protocol
    }

    /// What the server sends of this name, or of another one that the client takes for it.
    fn sends(&self, name: &str, wanted: &Subject<'_>) -> Option<&Subject<'a>> {
        let names = std::iter::once(name).chain(wanted.aliases.iter().copied());
        names.into_iter().find_map(|name| self.server.get(name))
    }
}

impl<'a> Subject<'a> {
    fn say(&mut self, words: &'a str, says: &'a str) {
        let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
        let starts = |word: &str| {
            first.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(STEPS))
        };
        match first {
            "" => self.kind = says,
            "alias" => self.aliases.push(rest),
            _ if starts("body") => self.body.say(first, rest, says),
            _ if starts("reply") => self.reply.say(first, rest, says),
            _ if starts("key") => self.key.say(first, rest, says),
            _ => {
                self.facts.insert(words, says);
            }
        }
    }

    fn number(&self, word: &str) -> u64 {
        self.facts.get(word).and_then(|says| says.parse().ok()).unwrap_or_default()
    }

    /// A client's message, as the client sends it and the server takes it.
    fn command(&self, name: &str, taken: &Subject<'_>, tell: &mut dyn FnMut(String)) {
        let mut tell = |what: String| tell(format!("`{name}`: {what}"));
        if self.kind != taken.kind {
            tell(format!("is sent as {}, and taken as {}", self.kind, taken.kind));
        }
        if taken.number("max_bytes") < self.number("max_bytes") {
            tell("max_bytes is less at the server".into());
        }
        if taken.facts.contains_key("concurrent") && !self.facts.contains_key("concurrent") {
            tell("has no order at the server".into());
        }
        if let Some(id) = self.facts.get("id") {
            if taken.facts.get("id") != Some(id) {
                tell(format!("the server does not know it by its id `{id}`"));
            } else if taken.number("keep_ms") < self.number("keep_ms") {
                tell("the server keeps its id for less time".into());
            }
        }
        self.body.unread_by(&taken.body, &mut tell);
        taken.reply.unread_by(&self.reply, &mut tell);
    }

    /// A server's message, as the client takes it and the server sends it.
    fn delivery(&self, name: &str, sent: &Subject<'_>, tell: &mut dyn FnMut(String)) {
        let mut tell = |what: String| tell(format!("`{name}`: {what}"));
        if self.kind != sent.kind {
            tell(format!("is sent as {}, and taken as {}", sent.kind, self.kind));
        }
        if sent.number("max_bytes") > self.number("max_bytes") {
            tell("max_bytes is more at the server".into());
        }
        sent.body.unread_by(&self.body, &mut tell);
    }

    fn topic(&self, name: &str, served: &Subject<'_>, tell: &mut dyn FnMut(String)) {
        let mut tell = |what: String| tell(format!("topic `{name}`: {what}"));
        if self.facts.contains_key("snapshot") != served.facts.contains_key("snapshot") {
            tell("one end has a snapshot, and one has none".into());
        }
        if served.number("max_bytes") > self.number("max_bytes") {
            tell("max_bytes is more at the server".into());
        }
        self.key.unread_by(&served.key, &mut tell);
    }
}
