//! From a URL to a store.

use std::sync::Arc;

use strongroom_core::handle::Database;
use strongroom_core::memory::MemoryStore;
use strongroom_core::store::Store;
use strongroom_core::{Error, ErrorKind, Operation, Result};

/// What each scheme needs, in the order in which errors list them.
const SCHEMES: &[(&str, Option<&str>)] = &[("memory:", None)];

/// Opens the store that a URL names, and a [`Database`] over it with default settings.
///
/// | URL | store | feature |
/// | --- | --- | --- |
/// | `memory:` | in memory, gone with the last handle | |
///
/// For other settings open the store by its own options and hand it to [`Database::builder`].
/// Dropping the future leaves nothing open; a file may have been created.
///
/// # Errors
///
/// `Config` for a URL that names no store, a scheme whose feature is off, a parameter that is
/// unknown or has a wrong value, or a file that cannot be opened or is no database;
/// `Unavailable`, `Timeout`.
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
    Ok(Database::new(open(url).await?))
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
