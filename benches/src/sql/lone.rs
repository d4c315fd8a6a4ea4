//! One caller at a time: loads, guarded saves, bulks.

use sqlx_core::executor::Executor;
use strongroom::prelude::*;

use super::{ByHand, Connection, DOCUMENTS, Failure, Fixture, Server};
use crate::documents::{Account, Sample};
use crate::measure::{Line, Report};

/// One load after another by key.
pub(super) fn load<B: ByHand, T: Sample>(
    report: &mut Report,
    server: &Server,
) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = format!("{}: lone load, {}", B::FAMILY, T::TABLE);
    let samples = || T::samples(DOCUMENTS);
    server.on::<B, T>(report, &[&name], samples, |report, fixture| {
        let runtime = &server.runtime;
        let ids: Vec<String> = fixture.held.iter().map(|d| d.id().to_owned()).collect();
        let (connection, collection) = (&mut fixture.connection, &fixture.collection);
        report.compare_each(
            runtime,
            &name,
            Line::AtMost(1.15),
            DOCUMENTS,
            async |n| {
                let loaded = B::load::<T>(connection, &ids[n]).await;
                let (found, _) = loaded.expect("the load runs");
                assert_eq!(found.id(), ids[n]);
            },
            async |n| {
                let found = collection.get(ids[n].as_str()).await;
                let found = found.expect("the load runs").expect("it is there");
                assert_eq!(found.id(), ids[n]);
            },
        );
        Ok(())
    })
}

/// One guarded save after another, each of a changed document.
pub(super) fn save<B: ByHand, T: Sample>(
    report: &mut Report,
    server: &Server,
) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = format!("{}: lone guarded save, {}", B::FAMILY, T::TABLE);
    let samples = || T::samples(DOCUMENTS);
    server.on::<B, T>(report, &[&name], samples, |report, fixture| {
        let runtime = &server.runtime;
        let Fixture {
            connection,
            by_hand,
            collection,
            held,
            ..
        } = fixture;
        report.compare_each(
            runtime,
            &name,
            Line::AtMost(1.15),
            DOCUMENTS,
            async |n| {
                let (document, version) = &mut by_hand[n];
                document.touch(Timestamp::now());
                let saved = B::save(connection, document.id(), document, *version).await;
                *version = saved.expect("the save runs");
            },
            async |n| save_typed(collection, &mut held[n]).await,
        );
        Ok(())
    })
}

async fn save_typed<T: Sample>(collection: &Collection<T>, document: &mut Versioned<T>) {
    document.change();
    let saved = collection.save(document).await;
    assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
}

/// All documents saved at their versions, in one transaction.
pub(super) fn bulk<B: ByHand, T: Sample>(
    report: &mut Report,
    server: &Server,
) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = format!("{}: guarded bulk of {DOCUMENTS}, {}", B::FAMILY, T::TABLE);
    let samples = || T::samples(DOCUMENTS);
    server.on::<B, T>(report, &[&name], samples, |report, fixture| {
        let runtime = &server.runtime;
        let Fixture {
            connection,
            by_hand,
            collection,
            held,
            ..
        } = fixture;
        report.compare_in_turns(
            runtime,
            &name,
            Line::AtMost(1.25),
            async || {
                let now = Timestamp::now();
                by_hand.iter_mut().for_each(|(d, _)| d.touch(now));
                let saved = B::save_all(connection, by_hand).await;
                saved.expect("the bulk runs");
                DOCUMENTS as u64
            },
            async || {
                held.iter_mut().for_each(|document| document.change());
                let saved = collection.save_many(&mut *held).await;
                assert!(saved.expect("the bulk runs").iter().all(Result::is_ok));
                DOCUMENTS as u64
            },
        );
        Ok(())
    })
}

/// What joining calls costs those that come alone: the reference is the handle without the layer.
pub(super) fn joined<B: ByHand>(report: &mut Report, server: &Server) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let load = format!("{}: coalescing, lone load, accounts", B::FAMILY);
    let save = format!("{}: coalescing, lone guarded save, accounts", B::FAMILY);
    let samples = || Account::samples(DOCUMENTS);
    server.on::<B, Account>(report, &[&load, &save], samples, |report, fixture| {
        let (runtime, line) = (&server.runtime, Line::AtMost(1.05));
        let (on, off) = (fixture.collection.clone(), fixture.without_joining());
        if report.wants(&load) {
            let ids: Vec<String> = fixture.held.iter().map(|d| d.id().to_owned()).collect();
            let loaded = async |from: &Collection<Account>, n: usize| {
                let found = from.get(ids[n].as_str()).await;
                assert!(found.expect("the load runs").is_some());
            };
            report.compare_each(
                runtime,
                &load,
                line,
                DOCUMENTS,
                async |n| loaded(&off, n).await,
                async |n| loaded(&on, n).await,
            );
        }
        if report.wants(&save) {
            // Each arm has documents of its own.
            let (a, b) = fixture.held.split_at_mut(DOCUMENTS / 2);
            report.compare_each(
                runtime,
                &save,
                line,
                DOCUMENTS / 2,
                async |n| save_typed(&off, &mut a[n]).await,
                async |n| save_typed(&on, &mut b[n]).await,
            );
        }
        Ok(())
    })
}
