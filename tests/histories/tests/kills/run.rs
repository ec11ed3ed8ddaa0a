//! A run: it starts servers and clients, kills them when it has heard as much as the dice say, and
//! writes down all that it hears. What that comes to is for the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use steadfast_histories::{Answer, Line};
use steadfast_proxy::Proxy;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::child::{Child, Ears, Heard};
use crate::client::{ALL_SEEN, AT_REST, LAST, READY};
use crate::server::LISTENING;

const PROCESSES: usize = 4;
/// Commands that are heard to be done between two kills, at most.
const HEARD: u64 = 600;
/// For how long nothing is heard until the run is given up, which the judge will name.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that may wait to be written down.
const LINES: usize = 1_024;
/// How far a server gets that is killed while it starts, in milliseconds, at most.
const STARTING: u64 = 40;

pub struct Plan {
    pub place: PathBuf,
    pub kills: u64,
    pub seed: u64,
    /// The file is deleted after the first kill.
    pub forgets: bool,
}

impl Plan {
    pub fn history(&self) -> PathBuf {
        self.place.join("history.jsonl")
    }

    pub fn file(&self) -> PathBuf {
        self.place.join("store.db")
    }
}

/// A client process, and what the one after it has to know.
struct Client {
    child: Child,
    life: u64,
    /// What it has said of itself.
    said: BTreeSet<String>,
    /// Per room: epoch and number of the event that was seen last.
    seen: BTreeMap<String, (u64, u64)>,
    /// Named commands that are not known to be done, with their rooms.
    open: BTreeMap<String, String>,
    /// The names of calls without an answer.
    calls: BTreeMap<(String, u64), String>,
}

pub struct Run {
    plan: Plan,
    rng: Rng,
    history: BufWriter<File>,
    ears: Ears,
    heard: mpsc::Receiver<(u64, Heard)>,
    /// Children so far.
    children: u64,
    server: Child,
    /// It listens, and the proxy leads to it.
    listens: bool,
    kills: u64,
    client_kills: usize,
    rounds: u64,
    proxy: Proxy,
    clients: Vec<Client>,
    /// Commands that were reported done.
    done: u64,
    /// Children of which all lines were heard.
    ended: BTreeSet<u64>,
}

impl Run {
    /// Everybody follows before anybody writes.
    pub async fn begin(plan: Plan) -> Self {
        let (ears, heard) = mpsc::channel(LINES);
        let server = start_server(0, &plan, &ears);
        let mut run = Self {
            rng: Rng::with_seed(plan.seed),
            history: BufWriter::new(File::create(plan.history()).unwrap()),
            plan,
            ears,
            heard,
            children: 1,
            server,
            listens: false,
            kills: 0,
            client_kills: 0,
            rounds: 0,
            // Until the server says where it listens, nobody dials.
            proxy: Proxy::start("127.0.0.1:1".parse().unwrap()).await.unwrap(),
            clients: Vec::new(),
            done: 0,
            ended: BTreeSet::new(),
        };
        assert!(run.hears(|run| run.listens).await, "the server listens");
        for process in 0..PROCESSES {
            let child = run.start_client(process, 0, &BTreeMap::new());
            let (said, seen, open) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
            run.clients.push(Client { child, life: 0, said, seen, open, calls: BTreeMap::new() });
        }
        assert!(run.everybody_says(READY).await, "clients can connect");
        run.order("go").await;
        run
    }

    /// Kills as often as planned, then lets everything come to its end.
    pub async fn play(mut self) {
        while self.kills < self.plan.kills {
            let until = self.done + self.rng.u64(0..HEARD);
            if !self.hears(|run| run.done >= until).await {
                break;
            }
            // In turn, so that every run has something of all.
            self.rounds += 1;
            match self.rounds % 8 {
                1 => self.kill_a_client().await,
                3 => drop(self.proxy.cut_all()),
                _ => {}
            }
            if !self.kill_the_server(self.rounds % 8 == 5).await {
                break;
            }
        }
        self.order("stop").await;
        if self.everybody_says(AT_REST).await {
            self.clients[0].child.order("last").await;
            self.everybody_says(ALL_SEEN).await;
        }
        self.history.flush().unwrap();
        self.server.kill().await;
        for client in &mut self.clients {
            client.child.kill().await;
        }
    }

    /// Kills the server, and a client before the next one is there. `false` if that does not come
    /// up.
    async fn kill_the_server(&mut self, a_client_too: bool) -> bool {
        self.kill_once().await;
        if a_client_too {
            self.kill_a_client().await;
        }
        if self.plan.forgets && self.kills == 1 {
            for end in ["", "-wal", "-shm", "-lock"] {
                let _ = std::fs::remove_file(format!("{}{end}", self.plan.file().display()));
            }
        }
        // Now and then the next one does not get far: the moment is what is tried, and nothing is
        // waited for.
        while self.kills < self.plan.kills && self.rng.u8(0..6) == 0 {
            self.start_server();
            tokio::time::sleep(Duration::from_millis(self.rng.u64(..STARTING))).await;
            self.kill_once().await;
        }
        self.start_server();
        self.hears(|run| run.listens).await
    }

    async fn kill_once(&mut self) {
        self.server.kill().await;
        self.kills += 1;
        let times = self.kills;
        self.write(&Line::ServerKilled { times });
    }

    fn start_server(&mut self) {
        self.listens = false;
        self.server = start_server(self.children, &self.plan, &self.ears);
        self.children += 1;
    }

    fn start_client(
        &mut self,
        process: usize,
        life: u64,
        seen: &BTreeMap<String, (u64, u64)>,
    ) -> Child {
        let kind = if process < PROCESSES / 2 { "plain" } else { "named" };
        let words = ["client".to_owned(), self.proxy.url("/"), process.to_string()];
        let mut arguments = Vec::from(words);
        arguments.extend([life.to_string(), kind.to_owned()]);
        arguments.extend(seen.iter().map(|(room, (epoch, ts))| format!("{room}:{epoch}:{ts}")));
        let child = Child::start(self.children, &arguments, self.ears.clone());
        self.children += 1;
        child
    }

    /// Kills one, and starts another one that goes on for it.
    async fn kill_a_client(&mut self) {
        let process = self.client_kills % PROCESSES;
        self.client_kills += 1;
        self.clients[process].child.kill().await;
        let number = self.clients[process].child.number;
        assert!(self.hears(|run| run.ended.contains(&number)).await, "it was killed");
        let life = self.clients[process].life;
        self.write(&Line::Killed { prefix: format!("c{process}.{life}.") });
        let seen = self.clients[process].seen.clone();
        let mut child = self.start_client(process, life + 1, &seen);
        for (name, room) in &self.clients[process].open {
            child.order(&format!("again {room} {name}")).await;
        }
        child.order("go").await;
        let client = &mut self.clients[process];
        (client.child, client.life) = (child, life + 1);
        client.said.clear();
        client.calls.clear();
    }

    async fn order(&mut self, order: &str) {
        for client in &mut self.clients {
            client.child.order(order).await;
        }
    }

    async fn everybody_says(&mut self, word: &str) -> bool {
        self.hears(|run| run.clients.iter().all(|client| client.said.contains(word))).await
    }

    /// Listens until something holds; `false` if there is nothing more to hear.
    async fn hears(&mut self, holds: impl Fn(&Self) -> bool) -> bool {
        while !holds(self) {
            match timeout(PATIENCE, self.heard.recv()).await {
                Ok(Some((number, Heard::Line(text)))) => self.take(number, text),
                Ok(Some((number, Heard::End))) => drop(self.ended.insert(number)),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    fn take(&mut self, number: u64, text: String) {
        if text.starts_with('{') {
            let line =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            self.write(&line);
            self.note(number, line);
        } else if let Some(addr) = text.strip_prefix(LISTENING) {
            // An earlier one may have said so before it was killed.
            if number == self.server.number {
                self.proxy.retarget(addr.parse().unwrap());
                self.listens = true;
            }
        } else if let Some(client) = self.client(number) {
            client.said.insert(text);
        }
    }

    fn client(&mut self, number: u64) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.child.number == number)
    }

    /// What is to be known of a client later.
    fn note(&mut self, number: u64, line: Line) {
        self.done += u64::from(matches!(&line, Line::Told { answer: Answer::Done { .. }, .. }));
        let Some(client) = self.client(number) else { return };
        match line {
            Line::Asked { who, op, room, name, ordered: false } if !name.starts_with(LAST) => {
                client.calls.insert((who, op), name.clone());
                client.open.insert(name, room);
            }
            Line::Told { who, op, answer: Answer::Done { .. } } => {
                if let Some(name) = client.calls.remove(&(who, op)) {
                    client.open.remove(&name);
                }
            }
            Line::Saw { room, epoch, ts, .. } => drop(client.seen.insert(room, (epoch, ts))),
            _ => {}
        }
    }

    fn write(&mut self, line: &Line) {
        line.write(&mut self.history).unwrap();
    }
}

fn start_server(number: u64, plan: &Plan, ears: &Ears) -> Child {
    let file = plan.file().to_str().expect("the target directory has a plain name").to_owned();
    Child::start(number, &["server".to_owned(), file], ears.clone())
}
