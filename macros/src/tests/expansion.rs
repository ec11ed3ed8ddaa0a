//! Protocols and what becomes of them: formatted, as a user would have to write it by hand. Whether
//! it runs is for the tests of the derive.

use syn::{DeriveInput, parse_quote};

use crate::attr::EnumAttrs;
use crate::ctxt::Ctxt;
use crate::expanded::text;
use crate::generate::{Expansion, expand};
use crate::model;

/// The expansion of several enums.
fn expanded(inputs: &[DeriveInput]) -> String {
    let each = inputs.iter().map(|input| {
        let ctxt = Ctxt::new();
        let attrs = EnumAttrs::read(&input.attrs, &ctxt);
        let model = model::check(input, &attrs, &ctxt).expect("the enum's attributes are complete");
        assert!(ctxt.finish().is_none(), "the enum has no mistakes");
        let (text, Expansion { common, client, server }) = (text(&model), expand(&model));
        for tokens in [common, client, server] {
            syn::parse2::<syn::File>(tokens).expect("the expansion is a list of items");
        }
        text
    });
    each.collect()
}

fn check(name: &str, inputs: &[DeriveInput]) {
    insta::assert_snapshot!(name, expanded(inputs));
}

#[test]
fn a_protocol_of_one_command_expands_to_a_page() {
    check(
        "small",
        &[
            parse_quote! {
                #[ws(client, protocol = "ping", version = "1.0", server = PingEvent)]
                enum PingCommand {
                    #[ws(command)]
                    Ping,
                }
            },
            parse_quote! {
                #[ws(server, protocol = "ping")]
                enum PingEvent {
                    #[ws(unknown)]
                    Unknown(steadfast::UnknownMessage),
                }
            },
        ],
    );
}

#[test]
fn the_chat_expands_to_what_one_would_write() {
    check(
        "typical",
        &[
            parse_quote! {
                /// What a chat client may say.
                #[serde(rename_all = "snake_case")]
                #[ws(client, protocol = "chat", version = "1.0", timeout = "10s")]
                #[ws(server = ChatEvent, error = ChatError)]
                pub enum ChatCommand {
                    /// Post a message to a room.
                    #[ws(request(reply = MessageId), max_bytes = "16KiB")]
                    Post { room: RoomId, text: String },
                    /// Everything up to this message has been read.
                    #[ws(command)]
                    MarkRead { room: RoomId, upto: MessageId },
                    /// Shown while somebody types; lost when offline, and nobody minds.
                    #[ws(volatile(latest_by = room))]
                    Typing { room: RoomId },
                }
            },
            parse_quote! {
                /// What the server tells its clients.
                #[serde(rename_all = "snake_case")]
                #[ws(server, protocol = "chat", error = ChatError)]
                #[ws(topic(Room, key = room: RoomId, replay = 500, ttl = "10m"))]
                pub enum ChatEvent {
                    #[ws(event(Room))]
                    Posted { room: RoomId, id: MessageId, from: UserId, text: String },
                    #[ws(snapshot(Room))]
                    History { room: RoomId, messages: Vec<ChatMessage> },
                    #[ws(volatile(Room, latest_by = who))]
                    Typing { room: RoomId, who: UserId },
                    #[ws(unknown)]
                    Unknown(steadfast::UnknownMessage),
                }
            },
            parse_quote! {
                #[ws(error)]
                pub enum ChatError {
                    /// The room is full.
                    RoomFull { limit: u32 },
                    Muted,
                    #[ws(unknown)]
                    Unknown(steadfast::UnknownMessage),
                }
            },
        ],
    );
}

#[test]
fn every_option_expands() {
    check(
        "everything",
        &[everything_from_clients(), everything_from_the_server(), everything_that_fails()],
    );
}

fn everything_from_clients() -> DeriveInput {
    parse_quote! {
        /// Orders.
        #[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "type")]
        #[ws(client, protocol = "order-book", version = "2.1")]
        #[ws(server = events::BookEvent, error = BookError)]
        #[ws(max_bytes = "8KiB", reserved("order", "buy"), crate = reexport::steadfast)]
        pub(crate) enum BookCommand {
            #[ws(request(reply = Vec<Fill>, concurrent, timeout = "500ms"), as = NewOrder)]
            #[ws(id = order_id, keep = "24h")]
            #[serde(rename = "place", alias = "place_order", rename_all = "SCREAMING_SNAKE_CASE")]
            PlaceOrder {
                order_id: OrderId,
                /// What to trade.
                #[serde(rename = "sym")]
                symbol: Symbol,
                #[serde(default, skip_serializing_if = "Option::is_none")]
                limit_price: Option<u64>,
                r#type: OrderType,
            },
            #[deprecated(since = "2.0", note = "use `CancelAll`")]
            #[ws(command(concurrent, id = request, keep = "7d"), method = "cancel_one")]
            Cancel(Cancellation),
            #[ws(command)]
            Move { cx: u8, a: u8, b: u8, c: u8, d: u8, e: u8 },
            #[ws(volatile)]
            Heartbeat,
            #[ws(volatile(latest_by = (symbol, side)))]
            Hover(HoverOver),
        }
    }
}

fn everything_from_the_server() -> DeriveInput {
    parse_quote! {
        #[ws(server, protocol = "order-book")]
        #[ws(
            topic(Book, key = symbol: Symbol, max_bytes = "1MiB"),
            topic(Trades, key = day: time::Date, replay = 10)
        )]
        pub(crate) enum BookEvent {
            #[ws(event(Book))]
            #[serde(alias = "Filled")]
            Executed(Execution),
            #[ws(snapshot(Book))]
            #[serde(alias = "State")]
            Depth { symbol: Symbol, levels: Vec<(u64, u64)> },
            #[ws(volatile(Book))]
            Indicative { symbol: Symbol, price: u64 },
            #[ws(event(Trades))]
            Traded { day: time::Date },
            #[ws(unknown)]
            #[serde(skip)]
            Other(steadfast::UnknownMessage),
        }
    }
}

fn everything_that_fails() -> DeriveInput {
    parse_quote! {
        #[serde(rename_all = "kebab-case")]
        #[ws(error, own_display)]
        enum BookError {
            MarketClosed,
            Rejected { reason: String },
            Risk(RiskReport),
            #[ws(unknown)]
            Other(steadfast::UnknownMessage),
        }
    }
}
