//! Import, export, copies and comparisons, in memory and on SQLite.
#![cfg(all(feature = "derive", feature = "sqlite", feature = "transfer"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where something is wrong"
)]

mod support;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};
use strongroom::handle::Stopped;
use strongroom::handle::transfer::{
    CopySummary, Difference, Existing, ImportSummary, copy_collection,
};
use strongroom::prelude::*;
use strongroom::{Operation, Result};
use support::{Watched, watched};
use tokio::io::{AsyncWrite, BufReader};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "notes")]
struct Note {
    #[document(id)]
    id: String,
    #[document(keyword, unique)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    #[serde(default)]
    n: i64,
    #[document(created)]
    created: Option<Timestamp>,
}

fn note(id: &str, n: i64) -> Note {
    Note {
        id: id.to_owned(),
        slug: None,
        n,
        created: None,
    }
}

async fn notes(url: &str) -> Result<Collection<Note>> {
    let notes = strongroom::connect(url).await?.collection();
    notes.ensure().await?;
    Ok(notes)
}

async fn filled(url: &str, count: i64) -> Result<Collection<Note>> {
    let notes = notes(url).await?;
    let many = (0..count).map(|n| note(&format!("n{n:04}"), n));
    for made in notes.insert_many(many).await? {
        made?;
    }
    Ok(notes)
}

fn lines(text: &[u8]) -> Vec<&str> {
    std::str::from_utf8(text).unwrap().lines().collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() -> Result<()> {
    for url in ["memory:", "sqlite::memory:"] {
        let notes = filled(url, 2_345).await?;
        // A member that the type does not know, and characters that lines could trip over.
        let odd = "{\"id\":\"odd\\u2028\\n\",\n\"n\":-0.0e0,\r\n \"x\":{\"ü\":[1,null]}}";
        let odd_id = "odd\u{2028}\n";
        let file = odd.replace("-0.0e0", "7").replace(['\n', '\r'], " ");
        notes.import(file.as_bytes()).send().await?;
        let mut out = Vec::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let export = notes.find(Filter::all()).batch(100).export(&mut out);
        let export = export.progress(move |so_far| told.lock().unwrap().push(so_far));
        let done = export.send().await?;
        assert_eq!(done.documents, 2_346);
        assert_eq!(done.bytes, out.len() as u64);
        assert_eq!(seen.lock().unwrap().last(), Some(&done));
        assert_eq!(lines(&out).len(), 2_346);
        assert!(lines(&out).iter().any(|line| line.contains("\"x\":{\"ü\"")));

        let again = self::notes(url).await?;
        let from = BufReader::with_capacity(7, &out[..]);
        let done = again.import(from).batch(500).send().await?;
        assert_eq!((done.lines, done.written, done.failed), (2_346, 2_346, 0));
        let report = copy_collection(&notes, &again)?.verify().await?;
        assert!(report.is_same(), "{report}");
        assert!(again.get(odd_id).await?.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn lines_that_are_no_documents_are_told_by_number() -> Result<()> {
    let notes = filled("memory:", 1).await?;
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    let text = format!(
        "\u{feff}{{\"id\":\"a\"}}\r\n\n  \n{{\"id\":\"b\"}} trailing\n{{\"id\":7}}\n[1]\n{long}\n\
         {{\"id\":\"n0000\"}}\n{{\"id\":\"\"}}\n{{\"id\":\"z\"}}"
    );
    let done = notes.import(text.as_bytes()).batch(2).send().await?;
    assert_eq!((done.lines, done.written), (10, 2));
    let failures: Vec<_> = done.failures.iter().map(|(n, e)| (*n, e.kind())).collect();
    use ErrorKind::{AlreadyExists, Codec, Invalid};
    assert_eq!(failures[..2], [(4, Invalid), (5, Codec)]);
    assert_eq!(
        failures[3..],
        [(7, Invalid), (8, AlreadyExists), (9, Invalid)]
    );
    assert_eq!(failures[2].0, 6);
    assert!(
        done.failures[3].1.message().contains("line has"),
        "{:?}",
        done.failures[3]
    );
    assert!(notes.get("a").await?.is_some() && notes.get("z").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn what_is_there_is_refused_kept_or_replaced() -> Result<()> {
    let text = "{\"id\":\"n0000\",\"n\":9}\n{\"id\":\"n0001\",\"n\":9}\n{\"id\":\"new\",\"n\":9}\n";
    for (existing, counts, n) in [
        (Existing::Refuse, (1, 0, 2), 0),
        (Existing::Keep, (1, 2, 0), 0),
        (Existing::Replace, (3, 0, 0), 9),
    ] {
        let notes = filled("memory:", 2).await?;
        let done = notes
            .import(text.as_bytes())
            .existing(existing)
            .send()
            .await?;
        assert_eq!((done.written, done.kept, done.failed), counts);
        assert_eq!(notes.get("n0000").await?.unwrap().n, n);
    }
    Ok(())
}

#[tokio::test]
async fn stamps_that_a_line_has_are_kept() -> Result<()> {
    let notes = notes("sqlite::memory:").await?;
    let text = "{\"id\":\"old\",\"created\":5}\n{\"id\":\"new\"}\n";
    notes.import(text.as_bytes()).send().await?;
    let created = |note: Option<Versioned<Note>>| note.unwrap().created.unwrap().as_millis();
    assert_eq!(created(notes.get("old").await?), 5);
    assert!(created(notes.get("new").await?) > 1_000_000);
    Ok(())
}

#[tokio::test]
async fn a_stopped_import_goes_on() -> Result<()> {
    let Watched { db, spy, .. } = watched();
    let notes = db.collection::<Note>();
    notes.ensure().await?;
    let text: String = (0..10).map(|n| format!("{{\"id\":\"n{n}\"}}\n")).collect();
    let import = |skip| notes.import(text.as_bytes()).batch(2).skip_lines(skip);
    let failing = spy.clone();
    let import_failing = import(0).progress(move |so_far| {
        if so_far.lines == 4 {
            let error = Error::new(ErrorKind::Unauthorized, "the right is gone");
            failing.fail_next(Operation::Bulk, error);
        }
    });
    let error = import_failing.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(
        error.message().contains("4 lines were done with"),
        "{error}"
    );
    let stopped = Stopped::<ImportSummary>::of(&error).unwrap();
    assert_eq!((stopped.summary().lines, stopped.summary().written), (4, 4));
    let done = import(stopped.summary().lines).send().await?;
    assert_eq!((done.lines, done.written, done.failed), (10, 6, 0));
    Ok(())
}

/// Takes so many bytes and fails then.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Poll::Ready(match taken {
            0 => Err(std::io::Error::other("no space left")),
            _ => Ok(taken),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_export_to_a_full_disk_says_so() -> Result<()> {
    let notes = filled("sqlite::memory:", 5_000).await?;
    let export = notes.find(Filter::all()).export(Full(100_000));
    let error = export.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("no space left"), "{error}");
    assert_eq!(notes.find(Filter::all()).count().await?, 5_000);
    Ok(())
}

#[tokio::test]
async fn a_copy_can_be_put_again_and_finds_what_differs() -> Result<()> {
    for (from, to) in [
        ("memory:", "sqlite::memory:"),
        ("sqlite::memory:", "memory:"),
    ] {
        let from = filled(from, 1_234).await?;
        let to = strongroom::connect(to).await?.collection::<Note>();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let copy = copy_collection(&from, &to)?.batch(100);
        let copy = copy.progress(move |so_far| told.lock().unwrap().push(so_far.copied));
        let done = copy.send().await?;
        assert_eq!((done.copied, done.failed), (1_234, 0));
        assert_eq!(done.after, Some(Key::new("n1233")?));
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen.len(), 14);
        assert_eq!((seen[0], seen[1], seen[13]), (0, 100, 1_234));

        // Nothing is written again.
        let version = to.get("n0007").await?.unwrap().version();
        let done = copy_collection(&from, &to)?.send().await?;
        assert_eq!((done.copied, done.unchanged), (0, 1_234));
        assert_eq!(to.get("n0007").await?.unwrap().version(), version);

        to.update("n0003", |note| note.n = -1).await?;
        to.delete("n0005", Expected::Any).await?;
        to.insert(note("n0005b", 1)).await?;
        to.insert(note("zz", 1)).await?;
        let report = copy_collection(&from, &to)?.batch(64).verify().await?;
        let found = report.differences.iter();
        let found: Vec<_> = found.map(|(key, how)| (key.id().as_str(), *how)).collect();
        assert_eq!(
            found,
            [
                ("n0003", Difference::Body),
                ("n0005", Difference::Missing),
                ("n0005b", Difference::Extra),
                ("zz", Difference::Extra),
            ]
        );
        assert_eq!((report.from.documents, report.to.documents), (1_234, 1_235));
        assert!(!report.is_same() && report.to_string().contains("4 documents differ"));

        for (existing, kept, n) in [
            (Existing::Refuse, 0, -1),
            (Existing::Keep, 1, -1),
            (Existing::Replace, 0, 3),
        ] {
            let done = copy_collection(&from, &to)?
                .existing(existing)
                .send()
                .await?;
            assert_eq!(done.kept, kept);
            let failed = done.failures.iter().map(|(_, error)| error.kind());
            let refused = existing == Existing::Refuse;
            let expected = refused.then_some(ErrorKind::AlreadyExists);
            assert_eq!(failed.collect::<Vec<_>>(), Vec::from_iter(expected));
            assert_eq!(to.get("n0003").await?.unwrap().n, n);
        }
        to.delete_matching(Filter::ids(["n0005b", "zz"])?)
            .send()
            .await?;
        let report = copy_collection(&from, &to)?.verify().await?;
        assert!(report.is_same(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_part_is_copied_and_compared() -> Result<()> {
    let from = filled("memory:", 100).await?;
    let to = notes("sqlite::memory:").await?;
    let f = Note::fields();
    let part = || Ok::<_, Error>(copy_collection(&from, &to)?.filter(f.n().lt(10)));
    assert_eq!(part()?.send().await?.copied, 10);
    assert!(part()?.verify().await?.is_same());
    assert!(!copy_collection(&from, &to)?.verify().await?.is_same());
    Ok(())
}

#[tokio::test]
async fn a_stopped_copy_goes_on_behind_its_last_key() -> Result<()> {
    let from = filled("sqlite::memory:", 100).await?;
    let Watched { db, spy, .. } = watched();
    let to = db.collection::<Note>();
    to.ensure().await?;
    let failing = spy.clone();
    let copy = copy_collection(&from, &to)?
        .batch(10)
        .progress(move |so_far| {
            if so_far.copied == 30 {
                let error = Error::new(ErrorKind::Unauthorized, "the right is gone");
                failing.fail_next(Operation::Bulk, error);
            }
        });
    let error = copy.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let stopped = Stopped::<CopySummary>::of(&error).unwrap().summary();
    assert_eq!(stopped.copied, 30);
    let after = stopped.after.clone().unwrap();
    assert_eq!(after, Key::new("n0029")?);
    let done = copy_collection(&from, &to)?.after(after).send().await?;
    assert_eq!((done.copied, done.unchanged), (70, 0));
    assert!(copy_collection(&from, &to)?.verify().await?.is_same());
    Ok(())
}

#[tokio::test]
async fn a_document_that_is_refused_does_not_stop_the_others() -> Result<()> {
    let from = filled("memory:", 5).await?;
    let slug = |id: &str| Note {
        slug: Some("same".to_owned()),
        ..note(id, 1)
    };
    from.insert(slug("n0002b")).await?;
    let to = notes("sqlite::memory:").await?;
    to.insert(slug("other")).await?;
    let done = copy_collection(&from, &to)?.send().await?;
    assert_eq!((done.copied, done.failed), (5, 1));
    assert_eq!(done.failures[0].0, Key::new("n0002b")?);
    assert_eq!(done.failures[0].1.kind(), ErrorKind::UniqueViolation);
    Ok(())
}
