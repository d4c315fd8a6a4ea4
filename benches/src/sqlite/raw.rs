//! The work by hand on rusqlite: the same statements, prepared, serialisation included.

use std::marker::PhantomData;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use strongroom::prelude::Timestamp;

use crate::documents::Sample;

/// The adapter's page cache: 16 MiB.
pub const CACHE_SIZE: i64 = -16_384;

/// A connection with the pragmas that the adapter sets.
pub fn open(file: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The statements by hand, their text made once.
#[derive(Clone, Debug)]
pub struct Statements<T> {
    load: String,
    save: String,
    of: PhantomData<T>,
}

impl<T: Sample> Statements<T> {
    /// The statements for the collection of `T`.
    pub fn new() -> Self {
        let table = T::TABLE;
        Self {
            load: format!("SELECT version, write_id, body FROM \"{table}\" WHERE id = ?1"),
            save: format!(
                "UPDATE \"{table}\" SET version = ?6, write_id = ?1, written_at = ?2, \
                 body = ?3 WHERE id = ?4 AND version = ?5"
            ),
            of: PhantomData,
        }
    }

    /// Loads one document with its version.
    pub fn load(&self, connection: &Connection, id: &str) -> rusqlite::Result<Option<(T, i64)>> {
        connection
            .prepare_cached(&self.load)?
            .query_row([id], |row| {
                let body = row.get_ref(2)?.as_bytes()?;
                let document = serde_json::from_slice(body).expect("the body decodes");
                Ok((document, row.get(0)?))
            })
            .optional()
    }

    /// Saves one document at its version and hands out the next version.
    pub fn save(
        &self,
        connection: &Connection,
        document: &T,
        version: i64,
        now: Timestamp,
    ) -> rusqlite::Result<Option<i64>> {
        let body = serde_json::to_string(document).expect("the document encodes");
        let write_id = uuid::Uuid::new_v4();
        let next = version + 1;
        // Without RETURNING: a statement whose row is read and that is then dropped commits, but
        // never runs the automatic checkpoint, so the log would grow without end.
        let changed = connection.prepare_cached(&self.save)?.execute(params![
            write_id.as_bytes().as_slice(),
            now.as_millis(),
            body,
            document.id(),
            version,
            next
        ])?;
        Ok((changed == 1).then_some(next))
    }

    /// All documents with their versions, in the order of `documents`.
    pub fn held(
        &self,
        connection: &Connection,
        documents: &[T],
    ) -> rusqlite::Result<Vec<(T, i64)>> {
        documents
            .iter()
            .map(|document| {
                let found = self.load(connection, document.id())?;
                found.ok_or(rusqlite::Error::QueryReturnedNoRows)
            })
            .collect()
    }
}
