//! Cursors that go through other hands.
#![cfg(feature = "derive")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use strongroom::handle::Streaming;
use strongroom::layers::Layer as _;
use strongroom::memory::MemoryStore;
use strongroom::model::Key as DocumentKey;
use strongroom::prelude::*;
use strongroom::query::{Cursor, CursorKey, Position};
use strongroom::{Operation, Result};
use support::Spy;

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "notes")]
struct Note {
    #[document(id)]
    id: String,
    size: i64,
}

struct Scene {
    spy: Spy,
    signing: Collection<Note>,
    /// The same documents through a database without a key, and one with another key.
    plain: Collection<Note>,
    foreign: Collection<Note>,
}

async fn scene() -> Result<Scene> {
    let spy = Spy::default();
    let store = spy.clone().wrap(Arc::new(MemoryStore::new()));
    let with = |secret: &[u8]| {
        let key = CursorKey::new(secret)?;
        let db = Database::builder(store.clone()).cursor_key(key).build();
        Result::Ok(db.collection::<Note>())
    };
    let signing = with(b"a secret of cursors")?;
    signing.ensure().await?;
    for size in 0..7 {
        let id = format!("n{size}");
        signing.insert(Note { id, size }).await?;
    }
    spy.take();
    Ok(Scene {
        signing,
        plain: Database::new(store.clone()).collection(),
        foreign: with(b"another secret of cursors")?,
        spy,
    })
}

async fn text(notes: &Collection<Note>) -> Result<String> {
    let page = notes.find(Filter::all()).limit(3).page().await?;
    Ok(page.cursor().unwrap().to_string())
}

async fn refused(notes: &Collection<Note>, text: &str, words: &str) {
    let find = |cursor| notes.find(Filter::all()).after(cursor);
    let asked = async {
        let cursor: Cursor = text.parse()?;
        let before = notes
            .find(Filter::all())
            .before(cursor.clone())
            .page()
            .await;
        before.map(drop).unwrap_err();
        let streamed = find(cursor.clone()).stream().try_next().await;
        streamed.map(drop).unwrap_err();
        find(cursor.clone()).explain().await.unwrap_err();
        find(cursor).page().await
    };
    let error = asked.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains(words), "{error}");
}

#[tokio::test]
async fn a_signed_cursor_leads_on_and_back() -> Result<()> {
    let Scene { signing, .. } = scene().await?;
    let f = Note::fields();
    let by_size = || signing.find(Filter::all()).sort(f.size().desc()).limit(3);
    let first = by_size().page().await?;
    let text = first.cursor().unwrap().to_string();
    assert!(first.cursor().unwrap().is_signed());
    let second = by_size().after(text.parse()?).page().await?;
    assert_eq!(second[0].size, 3);
    let text = second.previous_cursor().unwrap().to_string();
    let again = by_size().before(text.parse()?).page().await?;
    assert_eq!(again[0].size, 6);
    // Pages lead on by themselves, and so do streams of pages.
    let third = second.next().await?.unwrap();
    assert_eq!((third.len(), third[0].size), (1, 0));
    assert_eq!(third.previous().await?.unwrap()[0].size, 3);
    let all = by_size()
        .limit(7)
        .batch(2)
        .streaming(Streaming::Paged)
        .stream();
    assert_eq!(all.try_collect::<Vec<_>>().await?.len(), 7);
    Ok(())
}

#[tokio::test]
async fn what_was_not_signed_here_is_refused_before_any_io() -> Result<()> {
    let Scene {
        signing,
        plain,
        foreign,
        spy,
    } = scene().await?;
    let (signed, unsigned, others) = (
        text(&signing).await?,
        text(&plain).await?,
        text(&foreign).await?,
    );
    spy.take();
    refused(&signing, &unsigned, "not signed").await;
    refused(&signing, &others, "another key").await;
    refused(&plain, &signed, "no key").await;
    // Every place of the text counts.
    for at in 0..signed.len() {
        let mut bytes = signed.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        refused(&signing, &String::from_utf8(bytes).unwrap(), "cursor").await;
    }
    // A place that the process makes up itself is not one that was handed out, either.
    let position = Position {
        values: Vec::new(),
        key: DocumentKey::new("n1")?,
    };
    let made_up = Cursor::new(position, signing.model()?.name(), &Filter::all(), &[], None);
    let error = signing
        .find(Filter::all())
        .after(made_up)
        .page()
        .await
        .unwrap_err();
    assert!(error.message().contains("not signed"), "{error}");
    assert_eq!(error.operation(), Some(Operation::Find));
    // One of another question.
    let another = signing.find(Filter::eq("size", 1)?).after(signed.parse()?);
    let error = another.page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("another query"), "{error}");
    assert_eq!(spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn a_context_binds_what_it_hands_out() -> Result<()> {
    let Scene {
        signing,
        plain,
        spy,
        ..
    } = scene().await?;
    let ours = signing.with_cursor_context("tenant 7");
    let text = text(&ours).await?;
    assert_eq!(
        ours.find(Filter::all())
            .after(text.parse()?)
            .page()
            .await?
            .len(),
        4
    );
    // What is set on the handle later keeps the context.
    let part = ours
        .select(["size"])
        .find(Filter::all())
        .after(text.parse()?);
    assert_eq!(part.page().await?.len(), 4);
    spy.take();
    refused(
        &signing.with_cursor_context("tenant 8"),
        &text,
        "another context",
    )
    .await;
    refused(&signing, &text, "another context").await;
    let unkeyed = plain.with_cursor_context("tenant 7");
    let error = unkeyed.find(Filter::all()).page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(spy.take(), []);
    Ok(())
}

#[test]
fn the_secret_is_never_shown() -> Result<()> {
    let key = CursorKey::new("a secret of cursors")?;
    let db = Database::builder(Arc::new(MemoryStore::new())).cursor_key(key);
    for shown in [format!("{db:?}"), format!("{:?}", db.build())] {
        assert!(shown.contains("CursorKey { .. }"), "{shown}");
    }
    Ok(())
}
