//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sqlx_postgres::PgConnectOptions;
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

/// Where a connection ends that carries a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Before the server hears of it.
    Before = 1,
    /// After the server's answer, before the client hears of that.
    After = 2,
}

/// A way to the server on which one commit is cut.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    /// Starts to pass connections on to the server.
    pub async fn start() -> Self {
        let server: PgConnectOptions = url().parse().unwrap();
        let server = format!("{}:{}", server.get_host(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicU8::new(0));
        let shared = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { address, cut }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        let server: PgConnectOptions = url().parse().unwrap();
        let (user, database) = (server.get_username(), server.get_database());
        let database = database.unwrap_or("postgres");
        format!("postgres://{user}@{}/{database}", self.address)
    }

    /// Cuts the next commit.
    pub fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut last = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return };
                let message = asked.get(..bytes).unwrap();
                if message.windows(6).any(|word| word == b"COMMIT") {
                    match cut.swap(0, Ordering::SeqCst) {
                        1 => return,
                        2 => last = true,
                        _ => {}
                    }
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
