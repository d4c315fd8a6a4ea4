//! What the tests on the real server share.

use strongroom_sqlx::{MariaDbOptions, MariaDbStore};

/// The server's URL. Without one the test fails: nothing is skipped.
pub(crate) fn url() -> String {
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
pub(crate) fn options() -> MariaDbOptions {
    MariaDbOptions::from_url(&url()).unwrap()
}

/// A store on the server.
pub(crate) async fn store() -> MariaDbStore {
    MariaDbStore::connect(options()).await.unwrap()
}
