//! What is typed on the screen's last line: a few words, and what is said to somebody who mistypes.
//! It asks for nothing.

use crate::orders::Request;
use crate::protocol::{
    CancelOrder, OrderNumber, PlaceOrder, Price, ReplaceOrder, RequestId, Side, Symbol,
};

pub(super) const HELP: &str =
    "buy 10 99.50 · sell 10 101 · replace <no> 5 99 · cancel <no> · retry · quit";

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    Nothing,
    Leave,
    Retry,
    Place(PlaceOrder),
    About(OrderNumber, About),
}

/// What is to become of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Cancel,
    Replace { quantity: u32, price: Price },
}

impl About {
    /// The request for it.
    pub(super) fn of(self, order: RequestId, request: RequestId) -> Request {
        match self {
            Self::Cancel => Request::Cancel(CancelOrder { request, order }),
            Self::Replace { quantity, price } => {
                Request::Replace(ReplaceOrder { request, order, price, quantity })
            }
        }
    }
}

/// Reads a line; an order gets its name from `name`.
///
/// # Errors
/// What to type instead.
pub(super) fn read(
    line: &str,
    symbol: &Symbol,
    name: impl FnOnce() -> RequestId,
) -> Result<Typed, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = |side, amount: &str, limit: &str| {
        let (quantity, price) = (quantity(amount)?, price(limit)?);
        let (order, symbol) = (name(), symbol.clone());
        Ok(Typed::Place(PlaceOrder { order, symbol, side, price, quantity }))
    };
    match words[..] {
        [] => Ok(Typed::Nothing),
        ["quit" | "q"] => Ok(Typed::Leave),
        ["retry"] => Ok(Typed::Retry),
        ["buy" | "b", amount, limit] => place(Side::Buy, amount, limit),
        ["sell" | "s", amount, limit] => place(Side::Sell, amount, limit),
        ["cancel" | "c", order] => Ok(Typed::About(number(order)?, About::Cancel)),
        ["replace" | "r", order, amount, limit] => {
            let about = About::Replace { quantity: quantity(amount)?, price: price(limit)? };
            Ok(Typed::About(number(order)?, about))
        }
        _ => Err(format!("not understood; try: {HELP}")),
    }
}

fn number(word: &str) -> Result<OrderNumber, String> {
    let number = word.parse().map(OrderNumber);
    number.map_err(|_| format!("`{word}` is not the number of an order"))
}

fn quantity(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("`{word}` is not a quantity"))
}

/// A price with up to two places, as in `99.5`.
fn price(word: &str) -> Result<Price, String> {
    let (whole, part) = word.split_once('.').unwrap_or((word, "0"));
    let cents = match part.len() {
        1 => part.parse::<u32>().ok().map(|tenths| tenths * 10),
        2 => part.parse::<u32>().ok(),
        _ => None,
    };
    let whole = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(100));
    match (whole, cents) {
        (Some(whole), Some(cents)) => whole.checked_add(cents).map(Price),
        _ => None,
    }
    .ok_or_else(|| format!("`{word}` is not a price, such as 99.50"))
}

/// A price as it is shown.
pub(super) fn shown(Price(cents): Price) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> Result<Typed, String> {
        read(line, &Symbol("ACME".into()), || RequestId("name".into()))
    }

    #[test]
    fn orders_are_typed_in_words() {
        let (order, symbol) = (RequestId("name".into()), Symbol("ACME".into()));
        let new = PlaceOrder { order, symbol, side: Side::Buy, price: Price(9_950), quantity: 10 };
        assert_eq!(line("buy 10 99.5"), Ok(Typed::Place(new)));
        assert_eq!(line(" cancel 7 "), Ok(Typed::About(OrderNumber(7), About::Cancel)));
        let about = About::Replace { quantity: 5, price: Price(9_907) };
        assert_eq!(line("r 7 5 99.07"), Ok(Typed::About(OrderNumber(7), about)));
        assert_eq!((line(""), line("quit")), (Ok(Typed::Nothing), Ok(Typed::Leave)));
    }

    #[test]
    fn a_mistake_says_what_to_type_instead() {
        assert!(line("by 10 99").unwrap_err().contains("buy 10 99.50"));
        for wrong in ["99.505", "x", "-1", "99.", "42949673"] {
            let said = line(&format!("buy 10 {wrong}")).unwrap_err();
            assert_eq!(said, format!("`{wrong}` is not a price, such as 99.50"));
        }
        assert!(line("sell many 99").unwrap_err().contains("not a quantity"));
    }

    #[test]
    fn a_price_is_shown_as_it_is_typed() {
        assert_eq!(shown(Price(9_907)), "99.07");
        assert_eq!(price("99.07"), Ok(Price(9_907)));
    }
}
