//! What is printed: the configuration, a table for people, and a line per row for programs.

use crate::machine::{self, Cores};
use crate::peer::Peer;
use crate::rows::durable::Round;
use crate::rows::{Row, Sample};
use crate::settings::{self, Settings};
use crate::statistics::{Quartiles, quartiles};

pub fn configuration(settings: &Settings, cores: &Cores) {
    let pinned = if cores.server.is_empty() {
        "server and client share all cores (too few to divide)".to_owned()
    } else {
        format!(
            "server on cores {:?}, client on cores {:?} (sched_setaffinity)",
            cores.server, cores.client
        )
    };
    println!("{}", machine::description());
    println!(
        "{pinned}; {} tokio workers each, separate processes, loopback, JSON",
        settings::WORKERS
    );
    println!(
        "steadfast {}: default settings (full: seq, ack, dedupe, records, resume; memory store; \
         16 KiB reads and write buffers per thread)",
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "raw: tokio-tungstenite 0.30 + serde_json, {} KiB reads ({} in p6), default write buffer",
        settings::READ_BUFFER / 1024,
        settings::SMALL_READ_BUFFER / 1024
    );
    println!(
        "{} interleaved rounds, {:?} each after {:?}; CPU from /proc/<pid>/task/*/schedstat; \
         ratios within a round",
        settings.rounds, settings.window, settings.warm_up
    );
}

pub fn begin(row: Row) {
    println!();
    match row {
        Row::P1 | Row::P2 | Row::P5 => {
            println!("| row | what | raw µs | ours µs | ratio median [q1–q3] | target | verdict |");
            println!("|---|---|---|---|---|---|---|");
        }
        Row::P6 => {
            println!("| row | resident memory per … | raw KiB | ours KiB | target | verdict |");
            println!("|---|---|---|---|---|---|");
        }
        Row::P10 => {
            println!(
                "p10: one process on all cores; bare SQLite (WAL, synchronous=FULL) with batches of \
                 the same size, half of its time before and half of it after\n"
            );
            println!(
                "| row | durable commands | bare/s | ours/s | per COMMIT | p50, p99 ms \
                 | ratio median [q1–q3] | target | verdict |"
            );
            println!("|---|---|---|---|---|---|---|---|---|");
        }
    }
}

/// The samples of one row, by round.
#[derive(Debug)]
pub struct Comparison {
    row: &'static str,
    title: String,
    target: f64,
    raw: Vec<Sample>,
    ours: Vec<Sample>,
}

impl Comparison {
    pub const fn new(row: &'static str, title: String, target: f64) -> Self {
        Self { row, title, target, raw: Vec::new(), ours: Vec::new() }
    }

    pub fn add(&mut self, peer: Peer, sample: Sample) {
        match peer {
            Peer::Raw => self.raw.push(sample),
            Peer::Ours => self.ours.push(sample),
        }
    }

    fn ratios(&self, field: fn(&Sample) -> f64) -> Quartiles {
        let pairs = self.raw.iter().zip(&self.ours);
        quartiles(&pairs.map(|(raw, ours)| field(ours) / field(raw)).collect::<Vec<_>>())
    }

    fn medians(&self, field: fn(&Sample) -> f64) -> (f64, f64) {
        let of =
            |samples: &[Sample]| quartiles(&samples.iter().map(field).collect::<Vec<_>>()).median;
        (of(&self.raw), of(&self.ours))
    }

    /// Prints the table's row; the line for programs is returned.
    #[must_use]
    pub fn print(&self) -> String {
        let (row, title, target) = (self.row, &self.title, self.target);
        let (raw_us, ours_us) = self.medians(|it| it.server_us);
        let server = self.ratios(|it| it.server_us);
        let verdict = verdict(server, target);
        println!(
            "| {row} | {title} | {raw_us:.2} | {ours_us:.2} | {:.2} [{:.2}–{:.2}] \
             | ≤ {target:.2} | {verdict} |",
            server.median, server.lower, server.upper
        );
        let (raw_rate, ours_rate) = self.medians(|it| it.per_second);
        let (raw_client, ours_client) = self.medians(|it| it.client_us);
        let (raw_batch, ours_batch) = self.medians(|it| it.batch);
        format!(
            "row={row} what=\"{title}\" raw_us={raw_us:.3} ours_us={ours_us:.3} \
             ratio_median={:.3} ratio_q1={:.3} ratio_q3={:.3} rounds={} target={target} \
             verdict=\"{verdict}\" raw_per_s={raw_rate:.0} ours_per_s={ours_rate:.0} \
             raw_client_us={raw_client:.2} ours_client_us={ours_client:.2} \
             raw_batch={raw_batch:.1} ours_batch={ours_batch:.1}",
            server.median,
            server.lower,
            server.upper,
            self.ours.len()
        )
    }
}

/// A row is missed if its lower quartile is above the target.
fn verdict(found: Quartiles, target: f64) -> &'static str {
    if found.lower > target {
        "missed"
    } else if found.median > target {
        "not missed (median above)"
    } else {
        "met"
    }
}

/// Prints the table's row; the line for programs is returned.
#[must_use]
pub fn memory(what: &str, raw: &[f64], ours: &[f64], target: Option<f64>) -> String {
    let (reference, found) = (quartiles(raw), quartiles(ours));
    let said = |values: &[f64], found: Quartiles| {
        if values.is_empty() { "–".to_owned() } else { format!("{:.2}", found.median) }
    };
    let (raw_kib, ours_kib) = (said(raw, reference), said(ours, found));
    let (limit, verdict) = match target {
        Some(target) => (format!("≤ {target:.0}"), verdict(found, target)),
        None => ("–".to_owned(), "–"),
    };
    println!("| p6 | {what} | {raw_kib} | {ours_kib} | {limit} | {verdict} |");
    format!(
        "row=p6 what=\"{what}\" raw_kib={raw_kib} ours_kib={ours_kib} rounds={} \
         verdict=\"{verdict}\"",
        ours.len()
    )
}

/// Prints the table's row; the line for programs is returned. More is better here: the row is
/// missed if its upper quartile is below the target.
#[must_use]
pub fn durable(what: &str, rounds: &[Round], target: Option<f64>) -> String {
    let median =
        |field: fn(&Round) -> f64| quartiles(&rounds.iter().map(field).collect::<Vec<_>>()).median;
    let (bare, ours) = (median(|it| it.bare_per_second), median(|it| it.ours.per_second));
    let (group, p50) = (median(|it| it.ours.group), median(|it| it.ours.p50));
    let p99 = median(|it| it.ours.p99);
    let ratios = rounds.iter().map(|it| it.ours.per_second / it.bare_per_second);
    let Quartiles { lower, median, upper } = quartiles(&ratios.collect::<Vec<_>>());
    let (limit, verdict) = match target {
        None => ("–".to_owned(), "–"),
        Some(target) if upper < target => (format!("≥ {target:.2}"), "missed"),
        Some(target) if median < target => (format!("≥ {target:.2}"), "not missed (median below)"),
        Some(target) => (format!("≥ {target:.2}"), "met"),
    };
    println!(
        "| p10 | {what} | {bare:.0} | {ours:.0} | {group:.1} | {p50:.2}, {p99:.2} \
         | {median:.2} [{lower:.2}–{upper:.2}] | {limit} | {verdict} |"
    );
    format!(
        "row=p10 what=\"{what}\" bare_per_s={bare:.0} ours_per_s={ours:.0} group={group:.1} \
         p50_ms={p50:.3} p99_ms={p99:.3} ratio_median={median:.3} ratio_q1={lower:.3} \
         ratio_q3={upper:.3} rounds={} verdict=\"{verdict}\"",
        rounds.len()
    )
}
