//! What the tests on the real server share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use strongroom_sqlx::{PostgresOptions, PostgresStore};

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
