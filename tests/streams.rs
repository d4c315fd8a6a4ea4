//! Streams, by scans and by pages.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use strongroom::handle::{Limits, Streaming};
use strongroom::prelude::*;
use strongroom::{Operation, Result};
use support::events::{Event, Short, made};
use support::{Watched, watched_with};

/// Pieces of seven.
async fn events(count: usize) -> Result<Watched> {
    let limits = Limits::default().with_stream_page(7);
    let w = watched_with(limits, RetryPolicy::default());
    let events = w.db.collection::<Event>();
    events.ensure().await?;
    for made in events.insert_many(made(count)).await? {
        made?;
    }
    w.spy.take();
    Ok(w)
}

async fn on_disk(count: usize) -> Result<(tempfile::TempDir, Collection<Event>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("events.db").display());
    let db = strongroom::connect(&url).await?;
    let events = db.collection::<Event>();
    events.ensure().await?;
    for made in events.insert_many(made(count)).await? {
        made?;
    }
    Ok((folder, events))
}

fn names(count: usize) -> Vec<String> {
    made(count).map(|event| event.id).collect()
}

#[tokio::test]
async fn a_stream_fetches_piece_by_piece() -> Result<()> {
    let w = events(25).await?;
    let all = w.db.collection::<Event>();
    let mut stream = all.find(Filter::all()).stream();
    assert_eq!(w.spy.take(), [], "nothing is sent before it is polled");
    for n in 0..7 {
        assert_eq!(stream.try_next().await?.unwrap().id, format!("e{n:03}"));
    }
    assert_eq!(w.spy.take(), [Operation::Scan, Operation::ScanNext]);
    let rest: Vec<_> = stream.try_collect().await?;
    assert_eq!(rest.len(), 18);
    // Pieces of 7, 7 and 4, and the empty one that tells the end.
    assert_eq!(w.spy.take(), [Operation::ScanNext; 4]);
    let all_at_once = all.find(Filter::all()).batch(100).stream();
    assert_eq!(all_at_once.try_collect::<Vec<_>>().await?.len(), 25);
    assert_eq!(w.spy.take().len(), 3);
    Ok(())
}

#[tokio::test]
async fn pages_are_fetched_one_by_one() -> Result<()> {
    let w = events(25).await?;
    let all = w.db.collection::<Event>();
    let paged = || all.find(Filter::all()).streaming(Streaming::Paged);
    let stream: Vec<_> = paged()
        .stream()
        .map_ok(|e| e.id.clone())
        .try_collect()
        .await?;
    assert_eq!(stream, names(25));
    assert_eq!(w.spy.take(), [Operation::Find; 4]);
    let some: Vec<_> = paged().limit(9).stream().try_collect().await?;
    assert_eq!((some.len(), w.spy.take().len()), (9, 2));
    // What begins elsewhere is read by pages, too.
    let behind: Vec<_> = all
        .find(Filter::all())
        .offset(20)
        .stream()
        .try_collect()
        .await?;
    assert_eq!(behind[0].id, "e020");
    assert_eq!(w.spy.take(), [Operation::Find]);
    let cursor = all.find(Filter::all()).limit(10).page().await?;
    let cursor = cursor.cursor().expect("more follow").clone();
    let behind = all.find(Filter::all()).after(cursor.clone()).stream();
    assert_eq!(behind.try_collect::<Vec<_>>().await?.len(), 15);
    let refused = all
        .find(Filter::all())
        .after(cursor)
        .streaming(Streaming::Consistent);
    w.spy.take();
    let error = refused.stream().try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(w.spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn limits_and_selections_hold() -> Result<()> {
    let w = events(25).await?;
    let all = w.db.collection::<Event>();
    let f = Event::fields();
    for (limit, calls) in [(0, 0), (1, 2), (7, 2), (8, 3), (1_000, 6)] {
        let some = all.find(Filter::all()).limit(limit).stream();
        let some: Vec<_> = some.try_collect().await?;
        assert_eq!(some.len(), limit.min(25));
        assert_eq!(w.spy.take().len(), calls, "with a limit of {limit}");
    }
    let parts = all
        .find(f.place().eq("odd"))
        .select((f.place(), f.magnitude()));
    let mut parts: Vec<_> = parts
        .sort(f.magnitude().desc())
        .stream()
        .try_collect()
        .await?;
    assert_eq!((parts.len(), parts[0].id.as_str()), (12, "e009"));
    assert!(parts.iter().all(|event| event.note.is_none()));
    parts[0].magnitude = 9.0;
    all.save(&mut parts[0]).await?;
    let saved = all.get("e009").await?.expect("it is still there");
    assert_eq!((saved.magnitude, saved.note.as_deref()), (9.0, Some("x")));

    let views = all.find(Filter::all()).limit(2).stream_as::<Short>();
    let views: Vec<_> = views.try_collect().await?;
    assert_eq!(views[1].magnitude, 1.0);
    Ok(())
}

#[tokio::test]
async fn an_error_ends_the_stream() -> Result<()> {
    let w = events(25).await?;
    let all = w.db.collection::<Event>();
    let broken = || strongroom::Error::new(ErrorKind::Unavailable, "broken");
    w.spy.fail_next(Operation::ScanNext, broken());
    let mut stream = all.find(Filter::all()).stream();
    let error = stream.next().await.expect("an error").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.collection().expect("it is named").as_str(), "events");
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none(), "it stays at its end");

    // Half-way, and by a document that does not fit.
    all.patch(
        "e003",
        Patch::new().set("magnitude".parse()?, "big"),
        Expected::Any,
    )
    .await?;
    let mut stream = all.find(Filter::all()).stream();
    for n in 0..3 {
        assert_eq!(stream.try_next().await?.unwrap().id, format!("e{n:03}"));
    }
    let error = stream.next().await.expect("an error").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(error.key().expect("it is named").id().as_str(), "e003");
    assert!(stream.next().await.is_none());
    for bad in [0, 10_001] {
        for streaming in [Streaming::Auto, Streaming::Paged] {
            let stream = all.find(Filter::all()).batch(bad).streaming(streaming);
            let error = stream.stream().next().await.expect("an error").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.message().contains("10000"), "{error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_shows_one_state_while_others_write() -> Result<()> {
    let (_folder, all) = on_disk(60).await?;
    let mut stream = all.find(Filter::all()).batch(5).stream();
    let first = stream.try_next().await?.expect("there are some");
    assert_eq!(first.id, "e000");
    all.delete("e059", Expected::Present).await?;
    all.update("e030", |event| event.place = "moved".to_owned())
        .await?;
    all.insert(Event {
        id: "e0005".to_owned(),
        ..first.into_inner()
    })
    .await?;
    let rest: Vec<Versioned<Event>> = stream.try_collect().await?;
    let ids: Vec<_> = rest.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids, names(60)[1..]);
    assert_eq!(rest[29].place, "even");
    assert_eq!(all.find(Filter::all()).count().await?, 60);
    Ok(())
}

/// How many scans a file of SQLite has open at once.
const MOST: usize = 8;

/// Polls a stream of the file until it is no more refused for want of room.
async fn gets_room(all: &Collection<Event>) -> Result<()> {
    let opened = async {
        loop {
            match all.find(Filter::all()).stream().try_next().await {
                Err(error) if error.kind() == ErrorKind::Contended => {
                    tokio::task::yield_now().await
                }
                other => return other.map(drop),
            }
        }
    };
    let opened = tokio::time::timeout(Duration::from_secs(10), opened).await;
    opened.expect("the scan was let go")
}

#[tokio::test]
async fn a_dropped_stream_lets_go_at_once() -> Result<()> {
    let (_folder, all) = on_disk(60).await?;
    let mut open = Vec::new();
    for _ in 0..MOST {
        let mut stream = all.find(Filter::all()).batch(5).stream();
        stream.try_next().await?;
        open.push(stream);
    }
    let one_more = all.find(Filter::all()).stream().try_next().await;
    assert_eq!(one_more.unwrap_err().kind(), ErrorKind::Contended);
    // By pages there is always room.
    let paged = all.find(Filter::all()).streaming(Streaming::Paged).stream();
    assert_eq!(paged.try_collect::<Vec<_>>().await?.len(), 60);
    open.pop();
    gets_room(&all).await?;

    // Neither a stream that has handed out its last document keeps anything, nor one that is
    // dropped while it fetches.
    let mut done = Vec::new();
    for _ in 0..MOST {
        let mut stream = all.find(Filter::all()).limit(1).stream();
        let opened = async {
            loop {
                match stream.try_next().await {
                    Err(error) if error.kind() == ErrorKind::Contended => {
                        stream = all.find(Filter::all()).limit(1).stream();
                        tokio::task::yield_now().await;
                    }
                    other => return other,
                }
            }
        };
        let opened = tokio::time::timeout(Duration::from_secs(10), opened).await;
        assert!(opened.expect("there is room")?.is_some());
        done.push(stream);
        let mut fetching = all.find(Filter::all()).stream();
        let _ = fetching.try_next().now_or_never();
    }
    gets_room(&all).await
}
