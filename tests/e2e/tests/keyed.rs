//! Keyed topics over a bad network: what a mirror calls the state is the state, and after a gap it
//! gets what has changed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use steadfast::client::{Item, Mirror, MirrorChange, SubscriptionEnd};
use steadfast_e2e::{Board, Stage, TallyClient, TallyEvent, within};
use tokio::time::sleep;

const BOARD: &str = "board";

async fn keep(client: &TallyClient) -> Mirror<Board> {
    within(client.subscribe(Board(BOARD.into()))).await.unwrap().mirror()
}

fn shown(board: &Mirror<Board>) -> BTreeMap<u64, u64> {
    let placed = |event: &TallyEvent| match event {
        TallyEvent::Placed { place, value, .. } => (*place, *value),
        other => panic!("{other:?} on a board"),
    };
    board.iter().map(placed).collect()
}

/// Takes changes until the board is live and shows this.
async fn becomes(board: &mut Mirror<Board>, expected: &BTreeMap<u64, u64>) {
    while !(board.is_live() && shown(board) == *expected) {
        let change = within(board.changed()).await;
        assert!(change.is_some(), "{:?}", board.end());
    }
}

#[tokio::test]
async fn a_mirror_shows_each_item_once_and_removals_take_theirs() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let place = async |place, value| {
        within(client.place(BOARD.into(), place, value)).await.unwrap();
    };
    for (at, value) in [(1, 10), (2, 20), (1, 11), (3, 30), (2, 0)] {
        place(at, value).await;
    }
    let mut board = keep(&client).await;
    becomes(&mut board, &[(1, 11), (3, 30)].into()).await;
    assert!(matches!(board.get(&3), Some(TallyEvent::Placed { value: 30, .. })));
    assert!(board.get(&2).is_none(), "it was taken away");
    place(3, 31).await;
    match within(board.changed()).await {
        Some(MirrorChange::Item { old: Some(old), new: Some(new) }) => {
            assert!(matches!(*old, TallyEvent::Placed { value: 30, .. }), "{old:?}");
            assert!(matches!(*new, TallyEvent::Placed { value: 31, .. }), "{new:?}");
        }
        other => panic!("{other:?}"),
    }
    place(3, 0).await;
    let gone = within(board.changed()).await;
    assert!(matches!(gone, Some(MirrorChange::Item { old: Some(_), new: None })), "{gone:?}");
    assert!(board.is_live());
}

#[tokio::test]
async fn a_mirror_keeps_up_under_random_cuts() {
    for seed in 0..3 {
        under_cuts(seed).await;
    }
}

async fn under_cuts(seed: u64) {
    let stage = Stage::new().await;
    let (client, other) = (stage.connect().await, stage.connect_directly().await);
    let mut board = keep(&client).await;
    let mut expected = BTreeMap::new();
    let mut rng = Rng::with_seed(seed);
    let changes: Vec<(u64, u64)> = (1..=300)
        .map(|count| (rng.u64(0..20), if rng.u8(0..4) == 0 { 0 } else { count }))
        .collect();
    for (place, value) in &changes {
        match value {
            0 => expected.remove(place),
            _ => expected.insert(*place, *value),
        };
    }
    let cuts = async {
        let mut rng = Rng::with_seed(seed);
        loop {
            sleep(Duration::from_millis(rng.u64(1..30))).await;
            match rng.u8(0..3) {
                0 => stage.proxy.reset_all(),
                1 => {
                    usize::from(stage.proxy.cut_after(steadfast_proxy::Way::Down, rng.u64(0..500)))
                }
                _ => stage.proxy.cut_all(),
            };
        }
    };
    let talk = async {
        for (count, (place, value)) in (0..).zip(&changes) {
            // So that the network is cut all the time, and not only at the end.
            stage.proxy.until(|counts| counts.accepted > count / 15).await;
            within(other.place(BOARD.into(), *place, *value)).await.unwrap();
        }
    };
    let mut lives = 0;
    let look = async {
        loop {
            let change = within(board.changed()).await;
            assert!(!matches!(change, None | Some(MirrorChange::Reset(_))), "{change:?}");
            lives += u32::from(matches!(change, Some(MirrorChange::Live)));
            if board.is_live() && shown(&board) == expected {
                return;
            }
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(talk, look) } => {}
        () = cuts => unreachable!(),
    }
    assert!(lives > 1, "seed {seed}: it came back to life");
}

#[tokio::test]
async fn a_mirror_that_reads_slowly_has_the_latest_of_each_item() {
    let stage = Stage::new().await;
    let slow = within(stage.client().configure(|config| config.credit.frames = 2).connect());
    let (slow, other) = (slow.await.unwrap(), stage.connect_directly().await);
    let mut board = keep(&slow).await;
    let mut expected = BTreeMap::new();
    for value in 1..=1_000 {
        within(other.place(BOARD.into(), value % 3, value)).await.unwrap();
        expected.insert(value % 3, value);
    }
    let mut changes = 0;
    while !(board.is_live() && shown(&board) == expected) {
        assert!(within(board.changed()).await.is_some());
        changes += 1;
    }
    assert!(changes < 1_000, "what was superseded is not told one by one: {changes}");
}

#[tokio::test]
async fn a_board_begins_anew_where_the_store_is_lost() {
    let mut stage = Stage::new().await;
    let client = stage.connect().await;
    within(client.place(BOARD.into(), 1, 10)).await.unwrap();
    let mut board = keep(&client).await;
    becomes(&mut board, &[(1, 10)].into()).await;
    stage.replace_server(|builder| builder.allow_anonymous()).await;
    let late = stage.connect_directly().await;
    within(late.place(BOARD.into(), 2, 20)).await.unwrap();
    stage.proxy.cut_all();
    let told = loop {
        match within(board.changed()).await {
            Some(MirrorChange::Reset(gap)) => break gap,
            Some(_) => {}
            None => panic!("{:?}", board.end()),
        }
    };
    assert_eq!(told.reason, steadfast::wire::ResetReason::Epoch);
    becomes(&mut board, &[(2, 20)].into()).await;
}

#[tokio::test]
async fn the_last_changes_of_a_board_come_as_a_stream() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    for (place, value) in [(1, 10), (2, 20), (1, 11), (3, 30), (2, 0)] {
        within(client.place(BOARD.into(), place, value)).await.unwrap();
    }
    let mut last = within(client.subscribe(Board(BOARD.into())).last(2)).await.unwrap();
    let mut next = async || match within(last.next()).await {
        Some(Item::Event(event)) => event,
        other => panic!("{other:?}"),
    };
    assert!(matches!(next().await, TallyEvent::Placed { place: 3, value: 30, .. }));
    assert!(matches!(next().await, TallyEvent::Cleared { place: 2, .. }));
    within(client.place(BOARD.into(), 4, 40)).await.unwrap();
    assert!(matches!(next().await, TallyEvent::Placed { place: 4, .. }));
}

/// A part of a board is never shown as the whole.
#[tokio::test]
async fn a_mirror_is_made_of_a_whole_board_alone() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    for (place, value) in [(1, 10), (2, 20)] {
        within(client.place(BOARD.into(), place, value)).await.unwrap();
    }
    let asked = || client.subscribe(Board(BOARD.into()));
    let mut begun = within(asked()).await.unwrap();
    assert!(matches!(within(begun.next()).await, Some(Item::Event(TallyEvent::Placed { .. }))));
    let position = begun.position().unwrap();
    ends_at_once(begun.mirror()).await;
    for part in [asked().last(1), asked().tail(), asked().from(position)] {
        ends_at_once(within(part).await.unwrap().mirror()).await;
    }
    let mut board = keep(&client).await;
    becomes(&mut board, &[(1, 10), (2, 20)].into()).await;
}

async fn ends_at_once(mut board: Mirror<Board>) {
    assert_eq!(within(board.changed()).await, None);
    assert!(!board.is_live() && board.iter().next().is_none());
    match board.end() {
        Some(SubscriptionEnd::Unreadable { reason }) => {
            assert!(reason.contains("without `from`, `last` and `tail`"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
