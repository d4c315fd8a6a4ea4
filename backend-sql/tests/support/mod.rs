//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnectOptions, Postgres};
use strongroom_core::model::{Body, Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{
    BulkItem, BulkRequest, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Write,
};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

pub mod proxy;

pub use proxy::{At, Cut, Proxy};

/// The server's URL. Without one the test fails: nothing is skipped.
pub fn url() -> String {
    std::env::var("STRONGROOM_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!(
            "no server to test with: run `cargo xtask servers up postgres` and then \
             `eval \"$(cargo xtask servers env)\"`, or set STRONGROOM_TEST_POSTGRES_URL to the URL \
             of a PostgreSQL database"
        )
    })
}

/// The options and the store of this server.
pub type Options = PostgresOptions;
pub type SqlStore = PostgresStore;

/// What the server is called.
pub const ENGINE: &str = "postgresql";
/// A condition that the server refuses when it looks at a document.
pub const WRONG: &str = "1 / (1 - 1) = 1";

/// How the tests speak to the server.
pub fn options() -> PostgresOptions {
    PostgresOptions::from_url(&url()).unwrap()
}

/// A store on the server.
pub async fn store() -> PostgresStore {
    PostgresStore::connect(options()).await.unwrap()
}

/// A store whose connections the server knows by a name of their own.
pub struct Named {
    pub name: String,
    pub store: PostgresStore,
    pub model: Arc<Model>,
}

impl Named {
    /// Connects, and makes a collection.
    pub async fn connect(connections: usize) -> Self {
        let name = format!("test-{}", WriteId::random());
        let url = url();
        let sign = if url.contains('?') { '&' } else { '?' };
        let options = PostgresOptions::from_url(&format!("{url}{sign}application_name={name}"))
            .unwrap()
            .connections(connections)
            .wait(Duration::from_secs(5));
        let store = PostgresStore::connect(options).await.unwrap();
        let model = Model::builder(name.as_str()).build().unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        Self { name, store, model }
    }

    /// The URL of the store's database.
    pub fn url(&self) -> String {
        url()
    }

    /// How many connections of the store are in a transaction without a statement under way.
    pub async fn idle_in_transaction(&self) -> i64 {
        self.ask(IN_TRANSACTION).await
    }

    /// Ends all connections of the store, and tells how many there were.
    pub async fn end_all(&self) -> i64 {
        self.ask(END_ALL).await
    }

    /// What the server answers about the store's connections, asked on another one.
    pub async fn ask(&self, what: &'static str) -> i64 {
        let options: PgConnectOptions = url().parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        query_scalar::<Postgres, i64>(what)
            .bind(&self.name)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// A request to put a document that holds this number.
    pub fn put(&self, id: &str, n: usize) -> SaveRequest {
        let body = Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
        let write = Write::put(Key::new(id).unwrap(), body, Expected::Any);
        SaveRequest::new(self.model.clone(), write)
    }

    /// A request of this write.
    pub fn save(&self, write: Write) -> SaveRequest {
        SaveRequest::new(self.model.clone(), write)
    }

    /// A request of these items.
    pub fn bulk(&self, items: Vec<BulkItem>) -> BulkRequest {
        BulkRequest::new(self.model.clone(), items)
    }

    /// The version of a document.
    pub async fn version(&self, key: Key) -> Option<Version> {
        let request = LoadRequest::new(self.model.clone(), vec![key]);
        let loaded = self.store.load(request).await.unwrap();
        loaded.first().unwrap().as_ref().map(|found| found.version)
    }

    /// Waits until a statement of the store waits for a lock.
    pub async fn until_someone_waits(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.ask(WAITING).await == 0 {
            assert!(Instant::now() < deadline, "no statement waits");
        }
    }

    /// The number that a document holds.
    pub async fn number(&self, id: &str) -> u64 {
        let request = LoadRequest::new(self.model.clone(), vec![Key::new(id).unwrap()]);
        let loaded = self.store.load(request).await.unwrap();
        let body = loaded.first().unwrap().as_ref().unwrap().body.to_object();
        body.unwrap().get("n").unwrap().as_u64().unwrap()
    }

    /// Drops the collection.
    pub async fn done(self) {
        assert!(
            self.store
                .drop_collection(self.model.name().clone())
                .await
                .unwrap()
        );
        self.store.close().await.unwrap();
    }
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE application_name = $1 AND wait_event_type = 'Lock'";

const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE application_name = $1 AND state LIKE 'idle in transaction%'";
const END_ALL: &str = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
     WHERE application_name = $1";
