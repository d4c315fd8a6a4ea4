//! Making, extending, describing and dropping collections.
//!
//! The table `strongroom_collections` keeps the model of each collection. A table that another
//! program made is no collection, and a collection of its name is refused.
//!
//! A statement that changes the schema commits by itself, so nothing here is within a transaction.
//! Changes are made one after another, under a lock by name, and each can be cut off between two
//! statements: what a collection is to become is written down before its table is made, marked as
//! not made yet, and each statement can be repeated.

use std::sync::Arc;

use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnection};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{CollectionDescription, EnsureReport, ServerInfo};
use strongroom_sql::mariadb::{PREPARE, short_name};
use strongroom_sql::{Dialect, MariaDb};

use crate::failure::Failure;

use super::row;

/// The layout of tables and functions that this version writes and reads.
const FORMAT: i64 = 2;
/// The one before, which had no indexes of words.
const WITHOUT_WORDS: i64 = 1;

/// The name of the lock: one for each database of the server.
const LOCK: &str = "CONCAT('strongroom ', MD5(DATABASE()))";

/// The store's own tables, for which the format stands once all are there.
const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS strongroom_collections (name VARBINARY(255) NOT NULL PRIMARY KEY, \
     model LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL, \
     made BOOLEAN NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS strongroom_commits (id BINARY(16) NOT NULL PRIMARY KEY, \
     committed_at BIGINT NOT NULL, KEY (committed_at)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS strongroom_format (entry INT NOT NULL PRIMARY KEY CHECK (entry = 1), \
     version INT NOT NULL) ENGINE=InnoDB",
];

/// Makes the store's own tables and functions where they are not there.
pub(crate) async fn prepare(connection: &mut MySqlConnection) -> Result<(), Failure> {
    lock(connection).await?;
    let prepared = make(connection).await;
    unlock(connection, prepared).await
}

async fn make(connection: &mut MySqlConnection) -> Result<(), Failure> {
    let format = format(connection).await?;
    if is_current(format)? && has_functions(connection).await? {
        return Ok(());
    }
    for table in TABLES {
        raw_sql(table).execute(&mut *connection).await?;
    }
    for function in PREPARE {
        raw_sql(*function).execute(&mut *connection).await?;
    }
    if format == Some(WITHOUT_WORDS) {
        add_words(connection).await?;
    }
    query::<MySql>(
        "INSERT INTO strongroom_format (entry, version) VALUES (1, ?) \
         ON DUPLICATE KEY UPDATE version = VALUES(version)",
    )
    .bind(FORMAT)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the indexes of words of a database that was made without.
async fn add_words(connection: &mut MySqlConnection) -> Result<(), Failure> {
    let made = query::<MySql>("SELECT model FROM strongroom_collections WHERE made");
    for found in made.fetch_all(&mut *connection).await? {
        let model = decoded(row::text(&found, 0)?)?;
        send(connection, MariaDb.text_indexes(&model)).await?;
    }
    Ok(())
}

/// Whether the store's own tables are there.
pub(crate) async fn is_prepared(connection: &mut MySqlConnection) -> Result<bool, Failure> {
    let format = format(connection).await?;
    Ok(is_current(format)? && has_functions(connection).await?)
}

/// Whether the store's functions are there, which a dump does not hold unless it is told to.
async fn has_functions(connection: &mut MySqlConnection) -> Result<bool, Failure> {
    let there = query_scalar::<MySql, i64>(
        "SELECT COUNT(*) FROM information_schema.routines \
         WHERE routine_schema = DATABASE() AND routine_name LIKE 'strongroom\\_%'",
    );
    let there = usize::try_from(there.fetch_one(connection).await?).unwrap_or_default();
    Ok(there >= PREPARE.len())
}

/// The format that the database has; `None` as long as it is not made ready.
async fn format(connection: &mut MySqlConnection) -> Result<Option<i64>, Failure> {
    if !has_table(connection, "strongroom_format").await? {
        return Ok(None);
    }
    let format =
        query_scalar::<MySql, i64>("SELECT CAST(version AS INTEGER) FROM strongroom_format");
    Ok(format.fetch_optional(connection).await?)
}

/// Whether a database of this format needs nothing more.
fn is_current(format: Option<i64>) -> Result<bool> {
    match format {
        None | Some(WITHOUT_WORDS) => Ok(false),
        Some(FORMAT) => Ok(true),
        Some(other) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "the database has the format {other} of another version, this one reads format {FORMAT}"
            ),
        )),
    }
}

async fn has_table(connection: &mut MySqlConnection, name: &str) -> Result<bool, Failure> {
    // As bytes: names differ where their cases do.
    let there = query_scalar::<MySql, i64>(
        "SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = ?",
    )
    .bind(name);
    Ok(there.fetch_one(connection).await? > 0)
}

/// Makes changes of the schema wait for each other.
async fn lock(connection: &mut MySqlConnection) -> Result<(), Failure> {
    let sql = format!("SELECT GET_LOCK({LOCK}, @@lock_wait_timeout)");
    let got = query_scalar::<MySql, Option<i64>>(AssertSqlSafe(sql));
    if got.fetch_one(connection).await? == Some(1) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Contended,
        "another change of the schema took too long",
    )
    .into())
}

/// Lets the next change of the schema go on.
async fn unlock<T>(
    connection: &mut MySqlConnection,
    outcome: Result<T, Failure>,
) -> Result<T, Failure> {
    if outcome.as_ref().is_err_and(Failure::is_loss) {
        // The server has let go of it with the connection.
        return outcome;
    }
    let sql = format!("DO RELEASE_LOCK({LOCK})");
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    outcome
}

/// A collection as it is written down.
struct Stored {
    model: Model,
    made: bool,
}

async fn stored(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<Option<Stored>, Failure> {
    let found = query::<MySql>(
        "SELECT model, CAST(made AS INTEGER) FROM strongroom_collections WHERE name = ?",
    )
    .bind(name.as_str().as_bytes().to_vec())
    .fetch_all(connection)
    .await?;
    let Some(found) = found.first() else {
        return Ok(None);
    };
    let model = decoded(row::text(found, 0)?)?;
    let made = found.try_get::<i64, _>(1)? == 1;
    Ok(Some(Stored { model, made }))
}

fn decoded(text: &str) -> Result<Model> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(
            ErrorKind::SchemaMismatch,
            "the stored model does not decode",
        )
        .with_source(e)
    })
}

async fn stored_model(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<Option<Model>, Failure> {
    let stored = stored(connection, name).await?;
    Ok(stored
        .filter(|stored| stored.made)
        .map(|stored| stored.model))
}

async fn store(connection: &mut MySqlConnection, model: &Model, made: bool) -> Result<(), Failure> {
    let text = serde_json::to_string(model)
        .map_err(|e| Error::internal("the model does not encode").with_source(e))?;
    query::<MySql>(
        "INSERT INTO strongroom_collections (name, model, made) VALUES (?, ?, ?) \
         ON DUPLICATE KEY UPDATE model = VALUES(model), made = VALUES(made)",
    )
    .bind(model.name().as_str().as_bytes().to_vec())
    .bind(text)
    .bind(made)
    .execute(connection)
    .await?;
    Ok(())
}

async fn send(connection: &mut MySqlConnection, statements: Vec<String>) -> Result<(), Failure> {
    for statement in statements {
        raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What a collection that fits already is told; `None` if something is to be done.
pub(crate) async fn fits(
    connection: &mut MySqlConnection,
    wanted: &Arc<Model>,
) -> Result<Option<EnsureReport>, Failure> {
    let Some(stored) = stored_model(connection, wanted.name()).await? else {
        return Ok(None);
    };
    let added = wanted.extends(&stored)?;
    let nothing = added.is_empty() && *stored.union(wanted)? == stored;
    Ok(nothing.then(EnsureReport::default))
}

/// Makes the collection fit.
pub(crate) async fn ensure(
    connection: &mut MySqlConnection,
    wanted: &Arc<Model>,
) -> Result<EnsureReport, Failure> {
    lock(connection).await?;
    let report = change(connection, wanted).await;
    unlock(connection, report).await
}

async fn change(
    connection: &mut MySqlConnection,
    wanted: &Arc<Model>,
) -> Result<EnsureReport, Failure> {
    match stored(connection, wanted.name()).await? {
        Some(Stored {
            model: there,
            made: true,
        }) => {
            let added = wanted.extends(&there)?;
            let report = EnsureReport::extended(added.iter().map(|f| f.path.clone()).collect());
            let model = there.union(wanted)?;
            send(connection, MariaDb.extend_collection(&there, &model)).await?;
            store(connection, &model, true).await?;
            Ok(report)
        }
        begun => {
            match begun {
                // Whoever began did not come to the end, so nobody has written into it.
                Some(Stored { model, .. }) => {
                    send(connection, MariaDb.drop_collection(&model)).await?;
                }
                None => refuse_foreign(connection, wanted.name()).await?,
            }
            store(connection, wanted, false).await?;
            send(connection, MariaDb.create_collection(wanted)).await?;
            store(connection, wanted, true).await?;
            Ok(EnsureReport::created())
        }
    }
}

async fn refuse_foreign(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<(), Failure> {
    if !has_table(connection, &short_name(name.as_str())).await? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SchemaMismatch,
        format!("the database has a table \"{name}\" that is no collection of this store"),
    )
    .into())
}

/// Describes a collection.
pub(crate) async fn describe(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<Option<CollectionDescription>, Failure> {
    let Some(model) = stored_model(connection, name).await? else {
        return Ok(None);
    };
    let table = MariaDb.identifier(name.as_str());
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let documents = query_scalar::<MySql, i64>(count)
        .fetch_one(connection)
        .await?;
    let documents = u64::try_from(documents).unwrap_or_default();
    Ok(Some(CollectionDescription::new(Arc::new(model), documents)))
}

/// Drops a collection.
pub(crate) async fn drop_collection(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<bool, Failure> {
    lock(connection).await?;
    let dropped = drop_under_lock(connection, name).await;
    unlock(connection, dropped).await
}

async fn drop_under_lock(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<bool, Failure> {
    let Some(Stored { model, made }) = stored(connection, name).await? else {
        return Ok(false);
    };
    if made {
        store(connection, &model, false).await?;
    }
    send(connection, MariaDb.drop_collection(&model)).await?;
    query::<MySql>("DELETE FROM strongroom_collections WHERE name = ?")
        .bind(name.as_str().as_bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(made)
}

/// Checks that a collection is there.
pub(crate) async fn require(
    connection: &mut MySqlConnection,
    name: &CollectionName,
) -> Result<(), Failure> {
    match stored_model(connection, name).await? {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::NotFound,
            "there is no such collection: it was never ensured, or it was dropped",
        )
        .into()),
    }
}

/// Asks what answers at the other end.
pub(crate) async fn server_info(connection: &mut MySqlConnection) -> Result<ServerInfo, Failure> {
    let version = query_scalar::<MySql, String>("SELECT VERSION()")
        .fetch_one(connection)
        .await?;
    Ok(ServerInfo::new("mariadb", version))
}

/// The longest message that the server takes, in bytes.
pub(crate) async fn limits(connection: &mut MySqlConnection) -> Result<usize, Failure> {
    let packet = query_scalar::<MySql, i64>("SELECT CAST(@@max_allowed_packet AS INTEGER)");
    let packet = packet.fetch_one(connection).await?;
    Ok(usize::try_from(packet).unwrap_or_default())
}
