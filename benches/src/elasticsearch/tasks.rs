//! A thousand callers at a time, joined by the layer that joins them, beside the client's single
//! calls.

use std::sync::Arc;

use strongroom::prelude::*;
use tokio::sync::Mutex;

use super::{DOCUMENTS, Failure, Fixture, Server};
use crate::documents::{Account, Sample};
use crate::measure::{Line, Report, tasks, until};

const TASKS: usize = 1_000;

/// Tasks that each save a document of their own again and again.
pub(super) fn save(report: &mut Report, server: &Server) -> Result<(), Failure> {
    let name = format!("elasticsearch: {TASKS} tasks saving, accounts");
    if !report.wants(&name) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let mut fixture = runtime.block_on(Fixture::new(server, Account::samples(TASKS)))?;
    let handle = fixture.by_hand.handle();
    let share = |held: Vec<_>| held.into_iter().map(|d| Arc::new(Mutex::new(d))).collect();
    let by_hand: Vec<Arc<Mutex<_>>> = share(std::mem::take(&mut fixture.by_hand.held));
    let typed = std::mem::take(&mut fixture.held);
    let typed: Vec<_> = typed.into_iter().map(|d| Arc::new(Mutex::new(d))).collect();
    report.compare(
        &name,
        Line::AtLeast(8.0),
        &mut |length| {
            runtime.block_on(tasks(TASKS, |n| {
                let (handle, held) = (handle.clone(), by_hand[n].clone());
                until(length, async move || {
                    let (document, place) = &mut *held.lock().await;
                    document.touch(Timestamp::now());
                    let saved = handle.save(document, document.id(), *place).await;
                    *place = saved.expect("the save runs");
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
    runtime.block_on(fixture.remove())
}

/// Tasks that each load one document after another.
pub(super) fn load(report: &mut Report, server: &Server) -> Result<(), Failure> {
    let name = format!("elasticsearch: {TASKS} tasks loading, accounts");
    if !report.wants(&name) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let fixture = runtime.block_on(Fixture::new(server, Account::samples(DOCUMENTS)))?;
    let handle = fixture.by_hand.handle();
    let ids: Vec<String> = fixture.held.iter().map(|d| d.id().to_owned()).collect();
    let ids = Arc::new(ids);
    report.compare(
        &name,
        Line::AtLeast(4.0),
        &mut |length| {
            runtime.block_on(tasks(TASKS, |mut at| {
                let (handle, ids) = (handle.clone(), ids.clone());
                until(length, async move || {
                    at = (at + 7_919) % ids.len();
                    let (found, _) = handle.load(&ids[at]).await.expect("the load runs");
                    assert_eq!(found.id, ids[at]);
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
    runtime.block_on(fixture.remove())
}
