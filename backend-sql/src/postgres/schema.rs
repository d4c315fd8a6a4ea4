//! Making, extending, describing and dropping collections, within a transaction.
//!
//! The table `strongroom_collections` keeps the model of each collection. A table that another
//! program made is no collection, and a collection of its name is refused. Changes of the schema
//! are made one after another: they take a lock that lasts as long as their transaction.

use std::sync::Arc;

use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::Postgres as Driver;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{CollectionDescription, EnsureReport, ServerInfo};
use strongroom_sql::postgres::{PREPARE, short_name};
use strongroom_sql::{Dialect, Postgres};

use crate::failure::Failure;

use super::connection::Connection;

/// The layout of tables and functions that this version writes and reads.
const FORMAT: i32 = 3;
/// The one before, which had no indexes of fields that hold several values.
const WITHOUT_SEVERAL: i32 = 2;
/// The one before that, which had no indexes of words either.
const WITHOUT_WORDS: i32 = 1;

/// It reads the catalogue as a table: a look-up by name may be answered from a cache of the
/// connection's, which does not know yet what another one made while this one waited for it.
const IS_PREPARED: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'strongroom_format' \
     AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()))";

/// Makes the store's own tables and functions where they are not there, within a transaction.
/// They are made in this schema, if one is named, and that with them.
pub(crate) async fn prepare(
    connection: &mut Connection,
    schema: Option<&str>,
) -> Result<(), Failure> {
    lock(connection).await?;
    if let Some(schema) = schema {
        let there = query_scalar::<Driver, bool>(
            "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
        );
        // One that may use a schema need not be one that may make some.
        if !there.bind(schema).fetch_one(&mut *connection).await? {
            let name = Postgres.identifier(schema);
            raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}")))
                .execute(&mut *connection)
                .await?;
        }
    }
    let there = query_scalar::<Driver, bool>(IS_PREPARED);
    if there.fetch_one(&mut *connection).await? {
        return match format(connection).await? {
            Some(WITHOUT_WORDS | WITHOUT_SEVERAL) => add_indexes(connection).await,
            other => check_format(other),
        };
    }
    check_encoding(connection).await?;
    raw_sql(
        "CREATE TABLE strongroom_format (entry integer PRIMARY KEY CHECK (entry = 1), version integer NOT NULL); \
         CREATE TABLE strongroom_collections (name text COLLATE \"C\" PRIMARY KEY, model text NOT NULL)",
    )
    .execute(&mut *connection)
    .await?;
    raw_sql(PREPARE).execute(&mut *connection).await?;
    query::<Driver>("INSERT INTO strongroom_format (entry, version) VALUES (1, $1)")
        .bind(FORMAT)
        .execute(connection)
        .await?;
    Ok(())
}

/// Refuses a database that does not hold every text.
async fn check_encoding(connection: &mut Connection) -> Result<(), Failure> {
    let encoding = query_scalar::<Driver, String>("SELECT current_setting('server_encoding')");
    let encoding = encoding.fetch_one(connection).await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("the database has the encoding {encoding}, and the store needs UTF8"),
    )
    .into())
}

/// Whether the store's own tables are there.
pub(crate) async fn is_prepared(connection: &mut Connection) -> Result<bool, Failure> {
    let there = query_scalar::<Driver, bool>(IS_PREPARED);
    if !there.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    check_encoding(connection).await?;
    let format = format(connection).await?;
    if matches!(format, Some(WITHOUT_WORDS | WITHOUT_SEVERAL)) {
        return Ok(false);
    }
    check_format(format)?;
    Ok(true)
}

async fn format(connection: &mut Connection) -> Result<Option<i32>, Failure> {
    let format = query_scalar::<Driver, i32>("SELECT version FROM strongroom_format");
    Ok(format.fetch_optional(connection).await?)
}

fn check_format(format: Option<i32>) -> Result<(), Failure> {
    match format {
        Some(FORMAT) => Ok(()),
        other => Err(Error::new(
            ErrorKind::Config,
            format!("the database has the format {other:?} of another version, this one reads format {FORMAT}"),
        )
        .into()),
    }
}

/// Makes the indexes of a database whose version made none such.
async fn add_indexes(connection: &mut Connection) -> Result<(), Failure> {
    raw_sql(PREPARE).execute(&mut *connection).await?;
    let stored = query_scalar::<Driver, String>("SELECT model FROM strongroom_collections");
    for model in stored.fetch_all(&mut *connection).await? {
        for statement in Postgres.made_where_missing(&decoded(&model)?) {
            raw_sql(AssertSqlSafe(statement))
                .execute(&mut *connection)
                .await?;
        }
    }
    query::<Driver>("UPDATE strongroom_format SET version = $1")
        .bind(FORMAT)
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes changes of the schema wait for each other.
async fn lock(connection: &mut Connection) -> Result<(), Failure> {
    query::<Driver>("SELECT pg_advisory_xact_lock(hashtext('strongroom'))")
        .execute(connection)
        .await?;
    Ok(())
}

/// What a collection that fits already is told; `None` if something is to be done.
pub(crate) async fn fits(
    connection: &mut Connection,
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
    connection: &mut Connection,
    wanted: &Arc<Model>,
) -> Result<EnsureReport, Failure> {
    lock(connection).await?;
    let (statements, model, report) = match stored_model(connection, wanted.name()).await? {
        None => {
            refuse_foreign(connection, wanted.name()).await?;
            (
                Postgres.create_collection(wanted),
                wanted.clone(),
                EnsureReport::created(),
            )
        }
        Some(stored) => {
            let added = wanted.extends(&stored)?;
            let report = EnsureReport::extended(added.iter().map(|f| f.path.clone()).collect());
            let model = stored.union(wanted)?;
            (Postgres.extend_collection(&stored, &model), model, report)
        }
    };
    for statement in statements {
        raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    let text = serde_json::to_string(&*model)
        .map_err(|e| Error::internal("the model does not encode").with_source(e))?;
    query::<Driver>(
        "INSERT INTO strongroom_collections (name, model) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET model = excluded.model",
    )
    .bind(wanted.name().as_str())
    .bind(text)
    .execute(connection)
    .await?;
    Ok(report)
}

async fn refuse_foreign(connection: &mut Connection, name: &CollectionName) -> Result<(), Failure> {
    let there = query_scalar::<Driver, bool>(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 \
         AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()))",
    )
    .bind(short_name(name.as_str()).into_owned())
    .fetch_one(connection)
    .await?;
    if !there {
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
    connection: &mut Connection,
    name: &CollectionName,
) -> Result<Option<CollectionDescription>, Failure> {
    let Some(model) = stored_model(connection, name).await? else {
        return Ok(None);
    };
    let table = Postgres.identifier(name.as_str());
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    let documents = query_scalar::<Driver, i64>(count)
        .fetch_one(connection)
        .await?;
    let documents = u64::try_from(documents).unwrap_or_default();
    Ok(Some(CollectionDescription::new(Arc::new(model), documents)))
}

/// Drops a collection.
pub(crate) async fn drop_collection(
    connection: &mut Connection,
    name: &CollectionName,
) -> Result<bool, Failure> {
    lock(connection).await?;
    let Some(model) = stored_model(connection, name).await? else {
        return Ok(false);
    };
    for statement in Postgres.drop_collection(&model) {
        raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    query::<Driver>("DELETE FROM strongroom_collections WHERE name = $1")
        .bind(name.as_str())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Checks that a collection is there.
pub(crate) async fn require(
    connection: &mut Connection,
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

async fn stored_model(
    connection: &mut Connection,
    name: &CollectionName,
) -> Result<Option<Model>, Failure> {
    let text =
        query_scalar::<Driver, String>("SELECT model FROM strongroom_collections WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(text.map(|text| decoded(&text)).transpose()?)
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

/// Asks what answers at the other end.
pub(crate) async fn server_info(connection: &mut Connection) -> Result<ServerInfo, Failure> {
    let version = query_scalar::<Driver, String>("SHOW server_version")
        .fetch_one(connection)
        .await?;
    Ok(ServerInfo::new("postgresql", version))
}
