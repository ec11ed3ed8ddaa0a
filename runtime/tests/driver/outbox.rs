//! The outbox in a file: what a process leaves, the next one finds; and what may be wrong with a
//! file is said.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast::Codec;
use steadfast::client::{
    CallError, Damage, Fate, OutboxError, OutboxFile, OutboxSettings, RecoveredCall,
};

use super::chat::*;

/// A folder of its own for each test.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outbox").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn path(test: &str) -> PathBuf {
    folder(test).join("chat.outbox")
}

fn open(path: &Path) -> Result<OutboxFile, OutboxError> {
    OutboxFile::open(path, OutboxSettings::default())
}

fn offline(path: &Path) -> ChatClient {
    offline_in(Codec::Json, path)
}

fn offline_in(codec: Codec, path: &Path) -> ChatClient {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    client(nowhere).codec(codec).outbox(open(path).unwrap()).connect_lazily().unwrap()
}

async fn online(path: &Path, running: &Running) -> ChatClient {
    online_in(Codec::Json, path, running).await
}

async fn online_in(codec: Codec, path: &Path, running: &Running) -> ChatClient {
    let client = client(running.address).codec(codec).outbox(open(path).unwrap());
    within(client.connect()).await.expect("a connection")
}

fn texts(recovered: &[RecoveredCall<ChatCommand>]) -> Vec<String> {
    let post = |call: &RecoveredCall<_>| call.read::<ChatCommandPost>().unwrap().unwrap().text;
    recovered.iter().map(post).collect()
}

/// A file with a command in each of three writes, and the bytes at which these end.
async fn three_writes(path: &Path) -> Vec<usize> {
    let chat = offline(path);
    let mut ends = Vec::new();
    for text in ["one", "two", "three"] {
        let call = chat.post(RoomId(1), text.into());
        assert!(within(call.accepted()).await);
        ends.push(fs::read(path).unwrap().len());
    }
    within(chat.close()).await;
    ends
}

#[tokio::test]
async fn what_one_client_leaves_the_next_one_sends_and_learns_of() {
    for codec in Codec::ALL {
        leaves_and_goes_on(codec).await;
    }
}

async fn leaves_and_goes_on(codec: Codec) {
    let path = path(&format!("leaves-{codec:?}"));
    let chat = offline_in(codec, &path);
    let calls = ["first", "second"].map(|text| chat.post(RoomId(1), text.into()));
    for call in &calls {
        assert!(within(call.accepted()).await);
        assert_eq!(call.fate(), Fate::Queued);
    }
    within(chat.close()).await;
    for call in calls {
        assert_eq!(within(call).await, Err(CallError::Kept));
    }

    let running = serve_with(|builder| builder.codecs(Codec::ALL)).await;
    let chat = online_in(codec, &path, &running).await;
    let recovered = chat.inner().recovered();
    assert_eq!(texts(&recovered), ["first", "second"]);
    assert!(recovered.iter().all(|call| call.version() == "1.0" && call.name() == "post"));
    for (call, id) in recovered.into_iter().zip(1..) {
        assert_eq!(within(call.into_call::<MessageId>()).await, Ok(MessageId(id)));
    }
    assert_eq!(running.chat.log.lock().unwrap().posts, ["first", "second"]);
    assert!(chat.inner().recovered().is_empty(), "each is handed out once");
    within(chat.close()).await;
    assert!(open(&path).unwrap().is_empty());
}

#[tokio::test]
async fn an_outcome_stays_in_the_file_until_its_call_is_dropped() {
    let path = path("outcome");
    let running = serve().await;
    let chat = online(&path, &running).await;
    let mut held = chat.post(RoomId(1), "held".into());
    assert_eq!(within(&mut held).await, Ok(MessageId(1)));
    assert_eq!(within(chat.post(RoomId(1), "dropped".into())).await, Ok(MessageId(2)));
    drop(chat.post(RoomId(1), "nobody asks".into()));
    assert_eq!(within(chat.mark_read(RoomId(1), MessageId(2))).await, Ok(()));
    within(chat.close()).await;

    let chat = online(&path, &running).await;
    let recovered = chat.inner().recovered();
    assert_eq!(texts(&recovered), ["held"]);
    assert_eq!(recovered[0].fate(), Fate::Done);
    for call in recovered {
        assert_eq!(within(call.into_call::<MessageId>()).await, Ok(MessageId(1)));
    }
    assert_eq!(running.chat.log.lock().unwrap().posts.len(), 3, "none is executed again");
    within(chat.close()).await;
    assert!(open(&path).unwrap().is_empty());
}

#[tokio::test]
async fn a_file_has_one_client_at_a_time() {
    let path = path("in_use");
    let chat = offline(&path);
    assert_eq!(open(&path).unwrap_err(), OutboxError::InUse { path: path.clone() });
    within(chat.close()).await;
    let file = open(&path).unwrap();
    assert!(matches!(open(&path), Err(OutboxError::InUse { .. })));
    drop(file);
    assert!(open(&path).is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_a_file_is_that_file() {
    let folder = folder("link");
    let (link, path) = (folder.join("link"), folder.join("chat.outbox"));
    std::os::unix::fs::symlink("chat.outbox", &link).unwrap();
    let chat = offline(&link);
    assert!(matches!(open(&link), Err(OutboxError::InUse { .. })));
    assert!(matches!(open(&path), Err(OutboxError::InUse { .. })));
    let call = chat.post(RoomId(1), "by a link".into());
    within(call.accepted()).await;
    within(chat.close()).await;
    assert_eq!(open(&path).unwrap().len(), 1);
    assert_eq!(open(&link).unwrap().len(), 1);
    assert!(link.is_symlink(), "it was not replaced");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let path = path("private");
    three_writes(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    within(offline(&path).close()).await;
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_torn_end_is_told_and_what_is_before_it_is_sent() {
    let path = path("torn");
    let ends = three_writes(&path).await;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..ends[2] - 1]).unwrap();
    let file = open(&path).unwrap();
    let lost = (ends[2] - 1 - ends[1]) as u64;
    let damage = Damage::Tail { offset: ends[1] as u64, bytes: lost };
    assert_eq!((file.damage(), file.len()), (Some(damage), 2));
    let running = serve().await;
    let chat = within(client(running.address).outbox(file).connect()).await.unwrap();
    let recovered = chat.inner().recovered();
    assert_eq!(texts(&recovered), ["one", "two"]);
    for call in recovered {
        assert!(within(call.into_call::<MessageId>()).await.is_ok());
    }
    within(chat.close()).await;
    assert_eq!(open(&path).unwrap().damage(), None);
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_and_can_be_salvaged() {
    let path = path("damaged");
    let ends = three_writes(&path).await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[ends[1] - 3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (offset, lost) = (ends[0] as u64, (ends[1] - ends[0]) as u64);
    let damage = Damage::Middle { offset, bytes: lost };
    assert_eq!(open(&path).unwrap_err(), OutboxError::Damaged { path: path.clone(), damage });
    assert_eq!(fs::read(&path).unwrap(), bytes, "it is as it was");

    let mut settings = OutboxSettings::default();
    settings.salvage = true;
    let file = OutboxFile::open(&path, settings).unwrap();
    assert_eq!(file.damage(), Some(damage));
    let running = serve().await;
    let chat = within(client(running.address).outbox(file).connect()).await.unwrap();
    let recovered = chat.inner().recovered();
    assert_eq!(texts(&recovered), ["one", "three"]);
    for call in recovered {
        let outcome = within(call.into_call::<MessageId>()).await;
        assert_eq!(outcome, Err(CallError::OutcomeUnknown));
    }
    assert_eq!(within(chat.post(RoomId(1), "new".into())).await, Ok(MessageId(1)));
    assert_eq!(fs::read(path.with_extension("outbox.damaged-1")).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let path = path("else");
    three_writes(&path).await;
    let bytes = fs::read(&path).unwrap();
    let mut newer = bytes.clone();
    newer[16] = 2;
    fs::write(&path, &newer).unwrap();
    let error = OutboxError::NewerFormat { path: path.clone(), found: 2, known: 1 };
    assert_eq!(open(&path).unwrap_err(), error);
    fs::write(&path, "hello").unwrap();
    assert_eq!(open(&path).unwrap_err(), OutboxError::Foreign { path: path.clone() });
    fs::write(&path, &bytes).unwrap();
    let mut settings = OutboxSettings::default();
    settings.account = "ann".into();
    let error = OutboxFile::open(&path, settings).unwrap_err();
    assert!(matches!(error, OutboxError::Other { what: "account", .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "it is as it was");
}

#[tokio::test]
async fn a_file_that_can_not_be_written_refuses_calls_until_it_can() {
    let path = path("unwritable");
    let running = serve().await;
    let file = open(&path).unwrap();
    let builder = client(running.address).outbox(file).configure(|config| {
        config.journal.retry = std::time::Duration::from_millis(20);
    });
    // Before anything is written: between two steps of a write it would not be known what is left,
    // and calls would wait until it is.
    let folder = path.parent().unwrap();
    fs::remove_dir_all(folder).unwrap();
    let chat = within(builder.connect()).await.unwrap();
    for _ in 0..20 {
        let outcome = within(chat.post(RoomId(1), "lost".into())).await;
        assert_eq!(outcome, Err(CallError::NotSaved));
    }
    fs::create_dir_all(folder).unwrap();
    let mut accepted = false;
    while !accepted {
        accepted = within(chat.post(RoomId(1), "again".into())).await.is_ok();
    }
    assert!(chat.state().borrow().is_connected());
}
