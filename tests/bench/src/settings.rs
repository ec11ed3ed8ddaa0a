//! One configuration for all rows, printed with every result, and what the command line may change
//! in it.

use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;
use crate::peer::Peer;
use crate::rows::Row;

/// Worker threads of each process.
pub const WORKERS: usize = 2;

/// Read buffer of `raw` and of both clients, in bytes.
pub const READ_BUFFER: usize = 16 * 1024;

/// Read buffer of `raw` in the memory row: what its author would choose for many idle connections.
pub const SMALL_READ_BUFFER: usize = 4 * 1024;

/// Length of `text` in a request, in bytes.
pub const REQUEST_TEXT: usize = 64;

/// Length of an event's whole JSON body, in bytes.
pub const EVENT_BODY: usize = 100;

pub const SUBSCRIBERS: usize = 500;
pub const EVENTS_PER_FLUSH: [u32; 4] = [1, 4, 8, 16];
pub const EVENT_TARGET: f64 = 1.2;

/// The burst of the memory row: so many replies, of so many bytes each, asked for at once.
pub const BURST_REPLIES: u32 = 25;
pub const BURST_REPLY_BYTES: u32 = 4_000;
pub const IDLE_TARGET_KIB: f64 = 8.0;
pub const DETACHED_TARGET_KIB: f64 = 1.0;

/// Clients of the durable row, each with one command under way.
pub const DURABLE_CLIENTS: [u64; 3] = [1, 16, 128];
pub const DURABLE_TARGET: f64 = 0.8;

/// A row of requests and replies.
#[derive(Debug, Clone, Copy)]
pub struct Requests {
    pub name: &'static str,
    pub connections: usize,
    /// Requests under way per connection.
    pub window: usize,
    pub target: f64,
}

pub const P1: Requests = Requests { name: "p1", connections: 64, window: 32, target: 1.3 };
pub const P2: Requests = Requests { name: "p2", connections: 64, window: 1, target: 1.1 };

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Settings {
    pub rows: Vec<Row>,
    pub rounds: usize,
    pub warm_up: Duration,
    pub window: Duration,
    /// Connections of the memory row, and of each later wave of it.
    pub idle_connections: usize,
    pub idle_rounds: usize,
    pub only: Option<Peer>,
    /// Where the files of the durable row are made: whose disk is measured.
    pub directory: PathBuf,
}

const USAGE: &str = "\
usage: steadfast-bench [p1] [p2] [p5] [p6] [p10]
                       [--quick] [--rounds N] [--millis N] [--connections N] [--only raw|ours]
                       [--directory D]

  p1  server CPU per request and reply, 64 connections with 32 requests under way each
  p2  the same with one request under way
  p5  server CPU per delivered event, 500 subscribers
  p6  server memory per idle connection and per detached session
  p10 durable commands per second beside bare SQLite, 1, 16 and 128 clients
  --quick        fewer and shorter rounds: about a minute, to see whether it runs
  --rounds N     rounds of each row (9)
  --millis N     length of a measurement (700)
  --connections  connections of p6 (2000)
  --only         one side alone, for a profiler (not p10)
  --directory    where p10 makes its files (that for temporary ones)";

impl Settings {
    pub fn parse(args: &[String]) -> Result<Self, Failure> {
        let quick = args.iter().any(|arg| arg == "--quick");
        let (rounds, millis, connections) = if quick { (3, 250, 500) } else { (9, 700, 2_000) };
        let mut settings = Self {
            rows: Vec::new(),
            rounds,
            warm_up: Duration::from_millis(if quick { 100 } else { 200 }),
            window: Duration::from_millis(millis),
            idle_connections: connections,
            idle_rounds: if quick { 1 } else { 3 },
            only: None,
            directory: std::env::temp_dir(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || args.next().and_then(|value| value.parse().ok()).ok_or(USAGE);
            match arg.as_str() {
                "--quick" => {}
                "--rounds" => settings.rounds = number()?,
                "--millis" => settings.window = Duration::from_millis(number()? as u64),
                "--connections" => settings.idle_connections = number()?,
                "--only" => {
                    settings.only =
                        Some(args.next().and_then(|name| Peer::parse(name)).ok_or(USAGE)?)
                }
                "--directory" => settings.directory = args.next().ok_or(USAGE)?.into(),
                row => settings.rows.push(Row::parse(row).ok_or(USAGE)?),
            }
        }
        if settings.rows.is_empty() {
            settings.rows = Row::ALL.to_vec();
        }
        Ok(settings)
    }
}
