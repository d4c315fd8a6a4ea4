//! What the tests on the real server share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use strongroom_core::model::{Body, Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{
    BulkItem, BulkRequest, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Write,
};
use strongroom_sqlx::{MariaDbLogin, MariaDbOptions, MariaDbStore};

use crate::own::{OwnServer, Recipe};

pub(crate) use crate::{own, proxy};

/// The options and the store of this server.
pub type Options = MariaDbOptions;
pub type SqlStore = MariaDbStore;
pub type Login = MariaDbLogin;

/// How long something may take on a busy machine that is known to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before the server is asked again.
const POLL: Duration = Duration::from_millis(5);

/// What the server is called.
pub const ENGINE: &str = "mariadb";
/// What asks in a URL for TLS that may be left out unnoticed.
pub const UNSAFE_TLS: &[&str] = &["ssl-mode=preferred"];
/// What asks for none, for TLS with whomever, with one that an authority knows, and with that one
/// by its name.
pub const TLS: [&str; 4] = [
    "ssl-mode=disabled",
    "ssl-mode=required",
    "ssl-mode=verify_ca",
    "ssl-mode=verify_identity",
];
/// What names the file with the authority.
pub const TRUSTED: &str = "ssl-ca";
/// Whether the connection that asks goes with TLS.
pub const SPEAKS_TLS: &str = "(SELECT variable_value <> '' FROM information_schema.session_status \
     WHERE variable_name = 'SSL_CIPHER')";
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

/// The signals that a server crashes at, and shuts down at.
pub const CRASH: &str = "-KILL";
pub const SHUTDOWN: &str = "-TERM";

/// How a server with this data is made and started.
pub async fn recipe(data: &Path) -> Recipe {
    let ask = |what: &'static str| async move {
        let mut connection = connection().await;
        let folder = query_scalar::<MySql, String>(what);
        PathBuf::from(folder.fetch_one(&mut connection).await.unwrap())
    };
    let (given, base) = (ask("SELECT @@datadir").await, ask("SELECT @@basedir").await);
    // A system's own packages lay their programs out otherwise than an archive.
    let program = |places: [&str; 2]| {
        let mut places = places.map(|place| base.join(place)).into_iter();
        let found = places.find(|place| place.exists());
        found.unwrap_or_else(|| {
            panic!("the server that the tests are given does not run on this machine")
        })
    };
    let arguments = |more: &[&str]| {
        let mut arguments = vec![
            "--no-defaults".to_owned(),
            format!("--basedir={}", base.display()),
            format!("--datadir={}", data.display()),
            format!("--tmpdir={}", data.parent().unwrap().display()),
            "--innodb-log-file-size=16M".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
        ];
        arguments.extend(more.iter().map(|more| (*more).to_owned()));
        arguments
    };
    Recipe {
        given,
        libraries: Some(base.join("libs")),
        make: (
            program(["scripts/mariadb-install-db", "bin/mariadb-install-db"]),
            arguments(&["--auth-root-authentication-method=normal"]),
        ),
        serve: (
            program(["bin/mariadbd", "sbin/mariadbd"]),
            arguments(&[
                "--bind-address=127.0.0.1",
                "--socket=own.sock",
                "--pid-file=own.pid",
            ]),
        ),
    }
}

/// The URL of a server of a test's own.
pub fn own_url(host: &str, port: u16) -> String {
    format!("mariadb://root@{host}:{port}/test")
}

/// Asks whether a server answers.
pub async fn reach(url: &str) -> Result<(), sqlx_core::Error> {
    let options: MySqlConnectOptions = url.parse().unwrap();
    options.connect().await?.close().await
}

/// What has a server do without TLS, and what has it use this certificate and key.
pub fn without_tls() -> Vec<String> {
    vec!["ssl=0".to_owned()]
}

pub fn with_tls(certificate: &Path, key: &Path) -> Vec<String> {
    vec![
        format!("ssl-cert={}", certificate.display()),
        format!("ssl-key={}", key.display()),
    ]
}

/// Has a server refuse whoever comes without TLS.
pub fn insist_on_tls(_server: &OwnServer) -> Vec<String> {
    vec!["require-secure-transport=ON".to_owned()]
}

/// How the tests speak to the server.
pub fn options() -> MariaDbOptions {
    MariaDbOptions::from_url(&url()).unwrap()
}

/// A body that is longer than a message that the server takes.
pub fn refused_body() -> Body {
    Body::from_trusted(format!(r#"{{"t":"{}"}}"#, "x".repeat(17 << 20)))
}

/// Where the server is, and who may use it.
pub struct Place {
    pub scheme: &'static str,
    pub user: String,
    pub host: String,
    pub port: u16,
    pub database: String,
}

/// Where a user is let in by this password, and by no other.
pub async fn place_for(password: &str) -> Place {
    let user = "strongroom-canary";
    // A server may have a nameless user of its own machine, who would come first.
    for host in ["%", "localhost"] {
        let made = AssertSqlSafe(format!(
            "CREATE USER IF NOT EXISTS '{user}'@'{host}' IDENTIFIED BY '{password}'; \
             GRANT ALL ON *.* TO '{user}'@'{host}'"
        ));
        raw_sql(made)
            .execute(&mut connection().await)
            .await
            .unwrap();
    }
    let server: MySqlConnectOptions = url().parse().unwrap();
    Place {
        scheme: "mariadb",
        user: user.to_owned(),
        host: server.get_host().to_owned(),
        port: server.get_port(),
        database: server.get_database().unwrap_or("test").to_owned(),
    }
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
        let options = change(options.wait(PATIENCE));
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

    /// How many connections of the store are in a transaction without a statement under way.
    pub async fn idle_in_transaction(&self) -> i64 {
        let mut connection = connection().await;
        let idle = self.processes(&mut connection, SLEEPING).await;
        let open = transactions(&mut connection).await;
        let open = open.iter().filter(|(process, _)| idle.contains(process));
        i64::try_from(open.count()).unwrap()
    }

    /// Processes of the store's connections, as this asks for them.
    async fn processes(&self, connection: &mut MySqlConnection, what: &'static str) -> Vec<i64> {
        let asked = query_scalar::<MySql, i64>(what).bind(&self.name);
        asked.fetch_all(connection).await.unwrap()
    }

    /// How many deadlocks there were in the database. The server counts those of all databases
    /// together, so none are told; calls that end in one fail.
    pub async fn deadlocks(&self) -> i64 {
        0
    }

    /// Ends all connections of the store, and tells how many there were.
    pub async fn end_all(&self) -> i64 {
        let mut connection = connection().await;
        let all = self.processes(&mut connection, PROCESSES).await;
        for process in &all {
            let kill = AssertSqlSafe(format!("KILL {process}"));
            let killed = raw_sql(kill).execute(&mut connection).await;
            // One that asked something aside may be gone by itself.
            let gone = |error: &sqlx_core::Error| {
                let answer = error.as_database_error();
                answer.is_some_and(|e| e.downcast_ref::<MySqlDatabaseError>().number() == 1094)
            };
            if let Err(error) = killed {
                assert!(gone(&error), "{error}");
            }
        }
        while !self.processes(&mut connection, PROCESSES).await.is_empty() {
            tokio::time::sleep(POLL).await;
        }
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
        let deadline = Instant::now() + PATIENCE;
        let mut connection = connection().await;
        loop {
            let ours = self.processes(&mut connection, PROCESSES).await;
            let open = transactions(&mut connection).await;
            if open.iter().any(|(of, waits)| *waits && ours.contains(of)) {
                return;
            }
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

/// The processes that are in a transaction, and whether each waits for a lock. The tables that tell
/// the same may be old, and stay so where they are asked again and again.
async fn transactions(connection: &mut MySqlConnection) -> Vec<(i64, bool)> {
    let status = raw_sql("SHOW ENGINE INNODB STATUS");
    let status = status.fetch_one(connection).await.unwrap();
    let status: String = status.try_get("Status").unwrap();
    let parts = status.split("---TRANSACTION ").skip(1);
    let open = parts.filter_map(|part| {
        let (_, process) = part.split_once(" thread id ")?;
        let process = process.split(',').next()?.parse().ok()?;
        Some((process, part.contains("LOCK WAIT")))
    });
    open.collect()
}

const PROCESSES: &str =
    "SELECT CAST(id AS INTEGER) FROM information_schema.processlist WHERE db = ?";
const SLEEPING: &str = "SELECT CAST(id AS INTEGER) FROM information_schema.processlist \
     WHERE db = ? AND command = 'Sleep'";
