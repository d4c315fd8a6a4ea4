//! Many callers at a time, joined by the layer that joins them, beside sqlx's pool of 8 with its
//! defaults. That arm is fixed.

use std::sync::Arc;

use sqlx_core::executor::Executor;
use sqlx_core::pool::{Pool, PoolOptions};
use strongroom::prelude::*;
use tokio::sync::Mutex;

use super::{ByHand, Connection, DOCUMENTS, Failure, Server};
use crate::documents::{Account, Sample};
use crate::measure::{Line, Report, tasks, until};

const TASKS: usize = 64;

async fn pool<B: ByHand>(url: &str) -> sqlx_core::Result<Pool<B::Driver>> {
    PoolOptions::new().max_connections(8).connect(url).await
}

/// Tasks that each save a document of their own again and again.
pub(super) fn save<B: ByHand>(report: &mut Report, server: &Server) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = format!("{}: {TASKS} tasks saving, accounts", B::FAMILY);
    let samples = || Account::samples(DOCUMENTS);
    server.on::<B, Account>(report, &[&name], samples, |report, fixture| {
        let runtime = &server.runtime;
        let pool = runtime.block_on(pool::<B>(&server.url))?;
        let by_hand = std::mem::take(&mut fixture.by_hand);
        let by_hand: Vec<_> = by_hand
            .into_iter()
            .map(|d| Arc::new(Mutex::new(d)))
            .collect();
        let typed = std::mem::take(&mut fixture.held);
        let typed: Vec<_> = typed.into_iter().map(|d| Arc::new(Mutex::new(d))).collect();
        report.compare(
            &name,
            Line::AtLeast(B::SAVES),
            &mut |length| {
                runtime.block_on(tasks(TASKS, |n| {
                    let (pool, held) = (pool.clone(), by_hand[n].clone());
                    until(length, async move || {
                        let (document, version) = &mut *held.lock().await;
                        document.touch(Timestamp::now());
                        let mut connection = pool.acquire().await.expect("a connection");
                        let saved =
                            B::save(&mut connection, &document.id, document, *version).await;
                        *version = saved.expect("the save runs");
                    })
                }))
            },
            &mut |length| {
                runtime.block_on(tasks(TASKS, |n| {
                    let (collection, held) = (fixture.collection.clone(), typed[n].clone());
                    until(length, async move || {
                        let mut document = held.lock().await;
                        document.change();
                        let saved = collection.save(&mut document).await;
                        assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
                    })
                }))
            },
        );
        runtime.block_on(pool.close());
        Ok(())
    })
}

/// Tasks that each load one document after another.
pub(super) fn load<B: ByHand>(report: &mut Report, server: &Server) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = format!("{}: {TASKS} tasks loading, accounts", B::FAMILY);
    let samples = || Account::samples(DOCUMENTS);
    server.on::<B, Account>(report, &[&name], samples, |report, fixture| {
        let runtime = &server.runtime;
        let pool = runtime.block_on(pool::<B>(&server.url))?;
        let ids: Vec<String> = fixture.held.iter().map(|d| d.id.clone()).collect();
        let ids = Arc::new(ids);
        report.compare(
            &name,
            Line::AtLeast(4.0),
            &mut |length| {
                runtime.block_on(tasks(TASKS, |mut at| {
                    let (pool, ids) = (pool.clone(), ids.clone());
                    until(length, async move || {
                        at = (at + 7_919) % ids.len();
                        let mut connection = pool.acquire().await.expect("a connection");
                        let loaded = B::load::<Account>(&mut connection, &ids[at]).await;
                        assert_eq!(loaded.expect("the load runs").0.id, ids[at]);
                    })
                }))
            },
            &mut |length| {
                runtime.block_on(tasks(TASKS, |mut at| {
                    let (collection, ids) = (fixture.collection.clone(), ids.clone());
                    until(length, async move || {
                        at = (at + 7_919) % ids.len();
                        let found = collection.get(ids[at].as_str()).await;
                        let found = found.expect("the load runs").expect("it is there");
                        assert_eq!(found.id, ids[at]);
                    })
                }))
            },
        );
        runtime.block_on(pool.close());
        Ok(())
    })
}
