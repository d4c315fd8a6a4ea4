//! The default layers over a store in memory that loses requests and replies, under concurrency.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use std::sync::Arc;
use std::time::Duration;

use strongroom_core::layers::{
    Fault, FaultLayer, FaultPlan, FaultRule, Layer, LayerOptions, default_stack,
};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::patch::Patch;
use strongroom_core::store::{BulkRequest, EnsureRequest, LoadRequest, SaveRequest, Store, Write};
use strongroom_core::{ErrorKind, Operation, Result};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

struct Counters {
    store: Arc<dyn Store>,
    plan: FaultPlan,
    model: Arc<Model>,
}

impl Counters {
    async fn new(seed: u64, keys: &[&str]) -> Result<Self> {
        let plan = FaultPlan::with_seed(seed);
        let broken = FaultLayer::new(plan.clone()).wrap(Arc::new(MemoryStore::new()));
        let mut options = LayerOptions::new();
        options.retry.attempts = 20;
        options.retry.min_delay = Duration::from_micros(100);
        options.retry.max_delay = Duration::from_millis(2);
        let store = default_stack(broken, &options);
        let model = Model::builder("counters").build()?;
        store.ensure(EnsureRequest::new(Arc::clone(&model))).await?;
        for key in keys {
            let body = Body::parse(r#"{"n":0}"#)?;
            let write = Write::put(Key::new(key)?, body, Expected::Absent);
            store
                .save(SaveRequest::new(Arc::clone(&model), write))
                .await?;
        }
        for (fault, probability) in [
            (Fault::RequestLost, 0.05),
            (Fault::ReplyLost, 0.05),
            (Fault::Before(ErrorKind::Unavailable), 0.05),
        ] {
            plan.add(
                FaultRule::new(fault)
                    .on(Operation::Save)
                    .on(Operation::Bulk)
                    .on(Operation::Load)
                    .with_probability(probability),
            );
        }
        Ok(Self { store, plan, model })
    }

    fn bump(key: &str) -> Result<Write> {
        let patch = Patch::new().increment("n".parse()?, 1);
        Ok(Write::patch(Key::new(key)?, patch, Expected::Any))
    }

    /// The counters as they are, without faults.
    async fn read(&self, keys: &[&str]) -> Result<Vec<u64>> {
        self.plan.clear();
        let keys = keys.iter().map(Key::new).collect::<Result<Vec<_>>>()?;
        let request = LoadRequest::new(Arc::clone(&self.model), keys);
        let found = self.store.load(request).await?;
        let count = |body: &Body| body.decode::<serde_json::Value>().unwrap()["n"].as_u64();
        Ok(found
            .iter()
            .map(|d| count(&d.as_ref().unwrap().body).unwrap())
            .collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_on_its_document_every_unguarded_patch_counts_exactly_once() -> Result<()> {
    let counters = Arc::new(Counters::new(1, &KEYS).await?);
    let tasks: Vec<_> = KEYS
        .map(|key| {
            let counters = Arc::clone(&counters);
            tokio::spawn(async move {
                for _ in 0..200 {
                    let request = SaveRequest::new(counters.model.clone(), Counters::bump(key)?);
                    counters.store.save(request).await?;
                }
                Result::Ok(())
            })
        })
        .into();
    for task in tasks {
        task.await.unwrap()?;
    }
    assert!(counters.plan.faults() > 50);
    assert_eq!(counters.read(&KEYS).await?, [200; 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_patches_count_once_or_say_that_nobody_knows() -> Result<()> {
    let counters = Arc::new(Counters::new(2, &["a"]).await?);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let counters = Arc::clone(&counters);
            tokio::spawn(async move {
                let (mut sure, mut unknown) = (0, 0);
                for _ in 0..100 {
                    let request = SaveRequest::new(counters.model.clone(), Counters::bump("a")?);
                    match counters.store.save(request).await {
                        Ok(_) => sure += 1,
                        Err(error) if error.kind() == ErrorKind::Indeterminate => unknown += 1,
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                }
                Result::Ok((sure, unknown))
            })
        })
        .collect();
    let (mut sure, mut unknown) = (0, 0);
    for task in tasks {
        let (more, less) = task.await.unwrap()?;
        (sure, unknown) = (sure + more, unknown + less);
    }
    let counted = counters.read(&["a"]).await?[0];
    assert!(
        (sure..=sure + unknown).contains(&counted),
        "{counted} counted, {sure} sure, {unknown} unknown"
    );
    assert!(sure > 600, "{sure} sure, {unknown} unknown");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulks_count_each_item_exactly_once() -> Result<()> {
    for atomic in [false, true] {
        let counters = Counters::new(3, &KEYS).await?;
        for _ in 0..100 {
            let items = KEYS.iter().map(|key| Ok(Counters::bump(key)?.into()));
            let items = items.collect::<Result<Vec<_>>>()?;
            let mut request = BulkRequest::new(counters.model.clone(), items);
            request.atomic = atomic;
            let reply = counters.store.bulk(request).await?;
            assert!(reply.is_ok(), "{reply:?}");
        }
        assert!(counters.plan.faults() > 10);
        assert_eq!(counters.read(&KEYS).await?, [100; 4]);
    }
    Ok(())
}
