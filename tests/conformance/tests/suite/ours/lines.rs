//! Lines of JSON to and from the suite, as ADAPTER.md describes them.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::sync::mpsc;

use super::Ends;

/// The suite's questions, one a line.
pub type Questions = Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>;

/// Where answers and reports are written, in order.
#[derive(Clone)]
pub struct Answers(mpsc::UnboundedSender<Value>);

impl Answers {
    /// Answers a question.
    pub fn ok(&self, question: &Value, answer: Value) {
        self.say(json!({ "id": question["id"], "ok": answer }));
    }

    /// Answers that this adapter can't do what the question asks.
    pub fn unsupported(&self, question: &Value, reason: &str) {
        self.say(json!({ "id": question["id"], "unsupported": reason }));
    }

    /// Writes a report or an answer.
    pub fn say(&self, line: Value) {
        // If this fails the suite has gone, and nobody listens.
        let _ = self.0.send(line);
    }
}

/// Makes lines of an adapter's pipes.
pub fn of((reader, mut writer): Ends) -> (Questions, Answers) {
    let (sender, mut lines) = mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            let line = format!("{line}\n");
            if writer.write_all(line.as_bytes()).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    });
    (BufReader::new(reader).lines(), Answers(sender))
}

/// The next question; `None` when the suite has gone.
pub async fn next(questions: &mut Questions) -> Option<Value> {
    let line = questions.next_line().await.ok().flatten()?;
    Some(serde_json::from_str(&line).expect("the suite writes JSON"))
}
