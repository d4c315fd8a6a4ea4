//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

pub mod own;
pub mod proxy;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnectOptions, Postgres};
use strongroom_core::model::{Body, Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{
    BulkItem, BulkRequest, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Write,
};
use strongroom_sqlx::{PostgresLogin, PostgresOptions, PostgresStore};

use self::own::{OwnServer, Recipe};

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
pub type Login = PostgresLogin;

/// How long something may take on a busy machine that is known to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before the server is asked again.
const POLL: Duration = Duration::from_millis(5);

/// What the server is called.
pub const ENGINE: &str = "postgresql";
/// What asks in a URL for TLS that may be left out unnoticed.
pub const UNSAFE_TLS: &[&str] = &["sslmode=prefer", "sslmode=allow"];
/// What asks for none, for TLS with whomever, with one that an authority knows, and with that one
/// by its name.
pub const TLS: [&str; 4] = [
    "sslmode=disable",
    "sslmode=require",
    "sslmode=verify-ca",
    "sslmode=verify-full",
];
/// What names the file with the authority.
pub const TRUSTED: &str = "sslrootcert";
/// Whether the connection that asks goes with TLS.
pub const SPEAKS_TLS: &str = "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())";
/// A condition that the server refuses when it looks at a document.
pub const WRONG: &str = "1 / (1 - 1) = 1";

/// The signals that a server crashes at, and shuts down at.
pub const CRASH: &str = "-QUIT";
pub const SHUTDOWN: &str = "-INT";

/// How a server with this data is made and started.
pub async fn recipe(_data: &Path) -> Recipe {
    let options: PgConnectOptions = url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let ask = query_scalar::<Postgres, String>("SHOW data_directory");
    let given = PathBuf::from(ask.fetch_one(&mut connection).await.unwrap());
    connection.close().await.unwrap();
    // The server wrote down how it was started: first of all, by which program.
    let started = std::fs::read_to_string(given.join("postmaster.opts"));
    let started = started.unwrap_or_else(|error| {
        panic!("the server that the tests are given does not run on this machine: {error}")
    });
    let program = PathBuf::from(started.split(' ').next().unwrap());
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Recipe {
        given,
        libraries: None,
        make: (
            program.with_file_name("initdb"),
            texts(&[
                "-D",
                "data",
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ]),
        ),
        serve: (
            program,
            texts(&[
                "-D",
                "data",
                "--listen_addresses=localhost",
                "--unix_socket_directories=",
            ]),
        ),
    }
}

/// The URL of a server of a test's own.
pub fn own_url(host: &str, port: u16) -> String {
    format!("postgres://postgres@{host}:{port}/postgres")
}

/// Asks whether a server answers.
pub async fn reach(url: &str) -> Result<(), sqlx_core::Error> {
    let options: PgConnectOptions = url.parse().unwrap();
    options.connect().await?.close().await
}

/// What has a server do without TLS, and what has it use this certificate and key.
pub fn without_tls() -> Vec<String> {
    vec!["ssl=off".to_owned()]
}

pub fn with_tls(certificate: &Path, key: &Path) -> Vec<String> {
    vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ]
}

/// Has a server refuse whoever comes without TLS.
pub fn insist_on_tls(server: &OwnServer) -> Vec<String> {
    let rule = "hostssl all all all trust\n";
    std::fs::write(server.data().join("pg_hba.conf"), rule).unwrap();
    Vec::new()
}

/// How the tests speak to the server.
pub fn options() -> PostgresOptions {
    PostgresOptions::from_url(&url()).unwrap()
}

/// A body that the server refuses: `jsonb` holds no number of so many digits.
pub fn refused_body() -> Body {
    Body::from_trusted(r#"{"n":1e200000}"#)
}

/// Where the server is, and who may use it.
pub struct Place {
    pub scheme: &'static str,
    pub user: String,
    pub host: String,
    pub port: u16,
    pub database: String,
}

/// Where a user is let in by this password: a server that trusts its users does not look at it.
pub async fn place_for(_password: &str) -> Place {
    let server: PgConnectOptions = url().parse().unwrap();
    Place {
        scheme: "postgres",
        user: server.get_username().to_owned(),
        host: server.get_host().to_owned(),
        port: server.get_port(),
        database: server.get_database().unwrap_or("postgres").to_owned(),
    }
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
            .wait(PATIENCE);
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

    /// How many deadlocks there were in the database.
    pub async fn deadlocks(&self) -> i64 {
        self.ask(DEADLOCKS).await
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
        let deadline = Instant::now() + PATIENCE;
        while self.ask(WAITING).await == 0 {
            assert!(Instant::now() < deadline, "no statement waits");
            tokio::time::sleep(POLL).await;
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
const END_ALL: &str = "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity \
     WHERE application_name = $1";
const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database() \
     AND $1 <> ''";
