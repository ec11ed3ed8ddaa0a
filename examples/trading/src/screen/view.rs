//! How the screen looks. It changes nothing.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use super::model::{Model, side};
use super::typed::{HELP, shown};
use crate::protocol::{Level, Side};

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let rows = [Constraint::Length(1), Constraint::Min(8), Constraint::Length(3)];
    let [head, middle, input] = Layout::vertical(rows).areas(frame.area());
    let [market, mine] =
        Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(middle);
    let halves = [Constraint::Percentage(65), Constraint::Percentage(35)];
    let [book, tape] = Layout::vertical(halves).areas(market);
    let [orders, said] = Layout::vertical([Constraint::Percentage(50); 2]).areas(mine);
    draw_head(frame, head, model);
    draw_book(frame, book, model);
    draw_tape(frame, tape, model);
    draw_orders(frame, orders, model);
    let lines: Vec<Line<'_>> = model.said.iter().map(|line| line.as_str().into()).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("Lately")), said);
    let block = Block::bordered().title(HELP);
    frame.render_widget(Paragraph::new(format!("> {}", model.input)).block(block), input);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let status = &model.status;
    let color = if status.live { Color::Green } else { Color::Yellow };
    let millis = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
    let took = model.took.map(|took| format!("  last request {}", millis(took)));
    let network = status.latency.map(|latency| format!("  network {}", millis(latency)));
    let text = format!(
        " {} · {}{}{}",
        model.name,
        status.message,
        took.unwrap_or_default(),
        network.unwrap_or_default()
    );
    frame.render_widget(Paragraph::new(text).style(Style::new().fg(Color::Black).bg(color)), area);
}

fn draw_book(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let level = |level: &Level, color| {
        let price = Line::from(shown(level.price)).alignment(Alignment::Right).fg(color);
        let quantity = Line::from(level.quantity.to_string()).alignment(Alignment::Right);
        Row::new([Cell::from(price), Cell::from(quantity)])
    };
    // As many of each side as there is room for, around the gap between them.
    let room = usize::from(area.height.saturating_sub(4) / 2);
    let mut rows = Vec::new();
    if let Some(depth) = &model.depth {
        let asks = depth.asks.iter().take(room).rev();
        rows.extend(asks.map(|ask| level(ask, Color::Red)));
        rows.push(Row::new(["───", ""]));
        rows.extend(depth.bids.iter().take(room).map(|bid| level(bid, Color::Green)));
    }
    let changes = model.depth.as_ref().map_or(0, |depth| depth.version);
    let title = format!("{} · {changes} changes", model.symbol.0);
    let table = Table::new(rows, [Constraint::Percentage(50); 2])
        .header(Row::new(["price", "quantity"]).dim())
        .block(Block::bordered().title(title));
    frame.render_widget(table, area);
}

fn draw_tape(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let trades = model.trades.iter().map(|trade| {
        let color = if trade.taker == Side::Buy { Color::Green } else { Color::Red };
        Line::from(format!("{:>6} at {}", trade.quantity, shown(trade.price))).fg(color)
    });
    let tape = Paragraph::new(trades.collect::<Vec<_>>());
    frame.render_widget(tape.block(Block::bordered().title("Trades")), area);
}

fn draw_orders(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = model.orders.values().rev().map(|order| {
        Row::new([
            order.number.0.to_string(),
            order.symbol.0.clone(),
            side(order.side).to_owned(),
            format!("{}/{}", order.filled, order.quantity),
            shown(order.price),
        ])
    });
    let widths = [8, 8, 5, 15, 12].map(Constraint::Max);
    let table = Table::new(rows, widths)
        .header(Row::new(["no", "symbol", "side", "filled", "price"]).dim())
        .block(Block::bordered().title(format!("Your orders · {} open", model.orders.len())));
    frame.render_widget(table, area);
}
