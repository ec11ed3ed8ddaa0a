//! `trading demo`: a server, traders, a slow screen and a bad network, and a count at the end. What
//! counts as lost or doubled is said in `judge.rs`.
//!
//! The server is a process of its own, which is killed twice under load while it has answers that
//! nobody has heard; the next one opens its file. Each trader has a proxy of its own, which cuts it
//! off at random. The screen's proxy is slow, so it is shown the latest prices and spared the rest.
//! All chance comes from one seed, except what the operating system does.

mod judge;
mod ledger;
pub(crate) mod process;
mod records;
mod trader;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use steadfast_proxy::{Fault, Proxy, Way, calm};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, sleep};

use judge::{Verdict, judge};
use ledger::Notes;
use process::ServerProcess;
use records::Records;
use trader::{NAMES, Trader};

use crate::orders::Ideas;
use crate::place::Place;

/// How long it may take until everything is at rest, once nobody asks and the network behaves.
const SETTLE: Duration = Duration::from_secs(30);
/// For how long nobody hears the server before it is killed.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// How many bytes a second the screen's network carries.
const SLOW: u32 = 16_000;
/// How many faults are spelled out.
const TOLD_FAULTS: usize = 10;

/// Runs the demo. `false` if something was lost or doubled, or if the run shows nothing.
///
/// # Errors
/// When the server or a client can't be started, or the file can't be read.
pub(crate) async fn run(seconds: u64, seed: Option<u64>) -> io::Result<bool> {
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("A server, {} traders, a bad network: {seconds} s with seed {seed}.\n", NAMES.len());
    let mut stage = Stage::set(seed).await?;
    let began = stage.play(seconds).await?;
    let (verdict, records) = stage.settle(began).await?;
    let kept = stage.report(&verdict, &records);
    stage.leave().await;
    Ok(kept)
}

/// Everything that takes part.
struct Stage {
    rng: Rng,
    server: ServerProcess,
    proxies: Vec<Arc<Proxy>>,
    slow: Proxy,
    traders: Vec<Trader>,
    screen: Trader,
    notes: Notes,
    faults: watch::Sender<u64>,
    restarts: u32,
    /// Goes last, after everything that uses the file.
    place: Place,
}

impl Stage {
    async fn set(seed: u64) -> io::Result<Self> {
        let (place, notes) = (Place::new("demo")?, Notes::default());
        let server = ServerProcess::start(&place.file()).await?;
        let (mut proxies, mut traders) = (Vec::new(), Vec::new());
        for name in NAMES {
            let proxy = Arc::new(Proxy::start(server.addr()).await?);
            traders.push(Trader::start(name, proxy.url("/"), &notes).await?);
            proxies.push(proxy);
        }
        let slow = Proxy::start(server.addr()).await?;
        let screen = Trader::watch(slow.url("/"), &notes).await?;
        slow.slow(Some(SLOW));
        let (rng, faults) = (Rng::with_seed(seed), watch::Sender::new(0));
        let restarts = 0;
        Ok(Self { rng, server, proxies, slow, traders, screen, notes, faults, restarts, place })
    }

    /// Load, faults and two kills, for so many seconds. Returns when it began.
    async fn play(&mut self, seconds: u64) -> io::Result<Instant> {
        let began = Instant::now();
        let (stop, stopped) = watch::channel(false);
        for (trader, name) in self.traders.iter_mut().zip(NAMES) {
            let ideas = Ideas::new(Rng::with_seed(self.rng.u64(..)), "demo".to_owned());
            trader.trade(name, ideas, &self.notes, stopped.clone());
        }
        let mut trouble = Vec::new();
        for proxy in &self.proxies {
            let rng = Rng::with_seed(self.rng.u64(..));
            trouble.push(make_trouble(
                Arc::clone(proxy),
                rng,
                self.faults.clone(),
                stopped.clone(),
            ));
        }
        let mut clock = interval_at(began + Duration::from_secs(1), Duration::from_secs(1));
        for second in 1..=seconds {
            clock.tick().await;
            let mut remark = "";
            if second == (seconds / 3).max(1) || second == (seconds * 2 / 3).max(2) {
                self.replace_server().await?;
                remark = "the server was killed; another one has opened its file";
            }
            self.show(began, remark);
        }
        stop.send_replace(true);
        for task in trouble {
            // Each fault must come to its end, or the network would not behave from here on.
            let _ = task.await;
        }
        Ok(began)
    }

    /// Kills the server while it has answers that nobody has heard, so that it takes them with it.
    async fn replace_server(&mut self) -> io::Result<()> {
        self.proxies.iter().for_each(|proxy| proxy.stall(Way::Down));
        sleep(LAST_WORDS).await;
        self.server.kill().await?;
        for proxy in self.proxies.iter().map(AsRef::as_ref).chain([&self.slow]) {
            proxy.cut_all();
            proxy.resume();
        }
        self.server = ServerProcess::start(&self.place.file()).await?;
        self.restarts += 1;
        for proxy in self.proxies.iter().map(AsRef::as_ref).chain([&self.slow]) {
            proxy.retarget(self.server.addr());
        }
        Ok(())
    }

    /// Waits until everything has an outcome and has reached everybody, or could have. Returns the
    /// verdict then, and on what it is based.
    async fn settle(&self, began: Instant) -> io::Result<(Verdict, Records)> {
        let deadline = Instant::now() + SETTLE;
        let mut shown = Instant::now();
        loop {
            let waiting = self.notes.open().progress().1;
            if waiting == 0 || Instant::now() >= deadline {
                let records = Records::read(&self.place.file()).map_err(io::Error::other)?;
                let verdict = judge(&self.notes.open(), &records);
                if (verdict.lost == 0 && self.all_connected()) || Instant::now() >= deadline {
                    self.show(began, "at rest");
                    return Ok((verdict, records));
                }
            }
            sleep(Duration::from_millis(100)).await;
            if shown.elapsed() >= Duration::from_secs(1) {
                self.show(began, "nobody asks any more");
                shown = Instant::now();
            }
        }
    }

    fn all_connected(&self) -> bool {
        self.traders.iter().chain([&self.screen]).all(Trader::connected)
    }

    fn show(&self, began: Instant, remark: &str) {
        let ledger = self.notes.open();
        let (asked, waiting, seen) = ledger.progress();
        println!(
            "{:>3} s  requests {asked:>5}  waiting {waiting:>3}  reports seen {seen:>6}  \
             conflated {:>5}  faults {:>3}  {remark}",
            began.elapsed().as_secs(),
            ledger.conflated(),
            *self.faults.borrow(),
        );
    }

    /// Prints the last line, and what is wrong. Returns whether the promise was kept.
    fn report(&self, verdict: &Verdict, records: &Records) -> bool {
        let filled = records.reports.iter().filter(|report| report.execution == "filled").count();
        let open = records.orders.iter().filter(|order| order.open).count();
        println!(
            "\nThe file holds {} orders ({open} open) and {} reports, {filled} of them of fills. \
             {} requests were turned down.",
            records.orders.len(),
            records.reports.len(),
            verdict.turned_down,
        );
        let resumes: u64 = self.traders.iter().map(Trader::resumes).sum();
        let conflated = self.notes.open().conflated();
        let mut failures = verdict.faults.clone();
        if resumes == 0 {
            failures.push("no session was ever resumed".to_owned());
        }
        if !self.all_connected() {
            failures.push("somebody is not connected at the end".to_owned());
        }
        if filled == 0 {
            failures.push("no two orders have met".to_owned());
        }
        for failure in failures.iter().take(TOLD_FAULTS) {
            println!("\nThe demo fails: {failure}.");
        }
        let Verdict { orders, executed_once, lost, doubled, unknown, .. } = verdict;
        println!(
            "demo: orders={orders} executed_once={executed_once} lost={lost} doubled={doubled} \
             unknown={unknown} conflated={conflated} restarts={}",
            self.restarts
        );
        verdict.kept() && failures.is_empty()
    }

    async fn leave(mut self) {
        for client in self.traders.into_iter().chain([self.screen]) {
            client.close().await;
        }
        // It has nothing more to say, and may already be gone.
        let _ = self.server.kill().await;
    }
}

/// Strikes one trader's connection with faults, and pauses between them, until it is told to stop.
fn make_trouble(
    proxy: Arc<Proxy>,
    mut rng: Rng,
    faults: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !*stop.borrow() {
            sleep(calm(&mut rng)).await;
            if Fault::any(&mut rng).strike(&proxy).await {
                faults.send_modify(|faults| *faults += 1);
            }
        }
    })
}
