//! The nodes of the cluster: where they are, which shards they hold, and ending them.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::Transport;
use serde_json::Value;

/// How long a cluster may take to become whole on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A node, which comes back by itself when its process ends by a signal.
pub struct Node {
    /// Where it listens.
    pub url: String,
    name: String,
    /// Holds the id of its process, by which it is known to be one that was started for tests.
    pid_file: PathBuf,
}

/// How a process is ended.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// It may finish what it is doing.
    Term,
    /// At once.
    Kill,
}

impl Node {
    /// What the node answers, unless it does not.
    async fn ask(&self, path: &str) -> Option<Value> {
        let transport = Transport::single_node(&self.url).unwrap();
        let (query, body) = (None::<&[(&str, &str)]>, None::<bytes::Bytes>);
        let patience = Some(Duration::from_secs(10));
        let headers = HeaderMap::new();
        let reply = transport.send(Method::Get, path, headers, query, body, patience);
        let reply = reply.await.ok()?.error_for_status_code().ok()?;
        reply.json().await.ok()
    }

    /// The id of its process, by its own word.
    async fn process(&self) -> Option<u64> {
        let told = self.ask("/_nodes/_local/process").await?;
        let node = told["nodes"].as_object()?.values().next()?;
        node["process"]["id"].as_u64()
    }

    /// Ends the node's process, which must be the one that was started for tests.
    pub async fn end(&self, signal: Signal) {
        let process = self.process().await.unwrap().to_string();
        let started = std::fs::read_to_string(&self.pid_file).unwrap();
        assert_eq!(started.trim(), process, "{} is not ours", self.url);
        let signal = match signal {
            Signal::Term => "-TERM",
            Signal::Kill => "-KILL",
        };
        let ended = Command::new("kill").args([signal, &process]).status();
        assert!(ended.unwrap().success());
        wait_for("the end of the node", async || {
            self.process()
                .await
                .is_none_or(|now| now.to_string() != process)
        })
        .await;
    }
}

/// The cluster.
pub struct Cluster {
    /// Its nodes.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// The cluster of this run of the tests. Without one the test fails: nothing is skipped.
    pub async fn of_this_run() -> Self {
        let list = |variable: &str| -> Vec<String> {
            let value = std::env::var(variable).unwrap_or_else(|_| {
                panic!(
                    "no cluster to test with: run `cargo xtask test --full`, which sets {variable}"
                )
            });
            value.split(',').map(str::to_owned).collect()
        };
        let urls = list("STRONGROOM_TEST_ELASTICSEARCH_CLUSTER_URLS");
        let files = list("STRONGROOM_TEST_ELASTICSEARCH_CLUSTER_PIDS");
        assert_eq!((urls.len(), files.len()), (3, 3));
        let nodes = urls.into_iter().zip(files).enumerate();
        let nodes = nodes.map(|(n, (url, file))| Node {
            url,
            name: format!("node-{}", n + 1),
            pid_file: file.into(),
        });
        let cluster = Self {
            nodes: nodes.collect(),
        };
        cluster.wait_until_whole().await;
        cluster
    }

    /// Waits until all nodes are there and each shard has all its copies.
    pub async fn wait_until_whole(&self) {
        wait_for("a whole cluster", async || {
            for node in &self.nodes {
                let health = node.ask("/_cluster/health").await;
                if !health.is_some_and(|h| h["number_of_nodes"] == 3 && h["status"] == "green") {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Where the primaries of a collection are: for each shard the place of its node.
    pub async fn primaries(&self, collection: &str) -> Vec<usize> {
        let path = format!("/_cat/shards/{collection}?format=json&h=shard,prirep,node");
        let shards = self.nodes[0].ask(&path).await.unwrap();
        let mut places: Vec<(u32, usize)> = shards
            .as_array()
            .unwrap()
            .iter()
            .filter(|shard| shard["prirep"] == "p")
            .map(|shard| {
                let name = shard["node"].as_str().unwrap();
                let place = self.nodes.iter().position(|node| node.name == name);
                (
                    shard["shard"].as_str().unwrap().parse().unwrap(),
                    place.unwrap(),
                )
            })
            .collect();
        places.sort_unstable();
        places.into_iter().map(|(_, place)| place).collect()
    }
}

/// Asks until the answer is yes.
pub async fn wait_for(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
