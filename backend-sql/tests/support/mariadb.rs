//! What the tests on a real MariaDB share.

use strongroom_sqlx::{MariaDbOptions, MariaDbStore};

/// The server's URL. Without one the test fails: nothing is skipped.
pub fn url() -> String {
    std::env::var("STRONGROOM_TEST_MARIADB_URL").unwrap_or_else(|_| {
        panic!(
            "no server to test with: run `cargo xtask servers up mariadb` and then \
             `eval \"$(cargo xtask servers env)\"`, or set STRONGROOM_TEST_MARIADB_URL to the URL \
             of a MariaDB database"
        )
    })
}

/// How the tests speak to the server.
pub fn options() -> MariaDbOptions {
    MariaDbOptions::from_url(&url()).unwrap()
}

/// A store on the server.
pub async fn store() -> MariaDbStore {
    MariaDbStore::connect(options()).await.unwrap()
}
