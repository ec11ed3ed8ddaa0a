//! Mistakes: how many are reported, and in which words. Where they point is for the tests that
//! compile programs.

use syn::{DeriveInput, parse_quote};

use crate::attr::EnumAttrs;
use crate::ctxt::Ctxt;
use crate::model;

/// The messages of every mistake.
fn mistakes(input: &DeriveInput) -> Vec<String> {
    let ctxt = Ctxt::new();
    let attrs = EnumAttrs::read(&input.attrs, &ctxt);
    let _ = model::check(input, &attrs, &ctxt);
    let errors = ctxt.finish().unwrap_or_default().to_string();
    errors.split("compile_error").skip(1).map(|error| error.to_owned()).collect()
}

#[track_caller]
fn says(input: &DeriveInput, words: &[&str]) {
    let found = mistakes(input);
    assert_eq!(found.len(), words.len(), "{found:#?}");
    for (found, words) in found.iter().zip(words) {
        assert!(found.contains(words), "{words:?} is not in {found}");
    }
}

/// A client enum of one variant.
fn client(variant: syn::Variant) -> DeriveInput {
    parse_quote! {
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
        enum ChatCommand { #variant }
    }
}

/// A server enum of one variant, with a topic.
fn server(variant: syn::Variant) -> DeriveInput {
    parse_quote! {
        #[ws(server, protocol = "chat", topic(Room, key = room: RoomId))]
        enum ChatEvent { #variant, #[ws(unknown)] Unknown(steadfast::UnknownMessage) }
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let input = parse_quote! {
        #[ws(client, protocol = "chat", versoin = "1.0", server = ChatEvent, timeout = "5")]
        enum ChatCommand {
            #[ws(requst(reply = MessageId))]
            Post { room: RoomId },
            Ping,
            #[ws(command(reply = u8), max_bytes = 7)]
            Read,
        }
    };
    let found = mistakes(&input);
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn a_typo_in_a_kind_is_told_the_kinds_of_its_enum() {
    let typo = |role: &str| -> DeriveInput {
        let role: syn::Attribute = match role {
            "client" => {
                parse_quote!(#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)])
            }
            "server" => {
                parse_quote!(#[ws(server, protocol = "chat", topic(Room, key = room: RoomId))])
            }
            _ => parse_quote!(#[ws(error)]),
        };
        parse_quote! {
            #role
            enum Chat {
                #[ws(volatlie)]
                A { room: RoomId },
                #[ws(unknown)]
                Unknown(UnknownMessage),
            }
        }
    };
    let expected = [
        ("client", "expected `request`, `command` or `volatile` (did you mean `volatile`?)"),
        (
            "server",
            "expected `event`, `snapshot`, `volatile`, `direct` or `unknown` (did you mean `volatile`?)",
        ),
        ("error", "expected `unknown`"),
    ];
    for (role, words) in expected {
        let found = mistakes(&typo(role));
        assert!(found.iter().any(|found| found.contains(words)), "{role}: {found:#?}");
        assert!(
            !found.iter().any(|found| role == "client" && found.contains("`event`")),
            "{found:#?}"
        );
    }
}

#[test]
fn a_typo_names_the_nearest_word() {
    says(&client(parse_quote! { #[ws(requst(reply = u8))] A }), &["unknown message kind `requst`"]);
    says(&client(parse_quote! { #[ws(requst(reply = u8))] A }), &["did you mean `request`?"]);
    says(
        &client(parse_quote! { #[ws(request(repli = u8, reply = u8))] A }),
        &["did you mean `reply`?"],
    );
    says(
        &server(parse_quote! { #[ws(event(Rom))] A { room: RoomId } }),
        &["no topic `Rom`; declared: `Room` (did you mean `Room`?)"],
    );
    says(
        &client(parse_quote! { #[ws(volatile(latest_by = rom))] A { room: RoomId } }),
        &["did you mean `room`?"],
    );
    says(
        &client(parse_quote! { #[ws(command)] #[serde(rename_all = "snakecase")] A }),
        &["did you mean `snake_case`?"],
    );
}

#[test]
fn kinds_stay_on_their_side() {
    says(
        &server(parse_quote! { #[ws(request(reply = u8))] A }),
        &["not supported yet: requests from the server"],
    );
    says(&server(parse_quote! { #[ws(command)] A }), &["`command` belongs on the client enum"]);
    says(&client(parse_quote! { #[ws(event(Room))] A }), &["`event` belongs on the server enum"]);
    says(
        &client(parse_quote! { #[ws(unknown)] A(steadfast::UnknownMessage) }),
        &["a server refuses messages that it does not know"],
    );
    says(&client(parse_quote! { #[ws(volatile(Room))] A }), &["a client's volatile has no topic"]);
}

#[test]
fn what_a_kind_does_not_have_is_refused() {
    says(&client(parse_quote! { #[ws(request)] A }), &["a request has a reply"]);
    says(&client(parse_quote! { #[ws(request())] A }), &["a request has a reply"]);
    says(&client(parse_quote! { #[ws(command(reply = u8))] A }), &["commands have no reply"]);
    says(&client(parse_quote! { #[ws(command(ack = received))] A }), &["not supported yet"]);
    says(&client(parse_quote! { #[ws(volatile(timeout = "5s"))] A }), &["never answered"]);
    says(&client(parse_quote! { #[ws(command, command)] A }), &["one kind"]);
    says(
        &server(parse_quote! { #[ws(event)] A { room: RoomId } }),
        &["`event` needs its topic: `event(Room)`"],
    );
    says(
        &server(parse_quote! { #[ws(event(Room), timeout = "5s")] A { room: RoomId } }),
        &["`timeout` belongs on a client's message"],
    );
    says(
        &server(parse_quote! { #[ws(direct(Room))] A }),
        &["a direct message belongs to no topic; drop `Room`"],
    );
    says(
        &server(parse_quote! { #[ws(direct, timeout = "5s")] A }),
        &["`timeout` belongs on a client's message; nobody answers a direct message"],
    );
    says(&server(parse_quote! { #[ws(direct(latest_by = a))] A }), &["`max_bytes`"]);
    says(&client(parse_quote! { #[ws(direct)] A }), &["`direct` belongs on the server enum"]);
}

#[test]
fn topics_are_complete() {
    let with = |topic: proc_macro2::TokenStream| -> DeriveInput {
        parse_quote! {
            #[ws(server, protocol = "chat", #topic)]
            enum ChatEvent { #[ws(unknown)] Unknown(steadfast::UnknownMessage) }
        }
    };
    says(&with(quote::quote!(topic(Room))), &["topic `Room` needs a key"]);
    says(&with(quote::quote!(topic(Room, key = room))), &["`key` needs the field's type too"]);
    says(&with(quote::quote!(topic(Room, key = room: Room))), &["name the topic differently"]);
    says(
        &with(quote::quote!(topic(Room, key = room: u8), topic(Room, key = room: u8))),
        &["declared twice"],
    );
    says(
        &with(quote::quote!(topic(Price, key = symbol: Symbol, latest_by = side))),
        &["not supported yet: latest-value topics"],
    );
    says(
        &server(parse_quote! { #[ws(event(Room))] A { rom: RoomId } }),
        &["has no field `room`, its key"],
    );
}

#[test]
fn names_are_unique_and_fit_the_wire() {
    let two = parse_quote! {
        #[ws(client, protocol = "chat", version = "1", server = E, reserved("old"))]
        enum C {
            #[ws(command)] A,
            #[ws(command)] #[serde(rename = "A")] B,
            #[ws(command)] #[serde(alias = "old")] D,
            #[ws(command)] #[serde(rename = "a b")] F,
            #[ws(command)] Status,
        }
    };
    says(
        &two,
        &[
            "`a b` can't be a name",
            "`B` and `A` share the wire name `A`",
            "the wire name `old` is reserved",
            "has a method `status` already",
        ],
    );
}

#[test]
fn serde_attributes_that_would_break_the_promise_are_refused_with_the_reason() {
    let refused = |attr: proc_macro2::TokenStream| {
        client(parse_quote! { #[ws(command)] #[serde(#attr)] A { a: u8 } })
    };
    says(&refused(quote::quote!(other)), &["a message is found by its name"]);
    says(&refused(quote::quote!(untagged)), &["a message is found by its name"]);
    says(&refused(quote::quote!(with = "x")), &["a struct of their own"]);
    says(&refused(quote::quote!(skip)), &["every variant is a message that travels"]);
    says(&refused(quote::quote!(rename(serialize = "x"))), &["two names"]);
    says(&refused(quote::quote!(banana)), &["not known to this derive"]);
    says(
        &client(parse_quote! { #[ws(command)] A { #[serde(flatten)] a: u8 } }),
        &["lists every field"],
    );
    let denied = parse_quote! {
        #[serde(deny_unknown_fields)]
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
        enum ChatCommand {}
    };
    says(&denied, &["unknown fields are ignored"]);
}

#[test]
fn shapes_that_are_not_messages_are_refused() {
    says(&client(parse_quote! { #[ws(command)] A(u8, u8) }), &["fields of a message have names"]);
    says(&client(parse_quote! { #[ws(command)] A(String) }), &["the body of a message is a map"]);
    says(&parse_quote! { #[ws(error)] struct E; }, &["goes on an enum"]);
    says(&parse_quote! { #[ws(error)] enum E<T> { A(T), } }, &["no type parameters"]);
    says(&parse_quote! { enum E { A, } }, &["say which side sends these messages"]);
    says(&parse_quote! { #[ws(error)] enum E { A, } }, &["add a variant for it"]);
    says(
        &parse_quote! { #[ws(error)] enum E { #[ws(unknown)] Unknown, } },
        &["carries the message as it came"],
    );
    says(
        &parse_quote! { #[ws(error)] enum E { #[ws(command)] A, #[ws(unknown)] U(X), } },
        &["errors are answers"],
    );
}

#[cfg(not(feature = "schema"))]
#[test]
fn json_schema_without_its_feature_says_so() {
    let input = parse_quote! {
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, json_schema)]
        enum ChatCommand {}
    };
    says(&input, &["needs the feature `schema`"]);
}

#[test]
fn an_id_needs_a_field_that_is_there_and_a_time() {
    let with = |attribute: syn::Attribute| -> syn::Variant {
        parse_quote! {
            #attribute
            Place { order_id: OrderId, limit: Option<u64>, side: bool }
        }
    };
    for (attribute, words) in [
        (
            parse_quote!(#[ws(command, id = order_di, keep = "24h")]),
            "`Place` has no field `order_di` (did you mean `order_id`?)",
        ),
        (parse_quote!(#[ws(command, id = order_id)]), "add `keep = \\\"24h\\\"`"),
        (parse_quote!(#[ws(command(id = order_id))]), "add `keep = \\\"24h\\\"`"),
        (parse_quote!(#[ws(command, keep = "24h")]), "`keep` says how long an id is kept"),
        (parse_quote!(#[ws(command, id = order_id, keep = "24")]), "expected a time such as"),
        (parse_quote!(#[ws(command, id = order_id, keep = "2y")]), "expected a time such as"),
        (parse_quote!(#[ws(command, id = limit, keep = "24h")]), "every message has its id"),
        (parse_quote!(#[ws(command, id = side, keep = "24h")]), "a `bool` names no command"),
        (
            parse_quote!(#[ws(volatile, id = order_id, keep = "24h")]),
            "`id` belongs on a request or command",
        ),
        (parse_quote!(#[ws(volatile(id = order_id))]), "never answered, so `id` has no meaning"),
    ] {
        says(&client(with(attribute)), &[words]);
    }
    let event = parse_quote! {
        #[ws(event(Room), id = room, keep = "24h")]
        Posted { room: RoomId }
    };
    says(&server(event), &["`id` belongs on a request or command"]);
    let error: DeriveInput = parse_quote! {
        #[ws(error)]
        enum ChatError {
            #[ws(id = room, keep = "24h")]
            Full { room: RoomId },
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }
    };
    says(&error, &["`id` belongs on the client enum", "`keep` belongs on the client enum"]);
}

#[test]
fn a_topic_keeps_its_events_for_a_year_at_most() {
    let with = |ttl: &str| -> DeriveInput {
        parse_quote! {
            #[ws(server, protocol = "chat", topic(Room, key = room: RoomId, ttl = #ttl))]
            enum ChatEvent {
                #[ws(event(Room))]
                Posted { room: RoomId },
                #[ws(unknown)]
                Unknown(UnknownMessage),
            }
        }
    };
    says(&with("366d"), &["at most \\\"365d\\\""]);
    says(&with("365"), &["expected a time such as"]);
    assert!(mistakes(&with("365d")).is_empty());
}

#[test]
fn a_method_is_not_named_by_a_keyword_of_a_later_edition() {
    says(
        &client(parse_quote!(
            #[ws(command, method = "gen")]
            Make
        )),
        &["`gen` can't be the name of a method"],
    );
}

#[test]
fn an_event_is_not_named_like_a_method_that_every_view_has() {
    for (variant, method) in [
        (
            parse_quote!(
                #[ws(event(Room))]
                RoomReset { room: RoomId }
            ),
            "room_reset",
        ),
        (
            parse_quote!(
                #[ws(volatile(Room))]
                RoomResumed { room: RoomId }
            ),
            "room_resumed",
        ),
        (
            parse_quote!(
                #[ws(event(Room), method = "unknown")]
                Gone { room: RoomId }
            ),
            "unknown",
        ),
    ] {
        says(&server(variant), &[&format!("topic `Room` has a method `{method}` already")]);
    }
    let renamed = parse_quote!(
        #[ws(event(Room), method = "emptied")]
        RoomReset { room: RoomId }
    );
    says(&server(renamed), &[]);
}

#[test]
fn two_events_of_a_topic_do_not_share_a_method() {
    let input = parse_quote! {
        #[ws(server, protocol = "chat", topic(Room, key = room: RoomId), topic(Hall, key = hall: u8))]
        enum ChatEvent {
            #[ws(event(Room))] Opened { room: RoomId },
            #[ws(event(Hall), method = "opened")] HallOpened { hall: u8 },
            #[ws(event(Room), method = "opened")] RoomOpened { room: RoomId },
            #[ws(unknown)] Unknown(steadfast::UnknownMessage),
        }
    };
    says(&input, &["`RoomOpened` and `Opened` both become the method `opened`"]);
}

#[test]
fn a_message_is_not_named_like_a_hook_about_sessions() {
    for (variant, method) in [
        (
            parse_quote!(
                #[ws(command)]
                SessionResumed
            ),
            "session_resumed",
        ),
        (
            parse_quote!(
                #[ws(command, method = "session_reset")]
                Forget
            ),
            "session_reset",
        ),
    ] {
        says(&client(variant), &[&format!("every handler has a method `{method}` already")]);
    }
}

#[test]
fn a_state_has_no_method_of_its_own() {
    let state = parse_quote!(
        #[ws(snapshot(Room), method = "state")]
        History { room: RoomId }
    );
    says(&server(state), &["a state has the method of its topic's resets"]);
}

#[test]
fn what_belongs_to_one_message_or_to_the_whole_enum_is_sent_there() {
    for (attribute, words) in [
        (parse_quote!(#[ws(command, deprecated)]), "deprecation is Rust's own"),
        (parse_quote!(#[ws(command, concurrent)]), "`concurrent` belongs to the kind: "),
        (parse_quote!(#[ws(command, reply = u32)]), "`reply` belongs to the kind: "),
        (parse_quote!(#[ws(volatile, latest_by = room)]), "`latest_by` belongs to the kind: "),
        (parse_quote!(#[ws(command, ttl = "1h")]), "`ttl` belongs to a topic of the enum: "),
        (parse_quote!(#[ws(command, reserved("old"))]), "`reserved` retires wire names of the"),
    ] {
        let attribute: syn::Attribute = attribute;
        says(&client(parse_quote!(#attribute Read)), &[words]);
    }
    for key in [quote::quote!(method = "read"), quote::quote!(as = Read), quote::quote!(deprecated)]
    {
        let input = parse_quote! {
            #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, #key)]
            enum ChatCommand { #[ws(command)] Read }
        };
        says(&input, &["is of one message; it belongs on a variant"]);
    }
}

#[test]
fn a_wire_name_is_reserved_once() {
    let input = parse_quote! {
        #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
        #[ws(reserved("old", "older"), reserved("old"))]
        enum ChatCommand { #[ws(command)] Read }
    };
    says(&input, &["`old` is reserved already"]);
}

#[test]
fn a_struct_is_not_named_like_what_is_made_of_the_enum() {
    for (name, words) in [
        (quote::quote!(Room), "the key of a topic is called `Room`"),
        (quote::quote!(RoomView), "the view of the topic `Room` is called `RoomView`"),
        (quote::quote!(ChatEvent), "the enum is called `ChatEvent`"),
    ] {
        let variant = parse_quote!(
            #[ws(event(Room), as = #name)]
            Opened { room: RoomId }
        );
        says(&server(variant), &[words]);
    }
}
