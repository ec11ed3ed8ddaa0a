//! The contract of a protocol as the derive sees it: the lines, the fingerprint, what a team is
//! told, and which differences matter to clients. What schemars adds is in `contract_shapes`.
#![allow(missing_docs, unreachable_pub)]

use std::panic::catch_unwind;

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::protocol::contract;
use steadfast::schema::{Contract, ContractError};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomId(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    id: String,
}

mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        bytes.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Vec::deserialize(from)
    }
}

/// Not a fact.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase")]
#[ws(client, protocol = "board", version = "1.0", server = Event, error = Failure)]
#[ws(reserved("gone"))]
pub enum Command {
    /// Nor this.
    #[ws(request(reply = Vec<RoomId>), max_bytes = "16KiB", id = client_id, keep = "24h")]
    #[serde(alias = "say")]
    Post {
        room: RoomId,
        client_id: String,
        #[serde(alias = "nick", default)]
        nick_name: Option<String>,
        #[serde(with = "hex")]
        picture: Vec<u8>,
    },
    #[deprecated(note = "nor this")]
    #[ws(command(concurrent), timeout = "1s")]
    Place(Order),
    #[ws(volatile(latest_by = (room, far_away)))]
    Typing { room: RoomId, far_away: bool },
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "board", topic(Room, key = room: RoomId, replay = 500, ttl = "10m"))]
pub enum Event {
    #[ws(event(Room))]
    Posted { room: RoomId },
    #[ws(snapshot(Room))]
    History { room: RoomId },
    #[ws(volatile(Room, latest_by = who))]
    Typing { room: RoomId, who: String },
    #[ws(direct)]
    Warned,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, WsProtocol)]
#[ws(error)]
pub enum Failure {
    Full {
        limit: u32,
    },
    Muted,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// These lines are in files that teams have committed: whatever changes them asks all of those teams
/// to accept something that they have not done.
const BOARD: &str = "\
# The contract of the protocol `board`: what its wire depends on.
# format 1
client place: command
client place body: Order
client place concurrent
client place max_bytes: 65536
client place timeout_ms: 1000
client post: request
client post alias say
client post body.clientId: String
client post body.nickName: Option<String>
client post body.nickName alias nick
client post body.nickName optional
client post body.picture: Vec<u8> with hex
client post body.room: RoomId
client post id: clientId
client post keep_ms: 86400000
client post max_bytes: 16384
client post reply: Vec<RoomId>
client post timeout_ms: 10000
client typing: volatile
client typing body.farAway: bool
client typing body.room: RoomId
client typing latest_by: room, farAway
client typing max_bytes: 65536
client typing timeout_ms: 10000
error Full
error Full body.limit: u32
error Muted
protocol: board
reserved client gone
server history: snapshot of room
server history body.room: RoomId
server posted: event of room
server posted body.room: RoomId
server typing: volatile of room
server typing body.room: RoomId
server typing body.who: String
server typing latest_by: who
server warned: direct
server warned max_bytes: 65536
topic room
topic room key: RoomId
topic room max_bytes: 65536
topic room replay: 500
topic room snapshot
topic room ttl_ms: 600000
";

#[test]
fn every_fact_of_the_wire_is_a_line_and_nothing_else_is() {
    assert_eq!(contract::<Command>().to_string(), BOARD);
}

#[test]
fn the_text_is_read_back_as_what_it_was_written_from() {
    let read = Contract::parse(BOARD).unwrap();
    assert_eq!(read, contract::<Command>());
    let from_windows = BOARD.replace('\n', "\r\n");
    assert_eq!(Contract::parse(&from_windows).unwrap(), read);
}

#[test]
fn the_fingerprint_is_the_hash_of_the_lines_and_stays() {
    // `grep -v '^#' board.contract | sha256sum`
    assert_eq!(contract::<Command>().fingerprint(), "8bb3ea4130de638d");
    let other = Contract::parse(&BOARD.replace("replay: 500", "replay: 501")).unwrap();
    assert_ne!(other.fingerprint(), contract::<Command>().fingerprint());
}

#[test]
fn what_is_no_contract_of_this_format_is_not_compared() {
    let newer = BOARD.replace("# format 1", "# format 2");
    assert_eq!(Contract::parse(&newer), Err(ContractError::Format("2".into())));
    assert_eq!(Contract::parse("<!doctype html>"), Err(ContractError::Empty));
}

#[test]
fn a_difference_is_shown_between_the_lines_around_it() {
    let kept = Contract::parse(&BOARD.replace("replay: 500", "replay: 400")).unwrap();
    let diff = contract::<Command>().diff(&kept).unwrap();
    let shown = "  topic room key: RoomId
  topic room max_bytes: 65536
- topic room replay: 400
+ topic room replay: 500
  topic room snapshot
  topic room ttl_ms: 600000
";
    assert_eq!(diff, shown);
    assert_eq!(contract::<Command>().diff(&contract::<Command>()), None);
}

/// What a client of the contract with these lines in place of those would miss.
fn missing_to_a_client_with(changes: &[(&str, &str)]) -> Vec<String> {
    let client = changed(changes);
    Contract::missing(&client, &contract::<Command>())
}

fn missing_from_a_server_with(changes: &[(&str, &str)]) -> Vec<String> {
    let server = changed(changes);
    Contract::missing(&contract::<Command>(), &server)
}

fn changed(changes: &[(&str, &str)]) -> Contract {
    let mut text = BOARD.to_owned();
    for (line, other) in changes {
        let (line, other) = (format!("{line}\n"), other.to_string());
        assert!(line == "\n" || text.contains(&line), "no line {line}");
        let other = if other.is_empty() { other } else { other + "\n" };
        text = if line == "\n" { text + &other } else { text.replace(&line, &other) };
    }
    Contract::parse(&text).expect("the contract of a test")
}

#[test]
fn a_server_that_has_more_is_missing_nothing() {
    let additions = [
        ("", "client ban: command"),
        ("", "server banned: event of room"),
        ("", "server posted body.reactions: Vec<String>"),
        ("", "client post body.reply_to: Option<u64>\nclient post body.reply_to optional"),
        ("", "error Late"),
        ("", "topic lobby\ntopic lobby key: String"),
        ("client post max_bytes: 16384", "client post max_bytes: 32768"),
        ("client post timeout_ms: 10000", "client post timeout_ms: 1"),
        ("topic room replay: 500", "topic room replay: 1"),
        ("reserved client gone", ""),
    ];
    for addition in additions {
        assert_eq!(missing_from_a_server_with(&[addition]), [""; 0], "{addition:?}");
    }
}

#[test]
fn what_is_gone_or_otherwise_at_the_server_is_missing() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("client place: command", "client place: request")], "`place`: is sent as command"),
        (&[("client place concurrent", "")], ""),
        (&[("client post: request", "client post: request\nclient post concurrent")], "no order"),
        (&[("client post max_bytes: 16384", "client post max_bytes: 1")], "max_bytes is less"),
        (&[("client post id: clientId", "")], "by its id `clientId`"),
        (&[("client post keep_ms: 86400000", "client post keep_ms: 5")], "for less time"),
        (&[("client post reply: Vec<RoomId>", "client post reply: RoomId")], "reply is RoomId"),
        (&[("client post body.room: RoomId", "client post body.room: u64")], "body.room is RoomId"),
        (&[("client post body.nickName optional", "")], "body.nickName may be left out"),
        (&[("", "client post body.tone: String")], "body.tone is not written"),
        (&[("server posted body.room: RoomId", "")], "`posted`: body.room is not written"),
        (
            &[("server posted: event of room", "server posted: volatile of room")],
            "volatile of room",
        ),
        (&[("server warned max_bytes: 65536", "server warned max_bytes: 65537")], "more at the"),
        (&[("topic room snapshot", "")], "topic `room`: one end has a snapshot"),
        (&[("topic room key: RoomId", "topic room key: u64")], "topic `room`: key is RoomId"),
        (&[("topic room max_bytes: 65536", "topic room max_bytes: 65537")], "max_bytes is more"),
        (
            &[("error Full body.limit: u32", "error Full body.limit: u8")],
            "error `Full`: body.limit",
        ),
        (&[("protocol: board", "protocol: other")], "another protocol"),
    ];
    for (changes, told) in cases {
        let missing = missing_from_a_server_with(changes);
        let count = usize::from(!told.is_empty());
        assert_eq!(missing.len(), count, "{changes:?}: {missing:?}");
        assert!(missing.iter().all(|what| what.contains(told)), "{changes:?}: {missing:?}");
    }
    let gone = BOARD.lines().filter(|line| !line.starts_with("client post")).collect::<Vec<_>>();
    let server = Contract::parse(&gone.join("\n")).unwrap();
    let missing = Contract::missing(&contract::<Command>(), &server);
    assert_eq!(missing, ["the server does not know `post`"]);
}

#[test]
fn a_name_that_is_an_alias_at_the_other_end_is_not_missing() {
    assert_eq!(missing_to_a_client_with(&[]), [""; 0]);
    let older = BOARD.replace("client post", "client say").replace("client say alias say\n", "");
    assert_eq!(Contract::missing(&Contract::parse(&older).unwrap(), &changed(&[])), [""; 0]);
    let field = [
        ("client post body.nickName: Option<String>", "client post body.nick: Option<String>"),
        ("client post body.nickName alias nick", ""),
        ("client post body.nickName optional", "client post body.nick optional"),
    ];
    assert_eq!(missing_to_a_client_with(&field), [""; 0]);
}

#[test]
fn an_option_may_be_written_where_a_value_may_be_left_out_and_not_the_other_way() {
    let option = "client typing body.farAway: Option<bool>\nclient typing body.farAway optional";
    let change = [("client typing body.farAway: bool", option)];
    assert_eq!(missing_from_a_server_with(&change), [""; 0]);
    let missing = missing_to_a_client_with(&change);
    assert_eq!(
        missing,
        ["`typing`: body.farAway may be left out", "`typing`: body.farAway may be null"]
    );
}

#[test]
fn a_team_is_told_what_differs_and_how_to_accept_it() {
    let folder = std::env::temp_dir().join(format!("steadfast-contract-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("board.contract");
    std::fs::write(&file, BOARD.replace("client post alias say\n", "")).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let panic = catch_unwind(|| steadfast::assert_contract!(Command, &path)).unwrap_err();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.contains("\n+ client post alias say\n"), "{told}");
    assert!(told.contains("STEADFAST_CONTRACT=update cargo test"), "{told}");
    assert!(told.contains("find everything that they know"), "{told}");

    std::fs::write(&file, BOARD.replace("client post body.room: RoomId\n", "")).unwrap();
    let panic = catch_unwind(|| steadfast::assert_contract!(Command, &path)).unwrap_err();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.contains("  `post`: body.room is not written\n"), "{told}");

    std::fs::write(&file, BOARD).unwrap();
    steadfast::assert_contract!(Command, &path);
    std::fs::remove_dir_all(&folder).unwrap();
    let panic = catch_unwind(|| steadfast::assert_contract!(Command, &path)).unwrap_err();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.contains("To write it: STEADFAST_CONTRACT=update cargo test"), "{told}");
}
