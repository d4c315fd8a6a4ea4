//! Pages, single documents and counts.
#![cfg(feature = "derive")]

mod support;

use strongroom::Result;
use strongroom::handle::Limits;
use strongroom::prelude::*;
use strongroom::store::{Total, TotalCount};
use support::events::{Event, Short, made};
use support::{Watched, watched_with};

async fn events(count: usize) -> Result<Watched> {
    let limits = Limits::default().with_page_size(10).with_stream_page(7);
    let w = watched_with(limits, RetryPolicy::default());
    let events = w.db.collection::<Event>();
    events.ensure().await?;
    for made in events.insert_many(made(count)).await? {
        made?;
    }
    w.spy.take();
    w.spy.take_bulks();
    Ok(w)
}

#[tokio::test]
async fn pages_follow_one_another() -> Result<()> {
    let w = events(25).await?;
    let all = w.db.collection::<Event>();
    let f = Event::fields();
    let mut page = all
        .find(Filter::all())
        .sort(f.magnitude().desc())
        .total(Total::Exact)
        .page()
        .await?;
    assert_eq!(
        page.total(),
        Some(TotalCount {
            value: 25,
            exact: true
        })
    );
    let mut seen = Vec::new();
    loop {
        assert!(page.len() <= 10);
        seen.extend(page.iter().map(|event| (event.magnitude, event.id.clone())));
        // A cursor goes to a client as text and comes back.
        let cursor = page.cursor().map(ToString::to_string);
        let Some(next) = page.next().await? else {
            assert_eq!(cursor, None);
            break;
        };
        let again = all.find(Filter::all()).sort(f.magnitude().desc());
        let again = again.after(cursor.unwrap().parse()?).page().await?;
        assert_eq!(again[0].id, next[0].id);
        page = next;
    }
    assert_eq!(seen.len(), 25);
    assert!(
        seen.is_sorted_by(|a, b| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)),
        "{seen:?}"
    );

    let offset = all.find(Filter::all()).offset(20).limit(10).page().await?;
    assert_eq!((offset.len(), offset[0].id.as_str()), (5, "e020"));
    assert!(offset.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_page_can_be_changed_and_saved() -> Result<()> {
    let w = events(5).await?;
    let all = w.db.collection::<Event>();
    let mut page = all.find(Filter::all()).page().await?;
    page.iter_mut().next().unwrap().magnitude = 9.0;
    w.spy.take();
    let saved = all.save_many(page.iter_mut()).await?;
    assert_eq!(w.spy.take_bulks(), [1]);
    assert!(matches!(saved[0], Ok(Saved::Updated(_))));
    assert!(
        saved[1..]
            .iter()
            .all(|s| matches!(s, Ok(Saved::Unchanged(_))))
    );
    assert!(page.iter().all(|event| !event.is_changed()));
    assert_eq!(all.get("e000").await?.unwrap().magnitude, 9.0);
    Ok(())
}

#[tokio::test]
async fn one_first_and_count() -> Result<()> {
    let w = events(10).await?;
    let all = w.db.collection::<Event>();
    let f = Event::fields();
    let odd = || all.find(f.place().eq("odd"));
    assert_eq!(odd().count().await?, 5);
    assert_eq!(odd().limit(1).offset(3).count().await?, 5);
    assert_eq!(odd().first().await?.unwrap().id, "e001");
    let error = odd().one().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.collection().unwrap().as_str(), "events");
    let both = f.place().eq("odd").and(f.magnitude().eq(4.0));
    assert_eq!(all.find(both).one().await?.unwrap().id, "e009");
    assert!(all.find(f.place().eq("nowhere")).one().await?.is_none());
    assert!(all.find(f.place().eq("nowhere")).first().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn views_are_types_of_their_own() -> Result<()> {
    let w = events(3).await?;
    let all = w.db.collection::<Event>();
    let view = all.get_as::<Short>("e002").await?.unwrap();
    assert_eq!(*view, Short { magnitude: 2.0 });
    assert_eq!(view.key().id().as_str(), "e002");
    let f = Event::fields();
    all.patch("e002", f.magnitude().set(7.0), view.version())
        .await?;
    let page = all
        .find(Filter::all())
        .select((f.magnitude(),))
        .limit(2)
        .page_as::<Short>()
        .await?;
    let next = page.next().await?.unwrap();
    assert_eq!(next[0].magnitude, 7.0);
    assert!(next.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn bad_questions_are_refused_before_any_io() -> Result<()> {
    let w = events(3).await?;
    let all = w.db.collection::<Event>();
    for find in [
        all.find(Filter::all()).limit(0),
        all.find(Filter::all()).limit(10_001),
        all.find(Filter::all()).select(["a..b"]),
        all.find(Filter::all()).routing(""),
        all.find(Filter::all()).routing("eu"),
        all.find(Filter::eq("unknown", 1)?),
        all.find(Filter::all())
            .sort(Sort::ascending("unknown".parse()?)),
    ] {
        let text = format!("{find:?}");
        let error = find.page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert_eq!(error.collection().unwrap().as_str(), "events");
    }
    assert_eq!(w.spy.take(), []);
    Ok(())
}
