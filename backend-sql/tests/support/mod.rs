//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

pub mod own;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnectOptions, Postgres};
use strongroom_core::model::{Body, Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{
    BulkItem, BulkRequest, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Write,
};
use strongroom_sqlx::{PostgresOptions, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the server hears of what is sent.
    Before,
    /// After the server's answer, before the client hears of that.
    After,
}

/// What a connection is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The next commit.
    Commit,
    /// The next message but so many.
    Message(usize),
}

/// A way to the server on which a connection is cut now and then.
pub struct Proxy {
    address: SocketAddr,
    armed: Armed,
}

type Armed = Arc<Mutex<Option<(Cut, At)>>>;

impl Proxy {
    /// Starts to pass connections on to the server.
    pub async fn start() -> Self {
        let server: PgConnectOptions = url().parse().unwrap();
        let server = format!("{}:{}", server.get_host(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Armed::default();
        let shared = armed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { address, armed }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        let server: PgConnectOptions = url().parse().unwrap();
        let (user, database) = (server.get_username(), server.get_database());
        let database = database.unwrap_or("postgres");
        format!("postgres://{user}@{}/{database}", self.address)
    }

    /// Cuts one connection.
    pub fn cut(&self, cut: Cut, at: At) {
        *self.armed.lock().unwrap() = Some((cut, at));
    }

    /// Cuts none any more, and tells whether one was cut.
    pub fn was_cut(&self) -> bool {
        self.armed.lock().unwrap().take().is_none()
    }
}

/// How to cut the connection that carries this message, if it is the one.
fn cut_here(armed: &Armed, message: &[u8]) -> Option<Cut> {
    let mut armed = armed.lock().unwrap();
    let (cut, at) = (*armed)?;
    let here = match at {
        At::Commit => message.windows(6).any(|word| word == b"COMMIT"),
        At::Message(0) => true,
        At::Message(more) => {
            *armed = Some((cut, At::Message(more - 1)));
            false
        }
    };
    here.then(|| {
        *armed = None;
        cut
    })
}

async fn pass(mut client: TcpStream, mut server: TcpStream, armed: Armed) {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut last = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return };
                let message = asked.get(..bytes).unwrap();
                match cut_here(&armed, message) {
                    Some(Cut::Before) => return,
                    Some(Cut::After) => last = true,
                    None => {}
                }
                if server.write_all(message).await.is_err() { return }
            }
            read = server.read(&mut answered) => {
                let Ok(bytes @ 1..) = read else { return };
                if last { return }
                if client.write_all(answered.get(..bytes).unwrap()).await.is_err() { return }
            }
        }
    }
}
