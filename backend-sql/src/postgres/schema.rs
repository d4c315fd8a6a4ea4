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
use sqlx_postgres::{PgConnection, Postgres as Driver};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{CollectionDescription, EnsureReport, ServerInfo};
use strongroom_sql::postgres::{PREPARE, short_name};
use strongroom_sql::{Dialect, Postgres};

use crate::failure::Failure;

/// The layout of tables and functions that this version writes and reads.
const FORMAT: i32 = 1;

/// It reads the catalogue as a table: a look-up by name may be answered from a cache of the
/// connection's, which does not know yet what another one made while this one waited for it.
const IS_PREPARED: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'strongroom_format' \
     AND relnamespace = current_schema()::regnamespace)";

/// Makes the store's own tables and functions where they are not there, within a transaction.
pub(crate) async fn prepare(connection: &mut PgConnection) -> Result<(), Failure> {
    lock(connection).await?;
    let there = query_scalar::<Driver, bool>(IS_PREPARED);
    if there.fetch_one(&mut *connection).await? {
        return check_format(connection).await;
    }
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

/// Whether the store's own tables are there.
pub(crate) async fn is_prepared(connection: &mut PgConnection) -> Result<bool, Failure> {
    let there = query_scalar::<Driver, bool>(IS_PREPARED);
    if !there.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    check_format(connection).await?;
    Ok(true)
}

async fn check_format(connection: &mut PgConnection) -> Result<(), Failure> {
    let format = query_scalar::<Driver, i32>("SELECT version FROM strongroom_format");
    match format.fetch_optional(connection).await? {
        Some(FORMAT) => Ok(()),
        other => Err(Error::new(
            ErrorKind::Config,
            format!("the database has the format {other:?} of another version, this one reads format {FORMAT}"),
        )
        .into()),
    }
}

/// Makes changes of the schema wait for each other.
async fn lock(connection: &mut PgConnection) -> Result<(), Failure> {
    query::<Driver>("SELECT pg_advisory_xact_lock(hashtext('strongroom'))")
        .execute(connection)
        .await?;
    Ok(())
}

/// What a collection that fits already is told; `None` if something is to be done.
pub(crate) async fn fits(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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

async fn refuse_foreign(
    connection: &mut PgConnection,
    name: &CollectionName,
) -> Result<(), Failure> {
    let there = query_scalar::<Driver, bool>(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 \
         AND relnamespace = current_schema()::regnamespace)",
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
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    name: &CollectionName,
) -> Result<Option<Model>, Failure> {
    let text =
        query_scalar::<Driver, String>("SELECT model FROM strongroom_collections WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(connection)
            .await?;
    let model = text.map(|text| {
        serde_json::from_str(&text).map_err(|e| {
            Error::new(
                ErrorKind::SchemaMismatch,
                "the stored model does not decode",
            )
            .with_source(e)
        })
    });
    Ok(model.transpose()?)
}

/// Asks what answers at the other end.
pub(crate) async fn server_info(connection: &mut PgConnection) -> Result<ServerInfo, Failure> {
    let version = query_scalar::<Driver, String>("SHOW server_version")
        .fetch_one(connection)
        .await?;
    Ok(ServerInfo::new("postgresql", version))
}
