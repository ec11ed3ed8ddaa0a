//! What a description says, as facts: a line is about something, named by words from the general to
//! the particular, and says something of it.

use std::collections::BTreeMap;

use crate::{ClientEnum, ErrorEnum, Kind, Message, ServerEnum, Topic};

/// The facts so far.
#[derive(Default)]
pub(super) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(super) fn take(self) -> BTreeMap<String, String> {
        self.0
    }

    /// Two things may be said of one subject, as of alternatives that look alike.
    pub(super) fn say(&mut self, about: String, says: impl Into<String>) {
        let says = says.into();
        match self.0.get_mut(&about) {
            Some(said) if *said != says => {
                said.push_str(" and ");
                said.push_str(&says);
            }
            Some(_) => {}
            None => {
                self.0.insert(about, says);
            }
        }
    }

    pub(super) fn protocol(&mut self, client: &ClientEnum, server: &ServerEnum, error: &ErrorEnum) {
        self.say("protocol".into(), client.protocol);
        let sides = [("client", client.messages), ("server", server.messages)];
        for (side, messages) in sides.into_iter().chain([("error", error.messages)]) {
            for message in messages {
                self.message(&format!("{side} {}", message.name), message, server.topics);
            }
        }
        for (side, names) in [("client", client.reserved), ("server", server.reserved)] {
            for name in names {
                self.say(format!("reserved {side} {name}"), "");
            }
        }
        for topic in server.topics {
            self.topic(topic);
        }
    }

    fn topic(&mut self, topic: &Topic) {
        let at = format!("topic {}", topic.name);
        self.say(at.clone(), "");
        self.say(format!("{at} replay"), topic.replay.to_string());
        self.say(format!("{at} ttl_ms"), topic.ttl_ms.to_string());
        self.say(format!("{at} max_bytes"), topic.max_bytes.to_string());
        if topic.has_snapshot {
            self.say(format!("{at} snapshot"), "");
        }
        let key = format!("{at} key");
        #[cfg(feature = "schema")]
        if let Some(describe) = topic.key_json_schema {
            return super::shape::describe(self, &key, describe);
        }
        self.say(key, topic.key_type);
    }

    fn message(&mut self, at: &str, message: &Message, topics: &[Topic]) {
        self.kind(at, message, topics);
        for alias in message.aliases {
            self.say(format!("{at} alias {alias}"), "");
        }
        if let Some(id) = message.id {
            self.say(format!("{at} id"), escape(id.field));
            self.say(format!("{at} keep_ms"), id.keep_ms.to_string());
        }
        self.body(at, message);
        for field in message.fields {
            for alias in field.aliases {
                let (name, alias) = (escape(field.name), escape(alias));
                self.say(format!("{at} body.{name} alias {alias}"), "");
            }
        }
    }

    /// What travels: as schemars sees it, if it was asked, else as the derive does, which knows the
    /// names of types and not what is in them.
    fn body(&mut self, at: &str, message: &Message) {
        let body = format!("{at} body");
        #[cfg(feature = "schema")]
        if let Some(describe) = message.json_schema {
            return super::shape::describe(self, &body, describe);
        }
        if let Some(payload) = message.payload {
            self.say(body.clone(), payload);
        }
        for field in message.fields {
            let at = format!("{body}.{}", escape(field.name));
            match field.with {
                Some(with) => self.say(at.clone(), format!("{} with {with}", field.ty)),
                None => self.say(at.clone(), field.ty),
            }
            if field.optional {
                self.say(format!("{at} optional"), "");
            }
        }
    }

    fn kind(&mut self, at: &str, message: &Message, topics: &[Topic]) {
        let topic = |index: u16| topics.get(usize::from(index)).map_or("", |topic| topic.name);
        let mut latest: &[&str] = &[];
        let kind = match message.kind {
            Kind::Request { reply, ordered, timeout_ms, max_bytes } => {
                self.limits(at, ordered, timeout_ms, max_bytes);
                self.reply(at, message, reply);
                "request".to_owned()
            }
            Kind::Command { ordered, timeout_ms, max_bytes } => {
                self.limits(at, ordered, timeout_ms, max_bytes);
                "command".to_owned()
            }
            Kind::ClientVolatile { latest_by, timeout_ms, max_bytes } => {
                self.limits(at, true, timeout_ms, max_bytes);
                latest = latest_by;
                "volatile".to_owned()
            }
            Kind::Event { topic: of } => format!("event of {}", topic(of)),
            Kind::Snapshot { topic: of } => format!("snapshot of {}", topic(of)),
            Kind::TopicVolatile { topic: of, latest_by } => {
                latest = latest_by;
                format!("volatile of {}", topic(of))
            }
            Kind::Direct { max_bytes } => {
                self.say(format!("{at} max_bytes"), max_bytes.to_string());
                "direct".to_owned()
            }
            Kind::Error => String::new(),
        };
        self.say(at.to_owned(), kind);
        if !latest.is_empty() {
            let fields: Vec<String> = latest.iter().map(|field| escape(field)).collect();
            self.say(format!("{at} latest_by"), fields.join(", "));
        }
    }

    fn limits(&mut self, at: &str, ordered: bool, timeout_ms: u64, max_bytes: u32) {
        if !ordered {
            self.say(format!("{at} concurrent"), "");
        }
        self.say(format!("{at} timeout_ms"), timeout_ms.to_string());
        self.say(format!("{at} max_bytes"), max_bytes.to_string());
    }

    #[cfg_attr(not(feature = "schema"), expect(unused_variables, reason = "it has no schema"))]
    fn reply(&mut self, at: &str, message: &Message, reply: &str) {
        let at = format!("{at} reply");
        #[cfg(feature = "schema")]
        if let Some(describe) = message.reply_json_schema {
            return super::shape::describe(self, &at, describe);
        }
        self.say(at, reply);
    }
}

/// A name that serde writes, without the characters that the lines have a use for.
pub(super) fn escape(name: &str) -> String {
    let taken = |c: char| ".[]{}|:\\\"".contains(c) || c.is_whitespace() || c.is_control();
    let write = |c: char| match taken(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    name.chars().map(write).collect()
}
