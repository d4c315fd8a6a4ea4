//! SQL servers: the typed path beside sqlx by hand.
//!
//! The reference works as a service without the adapter would: a table of its own, one statement
//! for each operation, prepared, the bodies serialised and parsed by hand; on one connection where
//! there is one caller, and on sqlx's own pool with its defaults where there are many. Both tables
//! live in the same database. The scenarios are the same for every server; what a server needs
//! besides is a [`ByHand`].

mod lone;
mod mariadb;
mod pages;
mod postgres;
pub mod streams;
mod tasks;

use std::sync::Arc;

use sqlx_core::connection::Connection as _;
use sqlx_core::database::Database as Driver;
use sqlx_core::executor::Executor;
use sqlx_core::raw_sql::raw_sql;
use strongroom::layers::{Coalesce, LayerOptions};
use strongroom::prelude::*;
use strongroom::store::Store;
use tokio::runtime::Runtime;

pub use self::mariadb::MariaDb;
pub use self::postgres::Postgres;
use crate::documents::{Account, Quake};
use crate::measure::Report;

type Failure = Box<dyn std::error::Error>;

/// How many documents a collection holds.
const DOCUMENTS: usize = 10_000;
/// How many documents a statement of a bulk by hand writes.
const BULK: usize = 1_000;

/// A connection of the server's driver.
type Connection<B> = <<B as ByHand>::Driver as Driver>::Connection;

/// A server's statements for the table `by_hand`, whose columns are the id, the version and the
/// body, as a service without the adapter would write them.
pub trait ByHand: Send + Sync + 'static {
    /// sqlx's driver.
    type Driver: Driver;

    /// What the names of the scenarios begin with.
    const FAMILY: &'static str;
    /// Names the server's URL. `cargo xtask bench` starts a server and sets it.
    const URL: &'static str;
    /// How many times as many saves as the pool's, at least.
    const SAVES: f64;
    /// Makes the table.
    const CREATE: &'static str;
    /// Makes the indexes of orders: by customer and id, by the time of the order and id.
    const INDEX: &'static str;
    /// Tells the server to look at the tables anew.
    const SETTLE: &'static str;

    /// The adapter's store.
    fn store(url: &str) -> impl Future<Output = Result<Arc<dyn Store>, Error>>;

    /// Creates documents at the version 1.
    fn insert_all<T: Document>(
        connection: &mut Connection<Self>,
        documents: &[T],
    ) -> impl Future<Output = sqlx_core::Result<()>> + Send;

    /// Loads one document with its version.
    fn load<T: Document>(
        connection: &mut Connection<Self>,
        id: &str,
    ) -> impl Future<Output = sqlx_core::Result<(T, i64)>> + Send;

    /// Saves one document at its version and hands out the next one.
    fn save<T: Document>(
        connection: &mut Connection<Self>,
        id: &str,
        document: &T,
        version: i64,
    ) -> impl Future<Output = sqlx_core::Result<i64>> + Send;

    /// Saves documents at their versions in one transaction, [`BULK`] by a statement, and gives
    /// them their next versions.
    fn save_all<T: Document>(
        connection: &mut Connection<Self>,
        documents: &mut [(T, i64)],
    ) -> impl Future<Output = sqlx_core::Result<()>>;

    /// Finds a page of orders.
    fn page<T: Document>(
        connection: &mut Connection<Self>,
        asked: &pages::Asked,
    ) -> impl Future<Output = sqlx_core::Result<Vec<(T, i64)>>>;

    /// Reads all documents in the order of their ids, one after another, and counts them.
    fn stream<T: Document>(
        connection: &mut Connection<Self>,
    ) -> impl Future<Output = sqlx_core::Result<u64>>;
}

/// Runs the scenarios of a server that were asked for; without the server, none.
pub fn run<B: ByHand>(report: &mut Report) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let Ok(url) = std::env::var(B::URL) else {
        let (family, variable) = (B::FAMILY, B::URL);
        report.note(format!(
            "{family}: left out, because {variable} names no server"
        ));
        return Ok(());
    };
    let server = Server {
        url,
        runtime: runtime()?,
    };
    lone::load::<B, Account>(report, &server)?;
    lone::load::<B, Quake>(report, &server)?;
    lone::save::<B, Account>(report, &server)?;
    lone::save::<B, Quake>(report, &server)?;
    lone::bulk::<B, Account>(report, &server)?;
    lone::bulk::<B, Quake>(report, &server)?;
    lone::joined::<B>(report, &server)?;
    tasks::save::<B>(report, &server)?;
    tasks::load::<B>(report, &server)?;
    pages::run::<B>(report, &server)?;
    streams::run::<B>(report, &server)
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// Where the server is, and the runtime of both arms.
struct Server {
    url: String,
    runtime: Runtime,
}

impl Server {
    /// Measures on documents that are stored for it, if one of the scenarios was asked for.
    fn on<B: ByHand, T: Document + Clone>(
        &self,
        report: &mut Report,
        names: &[&str],
        documents: impl FnOnce() -> Vec<T>,
        measure: impl FnOnce(&mut Report, &mut Fixture<B, T>) -> Result<(), Failure>,
    ) -> Result<(), Failure>
    where
        for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
    {
        if !names.iter().any(|name| report.wants(name)) {
            return Ok(());
        }
        let mut fixture = self.runtime.block_on(Fixture::new(self, documents()))?;
        measure(report, &mut fixture)?;
        self.runtime.block_on(fixture.remove())
    }
}

/// The same documents in a collection and in a table by hand.
struct Fixture<B: ByHand, T: Document> {
    connection: Connection<B>,
    /// What the reference holds.
    by_hand: Vec<(T, i64)>,
    collection: Collection<T>,
    /// What the typed arm holds.
    held: Vec<Versioned<T>>,
    store: Arc<dyn Store>,
}

impl<B: ByHand, T: Document + Clone> Fixture<B, T>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    /// Stores the documents in both.
    async fn new(server: &Server, documents: Vec<T>) -> Result<Self, Failure> {
        let store = B::store(&server.url).await?;
        let collection = Database::new(store.clone()).collection::<T>();
        if !collection.ensure().await?.created {
            let name = T::model()?.name().clone();
            return Err(format!("the server has a collection {name}, which is not touched").into());
        }
        let mut connection = Connection::<B>::connect(&server.url).await?;
        raw_sql(B::CREATE).execute(&mut connection).await?;
        for part in documents.chunks(BULK) {
            B::insert_all(&mut connection, part).await?;
        }
        let created = collection.insert_many(documents.clone()).await?;
        raw_sql(B::SETTLE).execute(&mut connection).await?;
        Ok(Self {
            connection,
            by_hand: documents.into_iter().map(|d| (d, 1)).collect(),
            collection,
            held: created.into_iter().collect::<Result<_, _>>()?,
            store,
        })
    }

    /// The collection, without the layer that joins calls.
    fn without_joining(&self) -> Collection<T> {
        let mut layers = LayerOptions::new();
        layers.coalesce = Coalesce::Off;
        let db = Database::builder(self.store.clone()).layers(layers).build();
        db.collection()
    }

    /// Drops the collection and the table.
    async fn remove(mut self) -> Result<(), Failure> {
        let name = T::model()?.name().clone();
        self.store.drop_collection(name).await?;
        self.store.close().await?;
        raw_sql("DROP TABLE by_hand")
            .execute(&mut self.connection)
            .await?;
        Ok(self.connection.close().await?)
    }
}
