//! Elasticsearch: the typed path beside the official client by hand.
//!
//! The client's arm works as a service without the adapter would: an index of its own with a
//! mapping of the same fields, the document as the source, the calls of the API for each operation.
//! Both indices have the same shards and live on the same server.

mod lone;
mod pages;
mod raw;
mod streams;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use elasticsearch::http::transport::Transport;
use strongroom::prelude::*;
use strongroom::store::Schema;
use strongroom_es::{EsOptions, EsStore};
use tokio::runtime::Runtime;

use self::raw::ByHand;
use crate::documents::{Account, Quake};
use crate::measure::Report;

type Failure = Box<dyn std::error::Error>;

/// Names the server's URL. `cargo xtask bench elasticsearch` starts a server and sets it.
pub const URL: &str = "STRONGROOM_TEST_ELASTICSEARCH_URL";
/// What the names of these scenarios begin with.
pub const FAMILY: &str = "elasticsearch";

/// How many primary shards both indices have.
const SHARDS: u32 = 3;
/// How many documents a collection holds.
const DOCUMENTS: usize = 10_000;
/// How long each arm runs before it is measured: the server compiles what it runs often.
const WARM_UP: Duration = Duration::from_secs(3);

/// Runs the scenarios that were asked for; without a server, none.
pub fn run(report: &mut Report) -> Result<(), Failure> {
    let Ok(url) = std::env::var(URL) else {
        report.note(format!("{FAMILY}: left out, because {URL} names no server"));
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    report.set_warm_up(WARM_UP);
    let server = Server { url, runtime };
    lone::load::<Account>(report, &server)?;
    lone::load::<Quake>(report, &server)?;
    lone::save::<Account>(report, &server)?;
    lone::save::<Quake>(report, &server)?;
    lone::bulk::<Account>(report, &server)?;
    lone::bulk::<Quake>(report, &server)?;
    tasks::save(report, &server)?;
    tasks::load(report, &server)?;
    pages::run(report, &server)?;
    streams::run(report, &server)
}

/// Where the server is, and the runtime of both arms.
struct Server {
    url: String,
    runtime: Runtime,
}

/// The same documents in a collection and in an index by hand.
struct Fixture<T: Document> {
    by_hand: ByHand<T>,
    collection: Collection<T>,
    /// What the typed arm holds.
    held: Vec<Versioned<T>>,
    store: EsStore,
}

impl<T: Document + Clone> Fixture<T> {
    /// Stores the documents in both, whole and visible.
    async fn new(server: &Server, documents: Vec<T>) -> Result<Self, Failure> {
        let options = EsOptions::default().shards(SHARDS).replicas(0);
        let store = EsStore::connect_with(&server.url, options).await?;
        let db = Database::new(Arc::new(store.clone()));
        let collection = db.collection::<T>();
        if !collection.ensure().await?.created {
            let name = T::model()?.name().clone();
            return Err(format!("the server has a collection {name}, which is not touched").into());
        }
        let transport = Transport::single_node(&server.url)?;
        let mut by_hand = ByHand::create(transport, SHARDS).await?;
        by_hand.fill(&documents).await?;
        let created = collection.insert_many(documents).await?;
        let held = created.into_iter().collect::<Result<Vec<_>, _>>()?;
        for index in [by_hand.index(), T::model()?.name().as_str()] {
            by_hand.settle(index).await?;
        }
        Ok(Self {
            by_hand,
            collection,
            held,
            store,
        })
    }

    /// Drops the collection and the index.
    async fn remove(self) -> Result<(), Failure> {
        self.store
            .drop_collection(T::model()?.name().clone())
            .await?;
        self.by_hand.remove().await
    }
}
