//! `chat demo`: a server, three clients and a bad network, and a count at the end. What counts as
//! lost, doubled or reordered is said in the ledger.
//!
//! The server is a process of its own. Each client has a proxy of its own, which cuts it off at
//! random. Once, the listener is drained and comes back in the same process, which must cost
//! nothing. Once, the process is killed, which must cost nothing either, since its store is a file.
//! With `--memory` its store dies with it: then what was under way must come back as unknown, and
//! what died must be covered by a gap that each subscriber was told of. All chance comes from one
//! seed, except what the operating system does.

mod ledger;
mod process;
mod script;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use steadfast_proxy::{Fault, Proxy, Way, calm};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, sleep};

use ledger::{Ledger, Verdict};
use process::ServerProcess;
use script::{NAMES, Notes, Scripted, notes};

/// How long it may take until everything is at rest, once nobody posts and the network behaves.
const SETTLE: Duration = Duration::from_secs(30);

/// How many seconds before the kill it begins that somebody who is cut off may not be back in time,
/// since one fault can follow another.
const NEAR: u64 = 3;

/// For how long nobody hears the server before it is killed.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// Runs the demo. `false` if something was lost, doubled or reordered, or if the run shows nothing:
/// see [`failures`].
///
/// # Errors
/// When the server or a client can't be started.
pub(crate) async fn run(seconds: u64, seed: Option<u64>, memory: bool) -> io::Result<bool> {
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("A server, {} clients, a bad network: {seconds} s with seed {seed}.\n", NAMES.len());
    let place = if memory { None } else { Some(Place::new()?) };
    let mut stage = Stage::set(seed, place).await?;
    let began = stage.play(seconds).await?;
    let connected = stage.settle(began).await;
    let kept = stage.report(connected);
    stage.leave().await;
    Ok(kept)
}

/// A directory for the server's file, which is deleted with this.
struct Place(PathBuf);

impl Place {
    fn new() -> io::Result<Self> {
        let name = format!("steadfast-chat-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever is left of it is for the operating system to delete.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Everything that takes part.
struct Stage {
    rng: Rng,
    /// `None` if the store dies with the server.
    place: Option<Place>,
    server: ServerProcess,
    proxies: Vec<Arc<Proxy>>,
    clients: Vec<Scripted>,
    ledger: Notes,
    cuts: watch::Sender<u64>,
}

impl Stage {
    async fn set(seed: u64, place: Option<Place>) -> io::Result<Self> {
        let server = ServerProcess::start(file(place.as_ref()).as_deref()).await?;
        let ledger = Notes::default();
        let (mut proxies, mut clients) = (Vec::new(), Vec::new());
        for who in 0..NAMES.len() {
            let proxy = Arc::new(Proxy::start(server.addr()).await?);
            let client = Scripted::start(who, proxy.url("/"), &ledger).await;
            clients.push(client.map_err(|error| io::Error::other(error.to_string()))?);
            proxies.push(proxy);
        }
        Ok(Self {
            rng: Rng::with_seed(seed),
            place,
            server,
            proxies,
            clients,
            ledger,
            cuts: watch::Sender::new(0),
        })
    }

    /// Load, faults, a restart and a kill, for so many seconds. Returns when it began.
    async fn play(&mut self, seconds: u64) -> io::Result<Instant> {
        let began = Instant::now();
        let (stop, stopped) = watch::channel(false);
        for client in &mut self.clients {
            client.post(self.rng.u64(..), &self.ledger, stopped.clone());
        }
        let mut trouble = Vec::new();
        for proxy in &self.proxies {
            let rng = Rng::with_seed(self.rng.u64(..));
            trouble.push(make_trouble(Arc::clone(proxy), rng, self.cuts.clone(), stopped.clone()));
        }
        let mut clock = interval_at(began + Duration::from_secs(1), Duration::from_secs(1));
        let (restart, kill) = ((seconds * 2 / 5).max(1), (seconds * 7 / 10).max(2));
        for second in 1..=seconds {
            clock.tick().await;
            let mut remark = "";
            if second == restart {
                remark = "the listener drains and comes back";
                let addr = self.server.restart_listener().await?;
                self.proxies.iter().for_each(|proxy| proxy.retarget(addr));
            }
            if self.place.is_none() && second + NEAR == kill {
                notes(&self.ledger).nearing_the_kill();
            }
            if second == kill {
                remark = match self.place {
                    Some(_) => "the server is killed; another one opens its file",
                    None => "the server is killed; another one starts, with nothing",
                };
                self.replace_server().await?;
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
    /// What a file has kept is no excuse for anything, so of such a kill the ledger hears nothing.
    async fn replace_server(&mut self) -> io::Result<()> {
        self.proxies.iter().for_each(|proxy| proxy.stall(Way::Down));
        sleep(LAST_WORDS).await;
        if self.place.is_none() {
            notes(&self.ledger).killing();
        }
        self.server.kill().await?;
        for proxy in &self.proxies {
            proxy.cut_all();
            proxy.resume();
        }
        self.server = ServerProcess::start(file(self.place.as_ref()).as_deref()).await?;
        self.proxies.iter().for_each(|proxy| proxy.retarget(self.server.addr()));
        if self.place.is_none() {
            notes(&self.ledger).replaced();
        }
        Ok(())
    }

    /// Waits until everything has an outcome and has reached everybody, or could have. Returns who
    /// is connected then.
    async fn settle(&self, began: Instant) -> Vec<bool> {
        let deadline = Instant::now() + SETTLE;
        let mut shown = Instant::now();
        loop {
            let connected: Vec<bool> = self.clients.iter().map(Scripted::connected).collect();
            let waiting = notes(&self.ledger).pending() > 0
                || notes(&self.ledger).verdict(NAMES.len()).lost > 0;
            if !waiting && connected.iter().all(|connected| *connected) {
                self.show(began, "at rest");
                return connected;
            }
            if Instant::now() >= deadline {
                println!("Not at rest after {} s.", SETTLE.as_secs());
                return connected;
            }
            sleep(Duration::from_millis(50)).await;
            if shown.elapsed() >= Duration::from_secs(1) {
                self.show(began, "nobody posts any more");
                shown = Instant::now();
            }
        }
    }

    fn show(&self, began: Instant, remark: &str) {
        let (sent, seen) = notes(&self.ledger).progress();
        let waiting = notes(&self.ledger).pending();
        let connected = self.clients.iter().filter(|client| client.connected()).count();
        println!(
            "{:>3} s  sent {sent:>5}  waiting {waiting:>3}  seen {seen:>6}  faults {:>3}  \
             connected {connected}/{}  {remark}",
            began.elapsed().as_secs(),
            *self.cuts.borrow(),
            self.clients.len(),
        );
    }

    /// Prints the table and the last line. Returns whether the promise was kept.
    fn report(&self, connected: Vec<bool>) -> bool {
        let ledger = notes(&self.ledger);
        println!(
            "\nclient   sent  delivered   lost  doubled  reordered  unknown  gapped  \
             reconnects  resumes"
        );
        let (mut reconnects, mut resumes) = (0, 0);
        for (who, client) in self.clients.iter().enumerate() {
            let Verdict { sent, delivered, lost, doubled, reordered, unknown, gapped, .. } =
                ledger.verdict_on(who);
            let (came_back, resumed) = client.returns();
            println!(
                "{:<6} {sent:>6} {delivered:>10} {lost:>6} {doubled:>8} {reordered:>10} \
                 {unknown:>8} {gapped:>7} {came_back:>11} {resumed:>8}",
                NAMES[who]
            );
            reconnects += came_back;
            resumes += resumed;
        }
        let verdict = ledger.verdict(NAMES.len());
        let Verdict { sent, delivered, lost, doubled, reordered, unknown, gapped, not_executed } =
            verdict;
        if not_executed > 0 {
            println!("\n{not_executed} posts were reported as not executed.");
        }
        let failures = failures(&ledger, resumes, &connected);
        for failure in &failures {
            println!("\nThe demo fails: {failure}.");
        }
        println!(
            "\nWhat is unknown or gapped was reported to its client; what is lost, nobody was told."
        );
        println!(
            "demo: sent={sent} delivered={delivered} lost={lost} doubled={doubled} \
             reordered={reordered} unknown={unknown} gapped={gapped} \
             reconnects={reconnects} resumes={resumes}"
        );
        verdict.kept() && failures.is_empty()
    }

    async fn leave(mut self) {
        for client in self.clients {
            client.close().await;
        }
        // It has nothing more to say, and may already be gone.
        let _ = self.server.kill().await;
    }
}

fn file(place: Option<&Place>) -> Option<PathBuf> {
    place.map(|Place(directory)| directory.join("chat.db"))
}

/// What else is wrong, even if nothing was lost, doubled or reordered.
fn failures(ledger: &Ledger, resumes: u64, connected: &[bool]) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some((count, reason)) = ledger.unreadable() {
        failures.push(format!("{count} answers can't be read; the first: {reason}"));
    }
    if resumes == 0 {
        failures.push("no session was ever resumed".to_owned());
    }
    let away = NAMES.iter().zip(connected).filter(|(_, connected)| !**connected);
    failures.extend(away.map(|(name, _)| format!("{name} is not connected at the end")));
    failures
}

/// Strikes one client's connection with faults, and pauses between them, until it is told to stop.
fn make_trouble(
    proxy: Arc<Proxy>,
    mut rng: Rng,
    cuts: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !*stop.borrow() {
            sleep(calm(&mut rng)).await;
            if Fault::any(&mut rng).strike(&proxy).await {
                cuts.send_modify(|cuts| *cuts += 1);
            }
        }
    })
}
