//! Making, extending, describing and dropping collections, on a connection.
//!
//! The table `strongroom_collections` keeps the model of each collection. A table that another
//! program made is no collection, and a collection of its name is refused. The table
//! `strongroom_format` says how the file is laid out; a file of a later format is refused.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{CollectionDescription, EnsureReport};
use strongroom_sql::sqlite::{make_text_index, text_index_names};
use strongroom_sql::{Dialect, Sqlite};

use crate::error::{Phase, map, map_in};
use crate::load::{begin_read, end_read};

/// The layout of files that this version writes and reads.
const FORMAT: i64 = 1;

/// Makes the store's own tables in a new file, within a transaction of the caller's, and checks
/// those of a file that has them.
pub(crate) fn prepare_file(connection: &Connection) -> Result<()> {
    let failed = |e| map(e, Phase::Open);
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS strongroom_format (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS strongroom_collections (name TEXT PRIMARY KEY NOT NULL, model TEXT NOT NULL) WITHOUT ROWID;",
        )
        .map_err(failed)?;
    connection
        .execute(
            "INSERT INTO strongroom_format (only, version) VALUES (1, ?1) ON CONFLICT (only) DO NOTHING",
            [FORMAT],
        )
        .map_err(failed)?;
    check_format(connection).map(drop)
}

/// Whether the file has the store's own tables.
///
/// # Errors
///
/// `Config` if they are of another format.
pub(crate) fn check_format(connection: &Connection) -> Result<bool> {
    let failed = |e| map(e, Phase::Open);
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('strongroom_format', 'strongroom_collections')",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if tables < 2 {
        return Ok(false);
    }
    let format: Option<i64> = connection
        .query_row("SELECT version FROM strongroom_format", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    match format {
        None => Ok(false),
        Some(FORMAT) => Ok(true),
        Some(other) => Err(Error::new(
            ErrorKind::Config,
            format!("it has the format {other} of another version, this one reads format {FORMAT}"),
        )),
    }
}

/// What a model demands of the file.
#[derive(Debug)]
pub(crate) enum Demand {
    /// Nothing: the collection fits.
    Nothing(EnsureReport),
    /// These statements, and then this model is stored.
    Change {
        statements: Vec<String>,
        model: Arc<Model>,
        report: EnsureReport,
    },
}

/// Finds what `wanted` demands, without writing.
pub(crate) fn demand(connection: &Connection, wanted: &Arc<Model>) -> Result<Demand> {
    if !connection.is_autocommit() {
        return demand_now(connection, wanted);
    }
    // One state of the file: another process may make the collection between two looks.
    let failed = |e| map_in(e, Phase::Before, wanted.name());
    begin_read(connection).map_err(failed)?;
    let demanded = demand_now(connection, wanted);
    end_read(connection).map_err(failed)?;
    demanded
}

fn demand_now(connection: &Connection, wanted: &Arc<Model>) -> Result<Demand> {
    let Some(stored) = stored_model(connection, wanted.name())? else {
        if table_exists(connection, wanted.name())? {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "the file has a table \"{}\" that is no collection of this store",
                    wanted.name()
                ),
            )
            .with_collection(wanted.name().clone()));
        }
        return Ok(Demand::Change {
            statements: Sqlite.create_collection(wanted),
            model: wanted.clone(),
            report: EnsureReport::created(),
        });
    };
    let added = wanted.extends(&stored)?;
    let report = EnsureReport::extended(added.iter().map(|f| f.path.clone()).collect());
    let model = stored.union(wanted)?;
    let mut statements = Sqlite.extend_collection(&stored, &model);
    // An index that another program broke, or that no version before made, is made anew.
    if !has_text_index(connection, &stored)? {
        statements.extend(make_text_index(&model));
    }
    if *model == stored && statements.is_empty() {
        return Ok(Demand::Nothing(report));
    }
    Ok(Demand::Change {
        statements,
        model,
        report,
    })
}

/// Makes the collection fit, within a transaction of the caller's.
pub(crate) fn ensure(connection: &Connection, wanted: &Arc<Model>) -> Result<EnsureReport> {
    let failed = |e| map_in(e, Phase::Before, wanted.name());
    match demand(connection, wanted)? {
        Demand::Nothing(report) => Ok(report),
        Demand::Change {
            statements,
            model,
            report,
        } => {
            for statement in statements {
                connection.execute_batch(&statement).map_err(failed)?;
            }
            let text = serde_json::to_string(&*model).map_err(|e| {
                Error::internal(format!("the model does not encode: {e}")).with_source(e)
            })?;
            connection
                .execute(
                    "INSERT INTO strongroom_collections (name, model) VALUES (?1, ?2) \
                     ON CONFLICT (name) DO UPDATE SET model = excluded.model",
                    [wanted.name().as_str(), &text],
                )
                .map_err(failed)?;
            Ok(report)
        }
    }
}

/// Describes a collection.
pub(crate) fn describe(
    connection: &Connection,
    name: &CollectionName,
) -> Result<Option<CollectionDescription>> {
    let Some(model) = stored_model(connection, name)? else {
        return Ok(None);
    };
    let table = Sqlite.identifier(name.as_str());
    let documents: i64 = connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .map_err(|e| map_in(e, Phase::Before, name))?;
    let documents = u64::try_from(documents).unwrap_or_default();
    Ok(Some(CollectionDescription::new(Arc::new(model), documents)))
}

/// Drops a collection, within a transaction of the caller's.
pub(crate) fn drop_collection(connection: &Connection, name: &CollectionName) -> Result<bool> {
    let failed = |e| map_in(e, Phase::Before, name);
    let Some(model) = stored_model(connection, name)? else {
        return Ok(false);
    };
    for statement in Sqlite.drop_collection(&model) {
        connection.execute_batch(&statement).map_err(failed)?;
    }
    connection
        .execute(
            "DELETE FROM strongroom_collections WHERE name = ?1",
            [name.as_str()],
        )
        .map_err(failed)?;
    Ok(true)
}

/// Checks that a collection is there.
///
/// # Errors
///
/// `NotFound` if it is not.
pub(crate) fn require(connection: &Connection, name: &CollectionName) -> Result<()> {
    match stored_model(connection, name)? {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::NotFound,
            "there is no such collection: it was never ensured, or it was dropped",
        )
        .with_collection(name.clone())),
    }
}

fn stored_model(connection: &Connection, name: &CollectionName) -> Result<Option<Model>> {
    let failed = |e| map_in(e, Phase::Before, name);
    let text: Option<String> = connection
        .prepare_cached("SELECT model FROM strongroom_collections WHERE name = ?1")
        .map_err(failed)?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|e| {
            Error::new(
                ErrorKind::SchemaMismatch,
                format!("the stored model does not decode: {e}"),
            )
            .with_collection(name.clone())
            .with_source(e)
        })
    })
    .transpose()
}

/// Whether the index of words is there with its triggers, as far as the model demands one.
fn has_text_index(connection: &Connection, model: &Model) -> Result<bool> {
    let failed = |e| map_in(e, Phase::Before, model.name());
    let mut there = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = ?1")
        .map_err(failed)?;
    for name in text_index_names(model) {
        if !there.exists([name]).map_err(failed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn table_exists(connection: &Connection, name: &CollectionName) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")
        .and_then(|mut statement| statement.exists([name.as_str()]))
        .map_err(|e| map_in(e, Phase::Before, name))
}
