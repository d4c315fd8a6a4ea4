//! Nodes that are killed and restarted while writers write.
//!
//! What is acknowledged stays, nobody meets a conflict that is none, and where no other writer
//! competes every outcome is found out. Runs at full scale only, on a cluster that
//! `cargo xtask test --full` brings up; at small scale there is no cluster, and these tests say so
//! and end.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

mod load;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::layers::{LayerOptions, default_stack};
use strongroom_core::model::{Expected, FieldDeclaration, Key, Kind, Model, Version, WriteId};
use strongroom_core::store::EnsureRequest;
use strongroom_es::{EsOptions, EsStore};
use tokio::sync::Mutex;

use load::{Load, Way, number};
use nodes::{Cluster, Signal};

/// Only one test at a time ends nodes.
static CLUSTER: Mutex<()> = Mutex::const_new(());

/// How many documents are held at a version from before.
const HELD: usize = 40;

fn is_full() -> bool {
    let full = std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1");
    if !full {
        eprintln!("only `cargo xtask test --full` ends nodes of a cluster");
    }
    full
}

fn model() -> Arc<Model> {
    let suffix = WriteId::random().to_string();
    Model::builder(format!("cluster-{}", &suffix[..12]))
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer))
        .build()
        .unwrap()
}

/// A way to the collection by one node, under the layers of a handle. An engine that comes back
/// within two minutes is back in time.
async fn way(url: &str, options: EsOptions, model: &Arc<Model>) -> Way {
    let store = EsStore::connect_with(url, options).await.unwrap();
    let mut layers = LayerOptions::new();
    layers.retry.resolve_within = Duration::from_secs(120);
    layers.retry.deadline = Duration::from_secs(120);
    Way {
        store: default_stack(Arc::new(store), &layers),
        model: model.clone(),
    }
}

async fn ensure(way: &Way) {
    let ensure = EnsureRequest::new(way.model.clone());
    way.store.ensure(ensure).await.unwrap();
}

fn held(name: &str) -> impl Iterator<Item = Key> {
    (0..HELD).map(move |n| Key::new(format!("{name}-{n}")).unwrap())
}

/// Documents at the versions of their first write.
async fn hold(way: &Way, name: &str) -> Vec<(Key, Version)> {
    let mut documents = Vec::new();
    for key in held(name) {
        let version = way.put(&key, &json!({"n": 0}), Expected::Absent).await;
        documents.push((key, version.unwrap()));
    }
    documents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_of_primaries_is_killed() {
    if !is_full() {
        return;
    }
    let _alone = CLUSTER.lock().await;
    let cluster = Cluster::of_this_run().await;
    let (model, options) = (model(), EsOptions::default().shards(3).replicas(1));
    ensure(&way(&cluster.nodes[0].url, options.clone(), &model).await).await;
    cluster.wait_until_whole().await;
    let victim = cluster.primaries(model.name().as_str()).await[0];
    let (one, other) = ((victim + 1) % 3, (victim + 2) % 3);
    let ways = [
        way(&cluster.nodes[one].url, options.clone(), &model).await,
        way(&cluster.nodes[other].url, options, &model).await,
    ];
    let untouched = hold(&ways[0], "untouched").await;
    let touched = hold(&ways[0], "touched").await;

    let load = Load::begin(&ways);
    load.go_on(500).await;
    cluster.nodes[victim].end(Signal::Kill).await;
    load.go_on(500).await;
    // Versions from before match where nobody wrote, and nowhere else.
    let after = &ways[1];
    for (key, version) in &touched {
        let next = after.put(key, &json!({"n": 1}), *version).await.unwrap();
        let error = after
            .put(key, &json!({"n": 2}), *version)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{key}: {error:?}");
        assert_eq!(error.actual_version(), Some(next), "{key}");
    }
    cluster.wait_until_whole().await;
    load.go_on(500).await;
    load.end(&ways[0]).await;
    for (key, version) in &untouched {
        after.put(key, &json!({"n": 1}), *version).await.unwrap();
    }
    for (key, _) in untouched.iter().chain(&touched) {
        assert_eq!(number(&after.load(key).await.unwrap()), 1, "{key}");
    }
    let dropped = after.store.drop_collection(model.name().clone()).await;
    assert!(dropped.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_server_of_a_collection_is_restarted() {
    if !is_full() {
        return;
    }
    let _alone = CLUSTER.lock().await;
    let cluster = Cluster::of_this_run().await;
    let (model, options) = (model(), EsOptions::default().shards(1).replicas(0));
    ensure(&way(&cluster.nodes[0].url, options.clone(), &model).await).await;
    let server = cluster.primaries(model.name().as_str()).await[0];
    // Half of the writers talk to the server itself, half to one that passes their writes on.
    let ways = [
        way(&cluster.nodes[server].url, options.clone(), &model).await,
        way(&cluster.nodes[(server + 1) % 3].url, options, &model).await,
    ];
    let held = hold(&ways[0], "held").await;
    let load = Load::begin(&ways);
    for signal in [Signal::Term, Signal::Kill] {
        load.go_on(300).await;
        cluster.nodes[server].end(signal).await;
        cluster.wait_until_whole().await;
    }
    load.go_on(300).await;
    load.end(&ways[0]).await;
    for (key, version) in &held {
        ways[0].put(key, &json!({"n": 1}), *version).await.unwrap();
    }
    let dropped = ways[0].store.drop_collection(model.name().clone()).await;
    assert!(dropped.unwrap());
}
