//! Patching and deleting all that matches.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use strongroom::handle::{MatchingSummary, Stopped};
use strongroom::prelude::*;
use strongroom::query::Call;
use strongroom::store::{MatchingAction, MatchingRequest, Search as _};
use strongroom::{Operation, Result};
use support::{Watched, at, watched};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "jobs")]
struct Job {
    #[document(routing)]
    queue: String,
    #[document(id)]
    name: String,
    #[document(updated)]
    changed: Option<Timestamp>,
    state: String,
    tries: u32,
}

fn job(number: usize) -> Job {
    Job {
        queue: if number.is_multiple_of(2) { "a" } else { "b" }.to_owned(),
        name: format!("j{number:03}"),
        changed: None,
        state: "open".to_owned(),
        tries: 0,
    }
}

async fn filled(jobs: &Collection<Job>, count: usize) -> Result<()> {
    jobs.ensure().await?;
    for made in jobs.insert_many((0..count).map(job)).await? {
        made?;
    }
    Ok(())
}

async fn jobs(count: usize) -> Result<(Watched, Collection<Job>)> {
    let w = watched();
    let jobs = w.db.collection::<Job>();
    filled(&jobs, count).await?;
    w.spy.take();
    Ok((w, jobs))
}

async fn everything(jobs: Collection<Job>) -> Result<()> {
    filled(&jobs, 25).await?;
    let f = Job::fields();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let done = jobs
        .patch_matching(
            f.state().eq("open").and(f.name().lt("j020")),
            f.state().set("done").and(f.tries().increment(1)),
        )
        .step(8)
        .progress(move |progress| {
            let more = progress.after.is_some();
            told.lock().unwrap().push((progress.written, more));
        })
        .send()
        .await?;
    assert_eq!((done.written, done.failed, done.failures.len()), (20, 0, 0));
    assert_eq!(*seen.lock().unwrap(), [(8, true), (16, true), (20, false)]);
    assert_eq!(jobs.find(f.state().eq("done")).count().await?, 20);

    // A document that matches again after it was written is not written again.
    let all = jobs.patch_matching(Filter::all(), f.tries().increment(1));
    assert_eq!(all.step(3).send().await?.written, 25);
    assert_eq!(jobs.find(f.tries().eq(2)).count().await?, 20);
    assert_eq!(jobs.find(f.tries().eq(1)).count().await?, 5);

    let some = jobs.patch_matching(Filter::all(), f.tries().set(9));
    let behind = some.routing("b").after(("b", "j010")).send().await?;
    assert_eq!(behind.written, 7);
    let explained = jobs.delete_matching(f.tries().eq(9)).explain().await?;
    assert!(explained.to_string().contains("tries"), "{explained}");
    assert_eq!(jobs.find(f.tries().eq(9)).count().await?, 7);
    let gone = jobs.delete_matching(f.tries().eq(9)).step(5).send().await?;
    assert_eq!(
        (gone.written, jobs.find(Filter::all()).count().await?),
        (7, 18)
    );
    let none = jobs.delete_matching(f.tries().eq(9)).send().await?;
    assert_eq!((none.written, none.failed), (0, 0));

    // What a patch does not apply to is told, and does not stop the others.
    let odd = Patch::new().set("tries".parse()?, "many");
    jobs.patch_matching(f.name().lt("j004"), odd).send().await?;
    let done = jobs
        .patch_matching(Filter::all(), f.tries().increment(1))
        .step(2)
        .keep_failures(3)
        .send()
        .await?;
    assert_eq!((done.written, done.failed, done.failures.len()), (14, 4, 3));
    let (key, error) = &done.failures[2];
    assert_eq!(
        (key.id().as_str(), error.kind()),
        ("j002", ErrorKind::Invalid)
    );
    assert_eq!(error.key(), Some(key));
    Ok(())
}

#[tokio::test]
async fn in_memory() -> Result<()> {
    everything(strongroom::connect("memory:").await?.collection()).await
}

#[tokio::test]
async fn on_sqlite() -> Result<()> {
    everything(strongroom::connect("sqlite::memory:").await?.collection()).await
}

#[tokio::test]
async fn each_step_is_stamped_with_its_time() -> Result<()> {
    let (w, jobs) = jobs(4).await?;
    let f = Job::fields();
    let clock = w.clock.clone();
    clock.set(at(5_000));
    jobs.patch_matching(Filter::all(), f.state().set("done"))
        .step(2)
        .progress(move |_| clock.set(at(6_000)))
        .send()
        .await?;
    let mut changed = Vec::new();
    for number in 0..4 {
        let job = job(number);
        let stored = jobs.get((job.queue, job.name)).await?.unwrap();
        changed.push(stored.changed.unwrap().as_millis());
    }
    assert_eq!(changed, [5_000, 5_000, 6_000, 6_000]);
    Ok(())
}

#[tokio::test]
async fn a_step_that_fails_loses_nothing_of_what_was_done() -> Result<()> {
    let (w, jobs) = jobs(10).await?;
    let f = Job::fields();
    let add = || {
        jobs.patch_matching(Filter::all(), f.tries().increment(1))
            .step(3)
    };
    let spy = w.spy.clone();
    let failing = add().progress(move |progress| {
        if progress.written == 6 {
            let error = strongroom::Error::indeterminate("the reply was lost");
            spy.fail_next(Operation::PatchMatching, error);
        }
    });
    let error = failing.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(error.operation(), Some(Operation::PatchMatching));
    assert_eq!(error.collection().unwrap().as_str(), "jobs");
    assert!(error.message().contains("6 documents"), "{error}");
    let stopped = Stopped::<MatchingSummary>::of(&error).unwrap();
    assert_eq!(
        (stopped.summary().written, stopped.summary().failed),
        (6, 0)
    );
    let cause = stopped
        .source()
        .unwrap()
        .downcast_ref::<strongroom::Error>();
    assert!(cause.unwrap().message().starts_with("the reply was lost"));
    let after = stopped.summary().after.clone().unwrap();
    assert_eq!(after.id().as_str(), "j005");
    // Part of the lost step was written: another write of the same id stands for it.
    let mut part = MatchingRequest::new(
        jobs.model()?.clone(),
        Filter::all(),
        MatchingAction::Patch(f.tries().increment(1)),
    );
    part.after = Some(after);
    part.limit = 2;
    part.write_id = stopped.summary().write_id;
    assert_eq!(w.db.store().write_matching(part).await?.written, 2);
    let rest = add().resume(stopped.summary()).send().await?;
    assert_eq!(rest.written, 2);
    assert_eq!(jobs.find(f.tries().eq(1)).count().await?, 10);

    // What fails in passing is tried again without being seen.
    let busy = strongroom::Error::new(ErrorKind::Unavailable, "busy");
    w.spy.fail_next(Operation::DeleteMatching, busy);
    w.spy.take();
    assert_eq!(
        jobs.delete_matching(Filter::all()).send().await?.written,
        10
    );
    assert_eq!(w.spy.take(), [Operation::DeleteMatching; 2]);
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_any_io() -> Result<()> {
    let (w, jobs) = jobs(2).await?;
    let f = Job::fields();
    let patch = || f.state().set("x");
    let bad = [
        jobs.patch_matching(Filter::all(), patch()).step(0),
        jobs.patch_matching(Filter::all(), patch()).step(10_001),
        jobs.patch_matching(Filter::all(), patch()).routing(""),
        jobs.patch_matching(Filter::all(), patch()).after(""),
        jobs.patch_matching(Filter::all(), patch())
            .after("without routing"),
        jobs.patch_matching(Filter::all(), Patch::new()),
        jobs.patch_matching(Filter::all(), f.name().set("x")),
        jobs.patch_matching(Filter::eq("unknown", 1)?, patch()),
        jobs.delete_matching(Filter::eq("tries", "x")?),
    ];
    for write in bad {
        let text = format!("{write:?}");
        let error = write.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert_eq!(error.collection().unwrap().as_str(), "jobs");
        let stopped = Stopped::<MatchingSummary>::of(&error).unwrap();
        assert_eq!(stopped.summary().written, 0, "{text}");
    }
    // What a single patch would do and this one cannot is refused, not left out.
    let computing = jobs.with_computed(f.state(), Call::new("upper")?.value("x"));
    let error = computing
        .patch_matching(Filter::all(), patch())
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(w.spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn it_belongs_to_its_transaction() -> Result<()> {
    let (w, jobs) = jobs(4).await?;
    let tx = w.db.begin(Default::default()).await?;
    let gone = tx
        .collection::<Job>()
        .delete_matching(Filter::all())
        .step(3);
    assert_eq!(gone.send().await?.written, 4);
    tx.rollback().await?;
    assert_eq!(jobs.find(Filter::all()).count().await?, 4);
    Ok(())
}
