use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::testing::{FakeStore, Fault, Step, counter, key, model};
use super::*;
use crate::error::Operation::{self, Bulk as Bulked, Load as Loaded, Save as Saved};
use crate::model::{Expected, Model, Version};
use crate::store::{Effect, Write};

/// How long a call that is held up takes.
const LATE: Duration = Duration::from_secs(1);

fn late() -> Step {
    Step::fault(Fault::Delay(LATE))
}

fn wrap(fake: &Arc<FakeStore>, in_flight: usize) -> Arc<dyn Store> {
    let options = CoalesceOptions {
        in_flight,
        ..CoalesceOptions::default()
    };
    CoalesceLayer::new(options).wrap(fake.clone())
}

type Task<T> = JoinHandle<Result<T>>;

/// Begins a save and lets it come as far as it gets.
async fn save(store: &Arc<dyn Store>, model: &Arc<Model>, write: Write) -> Task<Receipt> {
    let (store, request) = (store.clone(), SaveRequest::new(model.clone(), write));
    let task = tokio::spawn(async move { store.save(request).await });
    tokio::task::yield_now().await;
    task
}

fn put(id: &str, expected: impl Into<Expected>) -> Write {
    Write::put(key(id), counter(1), expected)
}

async fn effects(tasks: Vec<Task<Receipt>>) -> Vec<std::result::Result<Effect, ErrorKind>> {
    let done = join_all(tasks).await.into_iter();
    done.map(|task| task.unwrap().map(|r| r.effect).map_err(|e| e.kind()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn lone_calls_go_as_they_are() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    for id in ["a", "b"] {
        let saved = save(&store, &model, put(id, Expected::Absent)).await;
        assert_eq!(saved.await.unwrap().unwrap().effect, Effect::Created);
    }
    let request = LoadRequest::new(model.clone(), vec![key("a")]);
    assert!(store.load(request).await.unwrap()[0].is_some());
    assert_eq!(fake.calls(), [Saved, Saved, Loaded]);
}

#[tokio::test(start_paused = true)]
async fn those_that_come_meanwhile_go_together_with_an_outcome_each() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    fake.write(&put("there", Expected::Any)).unwrap();
    fake.script([late()]);
    let stale = Version::first(77);
    let mut tasks = Vec::new();
    for write in [
        put("first", Expected::Absent),
        put("a", Expected::Absent),
        put("there", Expected::Absent),
        put("there2", stale),
        put("b", Expected::Any),
    ] {
        tasks.push(save(&store, &model, write).await);
    }
    assert_eq!(fake.calls(), [Saved]);
    use ErrorKind::{AlreadyExists, NotFound};
    assert_eq!(
        effects(tasks).await,
        [
            Ok(Effect::Created),
            Ok(Effect::Created),
            Err(AlreadyExists),
            Err(NotFound),
            Ok(Effect::Created)
        ]
    );
    assert_eq!(fake.calls(), [Saved, Bulked]);
}

#[tokio::test(start_paused = true)]
async fn writes_of_one_document_go_one_after_another_in_order() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 2), model());
    fake.script([late()]);
    let mut tasks = Vec::new();
    // The second waits although there is room: its document is in flight.
    tasks.push(save(&store, &model, put("a", Expected::Absent)).await);
    for _ in 0..3 {
        tasks.push(save(&store, &model, put("a", Expected::Absent)).await);
        tasks.push(save(&store, &model, Write::delete(key("a"), Expected::Present)).await);
    }
    tasks.push(save(&store, &model, put("b", Expected::Absent)).await);
    tasks.push(save(&store, &model, put("a", Expected::Absent)).await);
    let found = effects(tasks).await;
    let (gone, there) = (Ok(Effect::Deleted), Ok(Effect::Created));
    assert_eq!(
        found,
        [
            there,
            Err(ErrorKind::AlreadyExists),
            gone,
            there,
            gone,
            there,
            gone,
            there,
            there
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_before_it_was_sent_is_not_sent() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    fake.script([late()]);
    let first = save(&store, &model, put("first", Expected::Absent)).await;
    let gone = put("gone", Expected::Absent);
    let task = save(&store, &model, gone.clone()).await;
    let other = save(&store, &model, put("other", Expected::Absent)).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(
        effects(vec![first, other]).await,
        [Ok(Effect::Created), Ok(Effect::Created)]
    );
    assert_eq!(fake.times_applied(gone.write_id), 0);
    assert_eq!(fake.calls(), [Saved, Saved], "the other one was alone then");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_in_flight_harms_no_other() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    fake.script([late(), late()]);
    let first = save(&store, &model, put("first", Expected::Absent)).await;
    let gone = save(&store, &model, put("gone", Expected::Absent)).await;
    let other = save(&store, &model, put("other", Expected::Absent)).await;
    sleep(LATE + LATE / 2).await;
    assert_eq!(fake.calls(), [Saved, Bulked]);
    gone.abort();
    let done = effects(vec![first, other]).await;
    assert_eq!(done, [Ok(Effect::Created), Ok(Effect::Created)]);

    // Also where the one that goes away made its call at once.
    fake.script([Step::fault(Fault::Hang)]);
    let hanging = save(&store, &model, put("hanging", Expected::Absent)).await;
    let next = save(&store, &model, put("next", Expected::Absent)).await;
    hanging.abort();
    assert_eq!(effects(vec![next]).await, [Ok(Effect::Created)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_waits_for_is_dropped() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    fake.script([late(), Step::fault(Fault::Hang)]);
    let first = save(&store, &model, put("first", Expected::Absent)).await;
    let hanging = [
        save(&store, &model, put("a", Expected::Absent)).await,
        save(&store, &model, put("b", Expected::Absent)).await,
    ];
    sleep(LATE * 2).await;
    assert_eq!(fake.calls(), [Saved, Bulked]);
    for task in &hanging {
        task.abort();
    }
    // The lane is free again, for the same documents too.
    let after = save(&store, &model, put("a", Expected::Absent)).await;
    let done = effects(vec![first, after]).await;
    assert_eq!(done, [Ok(Effect::Created), Ok(Effect::Created)]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_one_item_spoils_is_made_again_as_singles() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    fake.script([late(), Step::fault(Fault::Before(ErrorKind::Invalid))]);
    let mut tasks = Vec::new();
    for id in ["first", "a", "b"] {
        tasks.push(save(&store, &model, put(id, Expected::Absent)).await);
    }
    let done = effects(tasks).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(fake.calls(), [Saved, Bulked, Saved, Saved]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_told_to_each() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Indeterminate,
    ] {
        let fake = FakeStore::new();
        let (store, model) = (wrap(&fake, 1), model());
        fake.script([late(), Step::fault(Fault::After(kind))]);
        let mut tasks = Vec::new();
        for id in ["first", "a", "b"] {
            tasks.push(save(&store, &model, put(id, Expected::Absent)).await);
        }
        let done = effects(tasks).await;
        assert_eq!(done, [Ok(Effect::Created), Err(kind), Err(kind)]);
        assert_eq!(fake.calls(), [Saved, Bulked], "nothing is sent again here");
    }
}

#[tokio::test(start_paused = true)]
async fn loads_of_one_part_of_bodies_go_together() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 1), model());
    for id in ["a", "b"] {
        fake.write(&put(id, Expected::Any)).unwrap();
    }
    let load = |keys: &[&str], part: bool| {
        let mut request = LoadRequest::new(model.clone(), keys.iter().map(|id| key(id)).collect());
        if part {
            request.source = crate::query::SourceFilter::include(["n"
                .parse::<crate::query::FieldPattern>()
                .unwrap()]);
        }
        let store = store.clone();
        tokio::spawn(async move { store.load(request).await })
    };
    fake.script([late()]);
    let tasks = [
        load(&["a"], false),
        load(&["a", "none", "a"], false),
        load(&[], false),
        load(&["b"], true),
        load(&["b"], false),
    ];
    let mut found = Vec::new();
    for task in tasks {
        let documents = task.await.unwrap().unwrap();
        found.push(
            documents
                .into_iter()
                .map(|d| d.map(|d| d.key))
                .collect::<Vec<_>>(),
        );
    }
    let (a, b) = (Some(key("a")), Some(key("b")));
    assert_eq!(
        found,
        [
            vec![a.clone()],
            vec![a.clone(), None, a],
            vec![],
            vec![b.clone()],
            vec![b]
        ]
    );
    assert_eq!(fake.calls(), [Loaded, Loaded, Loaded]);
}

#[tokio::test(start_paused = true)]
async fn requests_have_a_most_of_items_and_bytes() {
    let fake = FakeStore::new();
    let model = model();
    let options = CoalesceOptions {
        in_flight: 1,
        max_items: 3,
        max_bytes: 2 * counter(1).len(),
        max_queued: 4,
    };
    let store = CoalesceLayer::new(options).wrap(fake.clone());
    fake.script([late()]);
    let mut tasks = Vec::new();
    for n in 0..12 {
        let write = match n {
            0..6 => put(&format!("p{n}"), Expected::Absent),
            _ => Write::delete(key(&format!("d{n}")), Expected::Any),
        };
        tasks.push(save(&store, &model, write).await);
    }
    assert!(effects(tasks).await.iter().all(Result::is_ok));
    let calls = fake.calls();
    let bulks = calls
        .iter()
        .filter(|call| **call == Operation::Bulk)
        .count();
    // Two puts by their bytes, three deletes by their number; the queue holds four at a time.
    assert!((4..=6).contains(&bulks), "{calls:?}");
    assert_eq!(fake.applied().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_lose_nothing() {
    let fake = FakeStore::new();
    let (store, model) = (wrap(&fake, 2), model());
    let tasks = (0..64).map(|task| {
        let (store, model) = (store.clone(), model.clone());
        tokio::spawn(async move {
            for n in 0..50 {
                let at = key(&format!("k{}", (task * 7 + n) % 40));
                let write = Write::put(at.clone(), counter(n), Expected::Any);
                let request = SaveRequest::new(model.clone(), write.clone());
                store.save(request).await.unwrap();
                let load = LoadRequest::new(model.clone(), vec![at]);
                assert!(store.load(load).await.unwrap()[0].is_some());
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(fake.applied().len(), 64 * 50);
}
