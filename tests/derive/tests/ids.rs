//! The application's own ids: how a message declares one, and what is read from a body. What a
//! server does with it is not tested here.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Deserializer, Serialize};
use steadfast::private::{Codec, CommandHooks};
use steadfast::protocol::ClientEnum;
use steadfast::server::Cx;
use steadfast::{NoError, WsProtocol};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderId(u64);

/// A struct of the application's own, whose field has another name on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cancellation {
    #[serde(rename = "Request")]
    request: String,
}

/// Its `Deserialize` has a mistake.
#[derive(Debug, Clone, Serialize)]
pub struct Fragile(u64);

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        assert!(number < 10, "on request");
        Ok(Self(number))
    }
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "shop", version = "1", server = ShopEvent)]
pub enum ShopCommand {
    #[ws(command)]
    Ping,
    #[ws(request(reply = u64), id = order, keep = "7d")]
    #[serde(rename = "pay", alias = "pay_now", rename_all = "camelCase")]
    Pay {
        #[serde(rename = "orderId")]
        order: OrderId,
        cents: u64,
    },
    #[ws(command(concurrent, id = request, keep = "1h"))]
    Cancel(Cancellation),
    #[ws(command, id = which, keep = "1h")]
    Touch { which: Fragile },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "shop")]
pub enum ShopEvent {
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Shop;

impl ShopHandler for Shop {
    async fn ping(&self, _: &Cx) -> Result<(), NoError> {
        Ok(())
    }

    async fn pay(&self, _: &Cx, order: OrderId, cents: u64) -> Result<u64, NoError> {
        Ok(order.0 + cents)
    }

    async fn cancel(&self, _: &Cx, _: Cancellation) -> Result<(), NoError> {
        Ok(())
    }

    async fn touch(&self, _: &Cx, _: Fragile) -> Result<(), NoError> {
        Ok(())
    }
}

fn id(message: u16, body: &str) -> Option<String> {
    <ShopCommand as CommandHooks<Shop>>::message_id(message, body.as_bytes(), Codec::Json)
}

#[test]
fn an_id_is_the_value_of_its_field_however_the_body_is_written() {
    assert_eq!(id(1, r#"{"orderId":7,"cents":1}"#).as_deref(), Some("7"));
    assert_eq!(id(1, r#" { "cents" : 2, "orderId" : 7, "more":[] } "#).as_deref(), Some("7"));
    assert_eq!(id(2, r#"{"Request":"a\u0062c"}"#).as_deref(), Some("abc"));
}

#[test]
fn a_body_that_does_not_fit_has_no_id() {
    assert_eq!(id(1, r#"{"cents":1}"#), None);
    assert_eq!(id(1, r#"{"orderId":"7","cents":1}"#), None);
    assert_eq!(id(1, "7"), None);
    assert_eq!(id(0, "{}"), None, "its message declares none");
    assert_eq!(id(9, "{}"), None, "there is no such message");
}

/// It is read inside the node, where nothing may panic.
#[test]
fn a_body_whose_reader_panics_has_no_id() {
    assert_eq!(id(3, r#"{"which":7}"#).as_deref(), Some("7"));
    assert_eq!(id(3, r#"{"which":70}"#), None);
}

#[test]
fn the_description_names_the_field_and_the_time() {
    let of = |at: usize| ShopCommand::DESCRIPTION.messages[at].id.map(|id| (id.field, id.keep_ms));
    assert_eq!(of(0), None);
    assert_eq!(of(1), Some(("orderId", 7 * 24 * 3_600_000)));
    assert_eq!(of(2), Some(("request", 3_600_000)));
}
