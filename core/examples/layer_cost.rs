//! What the layers of a handle cost a call: loads of one document from a store that answers at
//! once, with and without them.
//!
//! `cargo run --release -p strongroom-core --example layer_cost`

#![allow(clippy::print_stdout, reason = "an example")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::Result;
use strongroom_core::layers::{
    CheckLayer, CoalesceLayer, Intercept, Layer as _, LayerOptions, RetryLayer, Stack,
    TimeoutLayer, TraceLayer, default_stack,
};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::store::{EnsureRequest, LoadRequest, SaveRequest, Store, Write};

const CALLS: u32 = 2_000;
/// Without optimisation the figures mean nothing, and a few rounds show that it runs.
const ROUNDS: usize = if cfg!(debug_assertions) { 5 } else { 500 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let model = Model::builder("users").build()?;
    memory
        .ensure(EnsureRequest::new(Arc::clone(&model)))
        .await?;
    let key = Key::new("ada")?;
    let body = Body::parse(r#"{"name":"Ada"}"#)?;
    let write = Write::put(key.clone(), body, Expected::Absent);
    memory
        .save(SaveRequest::new(Arc::clone(&model), write))
        .await?;

    let stacks: [(&str, Arc<dyn Store>); 7] = [
        ("no layers", Arc::clone(&memory)),
        ("check", one(&memory, CheckLayer::new())),
        ("timeout", one(&memory, TimeoutLayer::default())),
        (
            "retry",
            Stack::new(Arc::clone(&memory))
                .layer(RetryLayer::default())
                .into_store(),
        ),
        (
            "coalescing",
            CoalesceLayer::default().wrap(Arc::clone(&memory)),
        ),
        (
            "trace, nobody listening",
            one(&memory, TraceLayer::default()),
        ),
        (
            "default stack",
            default_stack(Arc::clone(&memory), &LayerOptions::new()),
        ),
    ];
    let mut took = vec![Vec::new(); stacks.len()];
    for _ in 0..ROUNDS {
        for ((_, store), took) in stacks.iter().zip(&mut took) {
            took.push(round(store, &model, &key).await?);
        }
    }
    // Rounds are short and the best counts: the rest is what else the machine was doing.
    let best: Vec<Duration> = took
        .iter()
        .filter_map(|t| t.iter().min().copied())
        .collect();
    let bare = best.first().copied().unwrap_or_default();
    for ((name, _), best) in stacks.iter().zip(best) {
        let nanos = |d: Duration| d.as_nanos() / u128::from(CALLS);
        let more = nanos(best.saturating_sub(bare));
        println!("{name:<26}{:>6} ns a load, {more:>4} ns more", nanos(best));
    }
    Ok(())
}

fn one(store: &Arc<dyn Store>, layer: impl Intercept) -> Arc<dyn Store> {
    Stack::new(Arc::clone(store)).layer(layer).into_store()
}

async fn round(store: &Arc<dyn Store>, model: &Arc<Model>, key: &Key) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..CALLS {
        let request = LoadRequest::new(Arc::clone(model), vec![key.clone()]);
        black_box(store.load(request).await?);
    }
    Ok(start.elapsed())
}
