//! What a user's module may have beside the enums: traits, types, modules, macros and derives whose
//! names meet those of generated code. A module per way to meet; what is made runs elsewhere.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub, dead_code, unused_macros)]

/// A trait that every type has, with the methods that generated code could call by mistake.
mod methods {
    use std::future::Future;

    use steadfast::WsProtocol;
    use steadfast::server::{Cx, Denied, Principal, TopicCx};

    pub trait Everything: Sized {
        fn post(self) {}
        fn into(self) {}
        fn clone(self) {}
        fn codec(self) {}
        fn subscribe(self) {}
        fn state(self) {}
        fn status(self) {}
        fn reconnect_now(self) {}
        fn close(self) {}
        fn map(self) {}
        fn unwrap_or_else(self) {}
        fn write_str(self) {}
        fn write_fmt(self) {}
        fn encode(self) {}
        fn decode(self) {}
        fn topic_key(self) {}
        fn may_subscribe_room(self) {}
        fn room_snapshot(self) {}
        fn to_string(self) {}
    }
    impl<T> Everything for T {}

    #[derive(Debug, WsProtocol)]
    #[ws(client, protocol = "methods", version = "1", server = Event, error = Wrong)]
    pub enum Command {
        #[ws(request(reply = u64))]
        Post { a: u8 },
        #[ws(command)]
        Drop,
        #[ws(command)]
        Into { a: u8 },
        #[ws(volatile)]
        Encode,
    }

    #[derive(Debug, WsProtocol)]
    #[ws(server, protocol = "methods", error = Wrong, topic(Room, key = room: String))]
    pub enum Event {
        #[ws(event(Room))]
        Posted { room: String },
        #[ws(snapshot(Room))]
        State { room: String },
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }

    #[derive(Debug, WsProtocol)]
    #[ws(error)]
    pub enum Wrong {
        Full {
            a: u8,
        },
        Gone,
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }

    pub struct Handler;

    impl MethodsHandler for Handler {
        async fn post(&self, _: &Cx, _: u8) -> Result<u64, Wrong> {
            Ok(1)
        }
        async fn drop(&self, _: &Cx) -> Result<(), Wrong> {
            Ok(())
        }
        async fn into(&self, _: &Cx, _: u8) -> Result<(), Wrong> {
            Ok(())
        }
        fn encode(&self, _: &Cx) -> impl Future<Output = ()> + Send {
            std::future::ready(())
        }
    }

    impl MethodsTopics for Handler {
        async fn may_subscribe_room(&self, _: &Principal, _: &String) -> Result<(), Denied> {
            Ok(())
        }
        async fn room_snapshot(&self, _: &TopicCx, room: &String) -> Result<EventState, Wrong> {
            Ok(EventState { room: std::clone::Clone::clone(room) })
        }
    }
}

#[test]
fn a_handler_of_messages_named_like_methods_of_every_type_is_served() {
    use steadfast::protocol::ClientEnum;

    let _ = methods::MethodsServer::builder(methods::Handler);
    let messages = methods::Command::DESCRIPTION.messages.iter();
    assert!(messages.map(|message| message.name).eq(["Post", "Drop", "Into", "Encode"]));
}

/// Names of the prelude, of crates, and of generated code's own variables, for something else.
mod shadows {
    #![allow(non_camel_case_types, non_upper_case_globals)]

    pub mod core {}
    pub mod diagnostic {}
    pub mod serde {}
    pub mod std {}
    pub mod steadfast {}
    pub struct Arc;
    pub struct Box;
    pub struct Err;
    pub struct Future;
    pub struct None;
    pub struct Ok;
    pub struct Option;
    pub struct Result;
    pub struct Some;
    pub struct String;
    pub struct Vec;
    pub struct u16;
    pub struct bool;
    pub struct Body;
    pub struct Client;
    pub struct Codec;
    pub struct Cx;
    pub trait Clone {}
    pub trait Copy {}
    pub trait Debug {}
    pub trait Default {}
    pub trait Drop {}
    pub trait Fn {}
    pub trait From {}
    pub trait Into {}
    pub trait Iterator {}
    pub trait Send {}
    pub trait Sized {}
    pub trait Sync {}
    macro_rules! format_args {
        () => {};
    }
    macro_rules! panic {
        () => {};
    }
    macro_rules! unreachable {
        () => {};
    }
    macro_rules! write {
        () => {};
    }
    const codec: u64 = 1;
    static message: u64 = 1;
    fn drop() {}
    // As web frameworks make of `fn body` and `fn handler`.
    pub struct body;
    pub struct cx;
    pub struct decoded;
    pub struct error;
    pub struct f;
    pub struct handler;
    pub struct inner;
    pub struct key;
    pub struct name;
    pub struct other;
    pub struct topic;
    pub struct url;
    pub struct who;

    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(client, protocol = "shadows", version = "1", server = Event, error = Wrong)]
    pub enum Command {
        #[ws(request(reply = u64))]
        Post { a: u8 },
        #[ws(volatile(latest_by = a))]
        Hint { a: u8 },
        #[ws(command)]
        Nothing,
    }

    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(server, protocol = "shadows", error = Wrong)]
    #[ws(topic(Room, key = room: ::std::string::String))]
    pub enum Event {
        #[ws(event(Room))]
        Posted { room: ::std::string::String },
        #[ws(snapshot(Room))]
        State { room: ::std::string::String },
        #[ws(volatile(Room, latest_by = room))]
        Hint { room: ::std::string::String },
        #[ws(unknown)]
        Unknown(::steadfast::UnknownMessage),
    }

    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(error)]
    pub enum Wrong {
        Full {
            a: u8,
        },
        Gone,
        #[ws(unknown)]
        Unknown(::steadfast::UnknownMessage),
    }
}

#[test]
fn names_of_the_prelude_may_mean_something_else() {
    use steadfast::protocol::Publish;

    let posted = shadows::EventPosted { room: "a".into() };
    assert_eq!(posted.topic_key().as_deref(), Ok("a"));
    assert_eq!(shadows::Wrong::Full { a: 1 }.to_string(), "full (a: 1)");
}

#[no_implicit_prelude]
mod bare {
    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(client, protocol = "bare", version = "1", server = Event, error = Wrong)]
    pub enum Command {
        #[ws(request(reply = u64))]
        Post { a: u8 },
        #[ws(volatile(latest_by = a))]
        Hint { a: u8 },
    }

    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(server, protocol = "bare", error = Wrong, topic(Room, key = room: u64))]
    pub enum Event {
        #[ws(event(Room))]
        Posted { room: u64 },
        #[ws(snapshot(Room))]
        State { room: u64 },
        #[ws(unknown)]
        Unknown(::steadfast::UnknownMessage),
    }

    #[derive(::core::fmt::Debug, ::steadfast::WsProtocol)]
    #[ws(error)]
    pub enum Wrong {
        Full {
            a: u8,
        },
        #[ws(unknown)]
        Unknown(::steadfast::UnknownMessage),
    }
}

#[test]
fn a_module_needs_no_prelude() {
    assert_eq!(bare::Wrong::Full { a: 1 }.to_string(), "full (a: 1)");
}

/// Words that are keywords, somewhere or of some edition.
mod words {
    use steadfast::WsProtocol;

    #[derive(Debug, WsProtocol)]
    #[ws(client, protocol = "self", version = "1", server = r#Struct)]
    pub enum r#Enum {
        #[ws(command)]
        Gen { r#gen: u8, self_: u8 },
        #[ws(command(id = r#type, keep = "1h"))]
        Type { r#type: u8, r#async: u8 },
        #[ws(command, method = "r#match")]
        Compare,
    }

    #[derive(Debug, WsProtocol)]
    #[ws(server, protocol = "self", topic(r#Impl, key = r#fn: String))]
    pub enum r#Struct {
        #[ws(event(r#Impl))]
        Posted { r#fn: String },
        #[ws(volatile(r#Impl, latest_by = r#fn))]
        Hint { r#fn: String },
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

#[test]
fn a_keyword_may_be_a_name() {
    use steadfast::protocol::{ClientEnum, Publish};

    let _ = (words::SelfClient::gen_, words::SelfClient::type_, words::SelfClient::r#match);
    assert_eq!(words::Enum::DESCRIPTION.messages[1].fields[0].name, "type");
    assert_eq!(words::StructPosted { r#fn: "a".into() }.topic_key().as_deref(), Ok("a"));
}

/// Attributes of others, which mean nothing on what is made.
mod attributes {
    use serde::{Deserialize, Serialize};
    use steadfast::WsProtocol;

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Old {
        number: u8,
    }

    /// `serde` and `default` belong to two derives of the enum's own.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, WsProtocol)]
    #[ws(client, protocol = "attributes", version = "1", server = Event)]
    #[serde(tag = "type", content = "body")]
    #[non_exhaustive]
    #[must_use]
    pub enum Command {
        #[ws(command)]
        #[default]
        Nothing,
        /// See [`Event`].
        #[cfg_attr(test, ws(command))]
        #[non_exhaustive]
        Post {
            #[cfg(any())]
            missing: Missing,
            #[cfg(test)]
            there: u8,
        },
        #[cfg(any())]
        #[ws(command)]
        Missing(Missing),
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "attributes", topic(Room, key = room: u8))]
    pub enum Event {
        #[ws(event(Room))]
        Posted {
            room: u8,
            #[expect(deprecated)]
            old: Old,
        },
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }

    /// A field's attribute that only schemars and this derive know.
    #[derive(Debug, WsProtocol)]
    #[ws(error)]
    #[allow(deprecated)]
    pub enum Wrong {
        Full {
            #[schemars(range(min = 1))]
            limit: u8,
        },
        Own(Old),
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

#[test]
fn attributes_of_others_stay_where_they_are() {
    assert_eq!(attributes::CommandPost { there: 1 }.there, 1);
    assert_eq!(attributes::Wrong::Full { limit: 1 }.to_string(), "full (limit: 1)");
}

/// A crate that hands the runtime on, and a macro of it that says so.
mod facade {
    pub mod nested {
        pub use steadfast as runtime;
    }

    macro_rules! protocol {
        ($command:ident, $event:ident, $error:ident) => {
            #[derive(Debug, steadfast::WsProtocol)]
            #[ws(client, protocol = "facade", version = "1", server = $event, error = $error)]
            #[ws(crate = $crate::facade::nested::runtime)]
            pub enum $command {
                #[ws(command)]
                Go { a: u8 },
            }

            #[derive(Debug, steadfast::WsProtocol)]
            #[ws(server, protocol = "facade", error = $error, topic(Room, key = room: u8))]
            #[ws(crate = $crate::facade::nested::runtime)]
            pub enum $event {
                #[ws(event(Room))]
                Gone { room: u8 },
                #[ws(unknown)]
                Unknown($crate::facade::nested::runtime::UnknownMessage),
            }

            #[derive(Debug, steadfast::WsProtocol)]
            #[ws(error, crate = $crate::facade::nested::runtime)]
            pub enum $error {
                Full {
                    a: u8,
                },
                #[ws(unknown)]
                Unknown($crate::facade::nested::runtime::UnknownMessage),
            }
        };
    }
    pub(crate) use protocol;
}

mod faced {
    crate::facade::protocol!(Command, Event, Wrong);
}

#[test]
fn a_facades_macro_names_the_runtime_by_its_own_crate() {
    use steadfast::private::{Codec, encode_body};

    facade::protocol!(Command, Event, Wrong);
    let body = encode_body(&CommandGo { a: 1 }, Codec::Json).expect("it can be encoded");
    assert_eq!(body.as_bytes(), br#"{"a":1}"#);
    assert_eq!(Wrong::Full { a: 1 }.to_string(), faced::Wrong::Full { a: 1 }.to_string());
}

/// Enums that only a part of the crate sees.
mod visible {
    mod inner {
        use steadfast::WsProtocol;

        #[derive(Debug, WsProtocol)]
        #[ws(client, protocol = "visible", version = "1", server = self::Event)]
        pub(in crate::visible) enum Command {
            #[ws(command)]
            Go { a: u8 },
        }

        #[derive(Debug, WsProtocol)]
        #[ws(server, protocol = "visible", topic(Room, key = room: u8))]
        pub(in crate::visible) enum Event {
            #[ws(event(Room))]
            Gone { room: u8 },
            #[ws(unknown)]
            Unknown(steadfast::UnknownMessage),
        }
    }

    pub(crate) fn a() -> u8 {
        let _ = inner::Room(1);
        inner::CommandGo { a: 1 }.a
    }
}

#[test]
fn what_is_made_is_as_visible_as_its_enum() {
    assert_eq!(visible::a(), 1);
}
