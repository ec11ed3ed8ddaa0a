//! `trading load`: clients that ask for things as fast as they are answered, and how fast that is,
//! second by second. It checks nothing; the demo does.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use steadfast::Codec;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use crate::orders::{Ideas, Outcome, client};
use crate::protocol::TradingClient;

/// How many requests of a client are under way.
const UNDER_WAY: usize = 16;

/// What was counted since somebody looked.
#[derive(Debug, Default)]
struct Counted {
    done: u64,
    turned_down: u64,
    /// Of all, in no order.
    times: Vec<Duration>,
}

#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<Counted>>);

impl Counter {
    fn open(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes load for so many seconds. `false` if nothing was answered.
///
/// # Errors
/// When the server refuses a client.
pub(crate) async fn run(
    clients: usize,
    seconds: u64,
    (url, codec): (String, Codec),
) -> io::Result<bool> {
    println!("{clients} clients, {UNDER_WAY} requests of each under way, {seconds} s, at {url}.");
    println!("Without a server this waits for one: cargo run -p trading\n");
    let (counter, (stop, stopped)) = (Counter::default(), watch::channel(false));
    // Names that no client has used before, so that none is given an old answer.
    let run = format!("{:x}", fastrand::u64(..));
    let mut tasks = Vec::new();
    for number in 1..=clients {
        let client = client(url.clone(), format!("load-{number}")).codec(codec).connect().await;
        let client = client.map_err(io::Error::other)?;
        let ideas = Ideas::new(Rng::new(), run.clone());
        tasks.push(tokio::spawn(ask(client, ideas, counter.clone(), stopped.clone())));
    }
    let began = Instant::now();
    let mut clock = interval_at(began + Duration::from_secs(1), Duration::from_secs(1));
    let (mut all, mut slowest) = (0, Duration::ZERO);
    for second in 1..=seconds {
        clock.tick().await;
        let Counted { done, turned_down, mut times } = std::mem::take(&mut *counter.open());
        times.sort_unstable();
        let (half, most) = (percentile(&times, 50), percentile(&times, 99));
        println!(
            "{second:>3} s  done {done:>6}/s  turned down {turned_down:>5}/s  \
             p50 {:>7.2} ms  p99 {:>7.2} ms",
            millis(half),
            millis(most)
        );
        all += done + turned_down;
        slowest = slowest.max(most);
    }
    stop.send_replace(true);
    let rate = all as f64 / began.elapsed().as_secs_f64();
    for task in tasks {
        // A task that has failed has printed why.
        let _ = task.await;
    }
    println!("load: answered={all} per_second={rate:.0} worst_p99_ms={:.2}", millis(slowest));
    Ok(all > 0)
}

async fn ask(
    client: TradingClient,
    mut ideas: Ideas,
    counter: Counter,
    stopped: watch::Receiver<bool>,
) {
    let mut under_way = FuturesUnordered::new();
    while !*stopped.borrow() {
        while under_way.len() < UNDER_WAY {
            let (asked, began) = (ideas.next().ask(&client), Instant::now());
            under_way.push(async move { (asked.await.1, began.elapsed()) });
        }
        let Some((outcome, took)) = under_way.next().await else { break };
        let mut counted = counter.open();
        match outcome {
            Outcome::Done(_) => counted.done += 1,
            Outcome::Rejected(_) => counted.turned_down += 1,
            Outcome::Unknown => break,
            Outcome::Failed(reason) => {
                eprintln!("a client ends: {reason}");
                break;
            }
        }
        counted.times.push(took);
    }
    client.close().await;
}

/// Of sorted times; zero where there are none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(101));
        assert_eq!(percentile(&times, 99), Duration::from_millis(199));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
