//! From a URL to a store.

#[cfg(feature = "es")]
mod es;
#[cfg(any(feature = "es", feature = "sqlite"))]
mod percent;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use strongroom_core::handle::Database;
use strongroom_core::memory::MemoryStore;
use strongroom_core::store::Store;
use strongroom_core::{Error, ErrorKind, Operation, Result};

/// What each scheme needs, in the order in which errors list them.
const SCHEMES: &[(&str, Option<&str>)] = &[
    ("memory:", None),
    ("sqlite:", Some("sqlite")),
    ("postgres:", Some("postgres")),
    ("mariadb:", Some("mariadb")),
    ("elasticsearch:", Some("es")),
    ("opensearch:", Some("es")),
];

/// Opens the store that a URL names, and a [`Database`] over it with default settings.
///
/// | URL | store | feature |
/// | --- | --- | --- |
/// | `memory:` | in memory, gone with the last handle | |
/// | `sqlite://app.db`, `sqlite:///var/lib/app.db` | a file of SQLite, relative or absolute | `sqlite` |
/// | `sqlite::memory:` | SQLite in memory | `sqlite` |
/// | `postgres://user:password@host:port/database` | a database of PostgreSQL | `postgres` |
/// | `mariadb://user:password@host:port/database` | a database of MariaDB | `mariadb` |
/// | `elasticsearch://user:password@host:9200` | a cluster of Elasticsearch | `es` |
/// | `opensearch://user:password@host:9200` | a cluster of OpenSearch | `es` |
/// | `elasticsearch+https://…`, `opensearch+https://…` | the same by TLS | `es` |
/// | `elasticsearch+cloud://user:password@CLOUD_ID` | a deployment of Elastic Cloud, by TLS | `es` |
///
/// A URL of PostgreSQL takes `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `hostaddr`, `port`,
/// `dbname`, `user`, `password`, `application_name` and `options`; the store's documentation says how
/// it is read. `postgresql:` is the same. A URL of MariaDB takes `ssl-mode`, `ssl-ca`, `ssl-cert`,
/// `ssl-key` and `socket`. No error tells such a URL.
///
/// In a path `%20` and its like stand for the byte that they name, so that a path may hold `?`,
/// `#` and `%`. A URL of SQLite takes these parameters, joined by `&` after a `?`:
///
/// - `synchronous`: `full` (default) or `normal`;
/// - `busy_timeout_ms`: how long to wait for a lock of another process;
/// - `readers`: how many connections read at once;
/// - `scans`: how many scans may be open at once;
/// - `create`: `true` (default), or `false` to refuse a file that is not there.
///
/// In a URL of a search engine user and password may be left out, as may the port, which is 9200
/// with TLS, too. In user, password and parameters everything but letters, digits and `-._~` is
/// percent-encoded. Without `+https` all of it, the password as well, goes over the network as it
/// is. If the other of the two engines answers, or none of them, the URL is refused. No error and no
/// `Debug` tells a password, a key or a token. The parameters, of which collections that are there
/// already heed neither `shards` nor `replicas` nor `refresh_interval_ms`:
///
/// - `api_key`: an API key in its encoded form, in place of user and password;
/// - `bearer`: a token, in place of these;
/// - `ca_file`: a file of certificates in PEM form, by which servers are trusted besides those that
///   everybody trusts (`+https` only);
/// - `shards`: how many primary shards a new collection has (3);
/// - `replicas`: how many replicas (as many as the engine makes by itself, which is 1);
/// - `refresh_interval_ms`: how often searches see what was written (the engine's own second);
/// - `timeout_ms`: how long one request may take (30 s). A whole call, of which each try counts by
///   itself, may take 30 s as well (bulks and what else is long 5 minutes), and where a request may
///   take longer, as long as that and a second more;
/// - `analysers`: which texts the engine reads by analysers of its own, as
///   `users.bio:english,users.title:standard` with names of fields percent-encoded (none: every
///   engine finds the same). Collections that are there keep theirs, and are not ensured by others;
/// - `scan_keep_alive_ms`: how long a scan that nobody reads on is kept (a minute);
/// - `attempts`: how often a write that has to load its document first begins anew (64);
/// - `compression`: `none` (default) or `gzip`, of what is sent.
///
/// For other settings open the store by its own options and hand it to [`Database::builder`].
/// Dropping the future leaves nothing open; a file may have been created.
///
/// # Errors
///
/// `Config` for a URL that names no store, a scheme whose feature is off, a parameter that is
/// unknown or has a wrong value, a file that cannot be opened or is no database, or a server that is
/// not what the scheme says, is too old or has no TLS that is trusted; `Unauthorized`, `Unavailable`,
/// `Timeout`; `Contended` if another process makes the database ready for too long.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let db = strongroom::connect("memory:").await?;
/// assert_eq!(db.capabilities().engine, "memory");
///
/// let error = strongroom::connect("mongodb://localhost").await.unwrap_err();
/// assert_eq!(error.kind(), strongroom::ErrorKind::Config);
/// # Ok::<(), strongroom::Error>(())
/// # }).unwrap();
/// ```
pub async fn connect(url: &str) -> Result<Database> {
    let store = open(url).await?;
    #[cfg(feature = "es")]
    let layers = es::layers(url);
    #[cfg(not(feature = "es"))]
    let layers = strongroom_core::layers::LayerOptions::new();
    Ok(Database::builder(store).layers(layers).build())
}

/// Opens the store that a URL names, to be used as it is or handed to [`Database::builder`].
///
/// # Errors
///
/// As for [`connect`].
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    open_store(url)
        .await
        .map_err(|error| error.with_operation(Operation::Connect))
}

async fn open_store(url: &str) -> Result<Arc<dyn Store>> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(config(format!(
            "a URL begins with a scheme, such as sqlite://app.db; known are {}",
            known()
        )));
    };
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryStore::new())),
        "memory" => Err(config(
            "the URL of the store in memory is memory: and no more",
        )),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite::open(rest).await,
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(config(
            "scheme sqlite: is not built in: switch on the feature `sqlite` of strongroom",
        )),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let options = strongroom_sqlx::PostgresOptions::from_url(url)?;
            let store = strongroom_sqlx::PostgresStore::connect(options).await?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => Err(config(
            "scheme postgres: is not built in: switch on the feature `postgres` of strongroom",
        )),
        #[cfg(feature = "mariadb")]
        "mariadb" => {
            let options = strongroom_sqlx::MariaDbOptions::from_url(url)?;
            let store = strongroom_sqlx::MariaDbStore::connect(options).await?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "mariadb"))]
        "mariadb" => Err(config(
            "scheme mariadb: is not built in: switch on the feature `mariadb` of strongroom",
        )),
        #[cfg(feature = "es")]
        "elasticsearch"
        | "elasticsearch+https"
        | "elasticsearch+cloud"
        | "opensearch"
        | "opensearch+https" => es::open(scheme, rest).await,
        #[cfg(not(feature = "es"))]
        "elasticsearch"
        | "elasticsearch+https"
        | "elasticsearch+cloud"
        | "opensearch"
        | "opensearch+https" => Err(config(format!(
            "scheme {scheme}: is not built in: switch on the feature `es` of strongroom"
        ))),
        _ => Err(config(format!(
            "scheme {scheme:?} is unknown; known are {}",
            known()
        ))),
    }
}

fn known() -> String {
    let names = SCHEMES.iter().map(|(name, feature)| match feature {
        Some(feature) => format!("{name} (feature `{feature}`)"),
        None => (*name).to_owned(),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
