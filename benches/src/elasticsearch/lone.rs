//! One caller at a time: loads, guarded saves, bulks.

use strongroom::prelude::*;

use super::raw::BULK;
use super::{DOCUMENTS, Failure, Fixture, Server};
use crate::documents::Sample;
use crate::measure::{Line, Report};

/// One load after another by key.
pub(super) fn load<T: Sample>(report: &mut Report, server: &Server) -> Result<(), Failure> {
    let name = format!("elasticsearch: lone load, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let fixture = runtime.block_on(Fixture::<T>::new(server, T::samples(DOCUMENTS)))?;
    let handle = fixture.by_hand.handle();
    let ids: Vec<&str> = fixture.held.iter().map(|d| d.id()).collect();
    report.compare_each(
        runtime,
        &name,
        Line::AtMost(1.10),
        ids.len(),
        async |n| {
            let (found, _) = handle.load(ids[n]).await.expect("the load runs");
            assert_eq!(found.id(), ids[n]);
        },
        async |n| {
            let found = fixture.collection.get(ids[n]).await;
            let found = found.expect("the load runs").expect("it is there");
            assert_eq!(found.id(), ids[n]);
        },
    );
    runtime.block_on(fixture.remove())
}

/// One guarded save after another, each of a changed document.
pub(super) fn save<T: Sample>(report: &mut Report, server: &Server) -> Result<(), Failure> {
    let name = format!("elasticsearch: lone guarded save, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let mut fixture = runtime.block_on(Fixture::<T>::new(server, T::samples(DOCUMENTS)))?;
    let handle = fixture.by_hand.handle();
    let (by_hand, typed) = (&mut fixture.by_hand.held, &mut fixture.held);
    report.compare_each(
        runtime,
        &name,
        Line::AtMost(1.10),
        DOCUMENTS,
        async |n| {
            let (document, place) = &mut by_hand[n];
            document.touch(Timestamp::now());
            let saved = handle.save(document, document.id(), *place).await;
            *place = saved.expect("the save runs");
        },
        async |n| {
            let document = &mut typed[n];
            document.change();
            let saved = fixture.collection.save(document).await;
            assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
        },
    );
    runtime.block_on(fixture.remove())
}

/// Bulks of documents saved at their versions.
pub(super) fn bulk<T: Sample>(report: &mut Report, server: &Server) -> Result<(), Failure> {
    let name = format!("elasticsearch: guarded bulk of {BULK}, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let mut fixture = runtime.block_on(Fixture::<T>::new(server, T::samples(DOCUMENTS)))?;
    let Fixture {
        by_hand,
        collection,
        held,
        ..
    } = &mut fixture;
    let (mut a, mut b) = (0, 0);
    let next = |at: &mut usize| {
        let from = *at;
        *at = (*at + BULK) % DOCUMENTS;
        from
    };
    report.compare_in_turns(
        runtime,
        &name,
        Line::AtMost(1.15),
        async || {
            let from = next(&mut a);
            let now = Timestamp::now();
            for (document, _) in &mut by_hand.held[from..from + BULK] {
                document.touch(now);
            }
            by_hand.save_all(from).await.expect("the bulk runs");
            BULK as u64
        },
        async || {
            let from = next(&mut b);
            let part = &mut held[from..from + BULK];
            for document in &mut *part {
                document.change();
            }
            let saved = collection.save_many(part).await;
            assert!(saved.expect("the bulk runs").iter().all(Result::is_ok));
            BULK as u64
        },
    );
    runtime.block_on(fixture.remove())
}
