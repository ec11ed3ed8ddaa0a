//! What somebody has written, until its outcome was shown. With an outbox in a file that takes more
//! than one run of this program, if need be; when anything is sent, the client library decides.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use steadfast::client::{Call, CallError, OutboxError, OutboxFile, OutboxSettings, RecoveredCall};
use tokio::time::timeout;

use crate::protocol::{ChatClient, ChatCommand, ChatCommandPost, ChatError, MessageId, RoomId};

/// After how long somebody is told that a message takes its time.
const LONG: Duration = Duration::from_secs(10);

/// Opens the outbox of one person at one server, in a directory that is made if there is none.
///
/// # Errors
/// When somebody else has it open, it is another person's, or it can't be read.
pub(crate) fn open(path: &Path, name: &str, url: &str) -> io::Result<OutboxFile> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| {
            io::Error::other(format!("{} can't be made: {error}", directory.display()))
        })?;
    }
    let mut settings = OutboxSettings::default();
    settings.account = format!("{name} at {url}");
    let file = OutboxFile::open(path, settings).map_err(|error| match error {
        OutboxError::Damaged { .. } => io::Error::other(format!(
            "{error}. Its messages can't be trusted; to go on without them, move it away"
        )),
        error => io::Error::other(error),
    })?;
    if let Some(damage) = file.damage() {
        println!("-- {}: {damage}. What is left goes on", path.display());
    }
    Ok(file)
}

/// The messages of ours whose outcome was not shown yet.
pub(crate) struct Posts {
    room: RoomId,
    /// Where they are kept beyond this process, if anywhere.
    file: Option<PathBuf>,
    under_way: FuturesUnordered<BoxFuture<'static, (Post, News)>>,
}

/// The call is held until its outcome was shown: with a file, a crash in between repeats that.
pub(crate) struct Post {
    text: String,
    /// It was written in an earlier process.
    earlier: bool,
    call: Call<MessageId, ChatError>,
}

/// What there is to tell of a message.
pub(crate) enum News {
    /// It will be posted, whatever becomes of this process.
    Kept,
    Slow,
    Over(Result<MessageId, CallError<ChatError>>),
}

impl Posts {
    /// Those that an earlier process left in the file, if there is one.
    pub(crate) fn take_up(client: &ChatClient, room: RoomId, file: Option<PathBuf>) -> Self {
        let posts = Self { room, file, under_way: FuturesUnordered::new() };
        // How far somebody has read, and what somebody asked, is of no use any more: such calls are
        // dropped here.
        let recovered = client.inner().recovered().into_iter();
        let recovered: Vec<Post> = recovered.filter_map(|call| posts.recovered(call)).collect();
        if let Some(file) = posts.file().filter(|_| !recovered.is_empty()) {
            println!("-- {} has {} messages of before:", file.display(), recovered.len());
        }
        for post in recovered {
            println!("     {}", post.text);
            posts.under_way.push(Box::pin(over(post)));
        }
        posts
    }

    fn recovered(&self, call: RecoveredCall<ChatCommand>) -> Option<Post> {
        let text = match call.read::<ChatCommandPost>()? {
            Ok(ChatCommandPost { room, text }) if room == self.room => text,
            Ok(ChatCommandPost { room, text }) => format!("(in {}) {text}", room.0),
            Err(error) => format!("(of another version of this chat: {error})"),
        };
        Some(Post { text: one_line(&text), earlier: true, call: call.into_call() })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Where they are kept beyond this process, if anywhere.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// One more is on its way.
    pub(crate) fn push(&mut self, text: &str, call: Call<MessageId, ChatError>) {
        let post = Post { text: one_line(text), earlier: false, call };
        self.under_way.push(match &self.file {
            Some(_) => Box::pin(kept(post)),
            None => Box::pin(over(post)),
        });
    }

    /// What there is to tell next, for [`Posts::tell`]; `None` while nothing is under way.
    pub(crate) async fn next(&mut self) -> Option<(Post, News)> {
        self.under_way.next().await
    }

    /// Tells it. `why_not_now` says why nothing is sent at the moment, if that is so.
    pub(crate) fn tell(&mut self, post: Post, news: News, why_not_now: Option<String>) {
        match news {
            News::Kept => {
                if let (Some(file), Some(why)) = (&self.file, why_not_now) {
                    println!("-- kept in {}, not sent yet. {why}", file.display());
                }
                self.under_way.push(Box::pin(over(post)));
            }
            News::Slow => {
                println!("-- a message is taking long; it is still on its way");
                self.under_way.push(Box::pin(settled(post)));
            }
            News::Over(outcome) => {
                if let Some(told) = told(outcome, post.earlier, self.file.as_deref()) {
                    println!("-- {told}: {}", post.text);
                }
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join(" / ")
}

/// Waits until it is kept, or has come to an end before that.
async fn kept(post: Post) -> (Post, News) {
    if post.call.accepted().await { (post, News::Kept) } else { settled(post).await }
}

/// Waits for its outcome, but not for long.
async fn over(mut post: Post) -> (Post, News) {
    match timeout(LONG, &mut post.call).await {
        Ok(Err(CallError::Timeout)) | Err(_) => (post, News::Slow),
        Ok(outcome) => (post, News::Over(outcome)),
    }
}

/// Waits for its true outcome.
async fn settled(mut post: Post) -> (Post, News) {
    loop {
        match (&mut post.call).await {
            // Its declared time is over; awaited once more it has no other end than its own.
            Err(CallError::Timeout) => {}
            outcome => return (post, News::Over(outcome)),
        }
    }
}

/// What is said of an outcome; nothing of one that is on the screen already.
fn told(
    outcome: Result<MessageId, CallError<ChatError>>,
    earlier: bool,
    file: Option<&Path>,
) -> Option<String> {
    Some(match outcome {
        Ok(_) if !earlier => return None,
        Ok(_) => "posted".to_owned(),
        Err(CallError::App(ChatError::Empty)) => {
            "not posted, because there is nothing in it".to_owned()
        }
        Err(CallError::OutcomeUnknown) => {
            "the server has lost what it knew: this may or may not have been posted".to_owned()
        }
        Err(CallError::Kept) => match file {
            Some(file) => format!("kept in {} for the next start", file.display()),
            None => "kept for the next start".to_owned(),
        },
        Err(error) => format!("not posted ({error})"),
    })
}
