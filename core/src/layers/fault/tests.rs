use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::error::Operation;
use crate::layers::testing::{FakeStore, counter, key, model};
use crate::layers::{Layer, LayerOptions, default_stack};
use crate::model::Expected;
use crate::query::Filter;
use crate::store::*;

fn faulty() -> (Arc<FakeStore>, FaultPlan, Arc<dyn Store>) {
    let (fake, plan) = (FakeStore::new(), FaultPlan::new());
    let store = FaultLayer::new(plan.clone()).wrap(fake.clone());
    (fake, plan, store)
}

fn create(id: &str) -> Write {
    Write::put(key(id), counter(1), Expected::Absent)
}

/// Makes the call of one operation and tells how it ended.
async fn call(store: &dyn Store, operation: Operation) -> Result<()> {
    let name = || model().name().clone();
    let begin = async || {
        let transact = store.transact().unwrap();
        transact.begin(BeginOptions::new()).await
    };
    match operation {
        Operation::Load => {
            let request = LoadRequest::new(model(), vec![key("a")]);
            store.load(request).await.map(drop)
        }
        Operation::Save => {
            let request = SaveRequest::new(model(), create("a"));
            store.save(request).await.map(drop)
        }
        Operation::Bulk => {
            let request = BulkRequest::new(model(), vec![create("a").into()]);
            store.bulk(request).await.map(drop)
        }
        Operation::Find => {
            let request = FindRequest::new(model(), Filter::all());
            store.find(request).await.map(drop)
        }
        Operation::Count => {
            let request = CountRequest::new(model(), Filter::all());
            store.count(request).await.map(drop)
        }
        Operation::Ensure => store.ensure(EnsureRequest::new(model())).await.map(drop),
        Operation::Describe => store.describe(name()).await.map(drop),
        Operation::DropCollection => store.drop_collection(name()).await.map(drop),
        Operation::Refresh => store.refresh(name()).await,
        Operation::Ready => store.ready(Duration::ZERO).await.map(drop),
        Operation::ServerInfo => store.server_info().await.map(drop),
        Operation::Begin => begin().await.map(drop),
        Operation::Commit => begin().await.unwrap().commit().await,
        Operation::Rollback => begin().await.unwrap().rollback().await,
        Operation::Close => store.close().await,
        other => panic!("{other} is no operation of the family yet"),
    }
}

const OPERATIONS: [Operation; 15] = [
    Operation::Load,
    Operation::Save,
    Operation::Bulk,
    Operation::Find,
    Operation::Count,
    Operation::Ensure,
    Operation::Describe,
    Operation::DropCollection,
    Operation::Refresh,
    Operation::Ready,
    Operation::ServerInfo,
    Operation::Begin,
    Operation::Commit,
    Operation::Rollback,
    Operation::Close,
];

#[tokio::test]
async fn every_operation_fails_before_and_after_its_inner_call() {
    use Operation::{Bulk, Commit, DropCollection, Ensure, Save};
    for operation in OPERATIONS {
        let (fake, plan, store) = faulty();
        let made = || {
            fake.calls()
                .iter()
                .filter(|made| **made == operation)
                .count()
        };
        let is_write = [Save, Bulk, Commit, Ensure, DropCollection].contains(&operation);
        let lost = match is_write {
            true => ErrorKind::Indeterminate,
            false => ErrorKind::Unavailable,
        };
        let refused = ErrorKind::Unauthorized;
        let faults = [
            (Fault::Before(refused), refused, 0),
            (Fault::RequestLost, lost, 0),
            (Fault::After(refused), refused, 1),
            (Fault::ReplyLost, lost, 2),
        ];
        for (fault, kind, calls) in faults {
            plan.add(FaultRule::new(fault.clone()).on(operation));
            let error = call(&*store, operation).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{operation} {fault:?}");
            assert_eq!(error.operation(), Some(operation));
            assert_eq!(made(), calls, "{operation} {fault:?}");
            plan.clear();
        }
        plan.add(FaultRule::new(Fault::HangBefore).on(operation));
        assert!(call(&*store, operation).now_or_never().is_none());
        assert_eq!(made(), 2, "{operation}");
        plan.clear();
        plan.add(FaultRule::new(Fault::HangAfter).on(operation));
        assert!(call(&*store, operation).now_or_never().is_none());
        assert_eq!(made(), 3, "{operation}");
        assert_eq!(plan.faults(), 6);
    }
}

#[tokio::test]
async fn rules_choose_their_calls() {
    let (_, plan, store) = faulty();
    let load = || call(&*store, Operation::Load);
    let failed = async |count: usize| {
        let mut failed = Vec::new();
        for at in 1..=count {
            if load().await.is_err() {
                failed.push(at);
            }
        }
        failed
    };
    let rule = || FaultRule::new(Fault::Before(ErrorKind::Unavailable)).on(Operation::Load);
    plan.add(rule().nth(2));
    assert_eq!(failed(4).await, [2]);
    plan.clear();
    plan.add(rule().first(2));
    assert_eq!(failed(4).await, [1, 2]);
    plan.clear();
    plan.add(rule().every(3));
    assert_eq!(failed(7).await, [3, 6]);
    plan.clear();
    plan.add(rule().matching(|call| call.key() == Some(&key("b"))));
    assert!(failed(3).await.is_empty());
    plan.clear();
    plan.add(rule().with_probability(0.0));
    assert!(failed(100).await.is_empty());
    plan.clear();
    plan.add(rule().with_probability(1.0));
    assert_eq!(failed(100).await.len(), 100);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let run = async |seed| {
        let plan = FaultPlan::with_seed(seed);
        plan.add(FaultRule::new(Fault::RequestLost).with_probability(0.25));
        let store = FaultLayer::new(plan).wrap(FakeStore::new());
        let mut failed = Vec::new();
        for _ in 0..1_000 {
            failed.push(call(&*store, Operation::Load).await.is_err());
        }
        failed
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    let failed = first.iter().filter(|failed| **failed).count();
    assert!((180..320).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_takes_effect_late() {
    let (_, plan, store) = faulty();
    plan.add(FaultRule::new(Fault::Delay(Duration::from_secs(3))));
    let start = tokio::time::Instant::now();
    call(&*store, Operation::Save).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_default_layers_heal_what_can_be_healed() {
    let (fake, plan, broken) = faulty();
    let store = default_stack(broken, &LayerOptions::new());
    let heals = [
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::Before(ErrorKind::Unavailable),
        Fault::HangBefore,
        Fault::HangAfter,
    ];
    for (at, fault) in heals.into_iter().enumerate() {
        plan.clear();
        plan.add(FaultRule::new(fault.clone()).on(Operation::Save).nth(1));
        let write = create(&at.to_string());
        let id = write.write_id;
        let receipt = store.save(SaveRequest::new(model(), write)).await;
        assert_eq!(receipt.unwrap().effect, Effect::Created, "{fault:?}");
        assert_eq!(fake.times_applied(id), 1, "{fault:?}");
    }
    plan.clear();
    plan.add(FaultRule::new(Fault::ItemsLost(vec![0, 2])).on(Operation::Bulk));
    let items = ["x", "y", "z"].map(|id| create(id).into()).to_vec();
    let reply = store.bulk(BulkRequest::new(model(), items)).await.unwrap();
    assert!(reply.is_ok(), "{reply:?}");
    assert_eq!(fake.applied().len(), 8);
}
