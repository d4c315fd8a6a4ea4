//! What the tests on the real server share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection};
use strongroom_core::model::{Body, Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{
    BulkItem, BulkRequest, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Write,
};
use strongroom_sqlx::{MariaDbOptions, MariaDbStore};

pub use crate::proxy::{At, Cut, Proxy};

/// The options and the store of this server.
pub type Options = MariaDbOptions;
pub type SqlStore = MariaDbStore;

/// What the server is called.
pub const ENGINE: &str = "mariadb";
/// A condition that the server refuses when it looks at a document.
pub const WRONG: &str = "(SELECT 1 UNION SELECT 2) = 1";

/// The server's URL. Without one the test fails: nothing is skipped.
pub fn url() -> String {
    let url = std::env::var("STRONGROOM_TEST_MARIADB_URL");
    assert!(
        url.is_ok(),
        "no server to test with: run `cargo xtask servers up mariadb` and then \
         `eval \"$(cargo xtask servers env)\"`, or set STRONGROOM_TEST_MARIADB_URL to the URL of a \
         MariaDB database"
    );
    url.unwrap()
}

/// How the tests speak to the server.
pub fn options() -> MariaDbOptions {
    MariaDbOptions::from_url(&url()).unwrap()
}

/// A store on the server.
pub async fn store() -> MariaDbStore {
    MariaDbStore::connect(options()).await.unwrap()
}

/// A connection beside the stores.
pub async fn connection() -> MySqlConnection {
    let options: MySqlConnectOptions = url().parse().unwrap();
    options.connect().await.unwrap()
}

/// A store with a database of its own, by which the server knows its connections.
pub struct Named {
    pub name: String,
    pub store: MariaDbStore,
    pub model: Arc<Model>,
}

impl Named {
    /// Connects, and makes a collection.
    pub async fn connect(connections: usize) -> Self {
        Self::connect_by(|options| options.connections(connections)).await
    }

    /// Connects with these options, and makes a collection.
    pub async fn connect_by(change: impl FnOnce(MariaDbOptions) -> MariaDbOptions) -> Self {
        let name = format!("test-{}", WriteId::random());
        let made = AssertSqlSafe(format!("CREATE DATABASE `{name}`"));
        raw_sql(made)
            .execute(&mut connection().await)
            .await
            .unwrap();
        let options = MariaDbOptions::from_url(&url_of(&name)).unwrap();
        let options = change(options.wait(Duration::from_secs(5)));
        let store = MariaDbStore::connect(options).await.unwrap();
        let model = Model::builder("docs").build().unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        Self { name, store, model }
    }

    /// The URL of the store's own database.
    pub fn url(&self) -> String {
        url_of(&self.name)
    }

    /// What the server answers about the store's connections, asked on another one.
    pub async fn ask(&self, what: &'static str) -> i64 {
        query_scalar::<MySql, i64>(what)
            .bind(&self.name)
            .fetch_one(&mut connection().await)
            .await
            .unwrap()
    }

    /// How many connections of the store are in a transaction without a statement under way.
    /// What the server tells of transactions may be a tenth of a second old.
    pub async fn idle_in_transaction(&self) -> i64 {
        let deadline = Instant::now() + Duration::from_millis(500);
        loop {
            let idle = self.ask(IN_TRANSACTION).await;
            if idle == 0 || Instant::now() > deadline {
                return idle;
            }
        }
    }

    /// Ends all connections of the store, and tells how many there were.
    pub async fn end_all(&self) -> i64 {
        let mut connection = connection().await;
        let all = query_scalar::<MySql, i64>(
            "SELECT CAST(id AS INTEGER) FROM information_schema.processlist WHERE db = ?",
        );
        let all = all
            .bind(&self.name)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for process in &all {
            let kill = AssertSqlSafe(format!("KILL {process}"));
            raw_sql(kill).execute(&mut connection).await.unwrap();
        }
        while self.ask(CONNECTIONS).await > 0 {}
        i64::try_from(all.len()).unwrap()
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

    /// Drops the database.
    pub async fn done(self) {
        self.store.close().await.unwrap();
        let dropped = AssertSqlSafe(format!("DROP DATABASE `{}`", self.name));
        let mut connection = connection().await;
        raw_sql(dropped).execute(&mut connection).await.unwrap();
    }
}

/// The server's URL with another database.
fn url_of(database: &str) -> String {
    let url = url();
    let (place, parameters) = url.split_once('?').unwrap_or((&url, ""));
    let (place, _) = place.rsplit_once('/').unwrap();
    format!("{place}/{database}?{parameters}")
}

const CONNECTIONS: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = ?";
const IN_TRANSACTION: &str = "SELECT COUNT(*) FROM information_schema.innodb_trx AS t \
     JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
     WHERE p.db = ? AND p.command = 'Sleep'";
const WAITING: &str = "SELECT COUNT(*) FROM information_schema.innodb_trx AS t \
     JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id \
     WHERE p.db = ? AND t.trx_state = 'LOCK WAIT'";
