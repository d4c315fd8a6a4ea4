//! One write, on a connection that may write: the table of writes in SQL.
//!
//! A statement decides the expectation and writes in one step. Only where it wrote nothing does a
//! second one look why. Patches read, change and write, and so need a transaction around them.

use rusqlite::{CachedStatement, Connection};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{Body, Expected, Key, Timestamp, Version, WriteId};
use strongroom_core::patch::Patch;
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Receipt, Write};

use crate::error::{Phase, is_constraint, map};
use crate::load;
use crate::statements::Statements;

/// Why a write did not take place.
#[derive(Debug)]
pub(crate) enum Failure {
    /// By the write's own fault: the connection and the writes beside it are as they were.
    Refused(Error),
    /// By the engine's: what else is in the transaction is in doubt.
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_constraint(&error) {
            return Self::Refused(map(error, Phase::Before));
        }
        let mapped = matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::Unknown | rusqlite::ErrorCode::TooBig)
        );
        // A missing table or column is found before anything is done.
        if mapped {
            return Self::Refused(map(error, Phase::Before));
        }
        Self::Engine(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Whether the write is one statement, which needs no transaction around it.
pub(crate) fn is_one_statement(write: &Write) -> bool {
    !matches!(write.action, Action::Patch(_))
}

/// Writes to one collection, keeping its prepared statements at hand from one write to the next.
pub(crate) struct Hand<'c> {
    connection: &'c Connection,
    statements: &'c Statements,
    now: Timestamp,
    get: Option<CachedStatement<'c>>,
    version: Option<CachedStatement<'c>>,
    insert: Option<CachedStatement<'c>>,
    upsert: Option<CachedStatement<'c>>,
    replace_exactly: Option<CachedStatement<'c>>,
    replace_present: Option<CachedStatement<'c>>,
    delete_exactly: Option<CachedStatement<'c>>,
    delete: Option<CachedStatement<'c>>,
}

type Written = Result<Receipt, Failure>;

impl<'c> Hand<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        statements: &'c Statements,
        now: Timestamp,
    ) -> Self {
        Self {
            connection,
            statements,
            now,
            get: None,
            version: None,
            insert: None,
            upsert: None,
            replace_exactly: None,
            replace_present: None,
            delete_exactly: None,
            delete: None,
        }
    }

    /// Whether this hand writes to the collection of these statements.
    pub(crate) fn holds(&self, statements: &Statements) -> bool {
        std::ptr::eq(self.statements, statements)
    }

    /// Carries out one item of a bulk.
    pub(crate) fn item(&mut self, item: &BulkItem) -> Written {
        match item {
            BulkItem::Write(write) => self.write(write),
            BulkItem::Check { key, expected } => {
                self.statements.check_key(key)?;
                let actual = self.version(key)?;
                let effect = expected.decide(Intent::Check, key, actual)?;
                Ok(Receipt::without_version(effect))
            }
        }
    }

    /// Carries out one write.
    pub(crate) fn write(&mut self, write: &Write) -> Written {
        let key = &write.key;
        self.statements.check_key(key)?;
        let written = match &write.action {
            Action::Put(body) if write.computed.is_empty() => {
                self.put(key, body, write.expected, &write.write_id)
            }
            Action::Put(body) => {
                let (body, made) = write.computed_onto(body.clone())?;
                let receipt = self.put(key, &body, write.expected, &write.write_id);
                receipt.map(|receipt| receipt.with_made(made))
            }
            Action::Patch(patch) => self.patch(write, patch),
            Action::Delete => self.delete(key, write.expected),
        };
        written.map_err(|failure| match failure {
            Failure::Refused(error) => Failure::Refused(
                error
                    .with_key(key.clone())
                    .with_collection(self.statements.collection.clone()),
            ),
            engine => engine,
        })
    }

    fn put(&mut self, key: &Key, body: &Body, expected: Expected, id: &WriteId) -> Written {
        let (connection, statements, now) = (self.connection, self.statements, self.now);
        match expected {
            Expected::Absent => {
                let insert = prepare(&mut self.insert, connection, &statements.insert)?;
                let version = Version::created();
                bind(insert, key, Some(version), id, now, body)?;
                if insert.raw_execute()? == 1 {
                    return Ok(Receipt::written(Effect::Created, version));
                }
                let actual = self.version(key)?;
                Err(Error::already_exists(key.clone(), actual).into())
            }
            Expected::Any => {
                let upsert = prepare(&mut self.upsert, connection, &statements.upsert)?;
                bind(upsert, key, Some(Version::created()), id, now, body)?;
                let Some(version) = returned(upsert)? else {
                    return self.explain(key, expected, Intent::Put);
                };
                let effect = match version.revision() {
                    Some(1) => Effect::Created,
                    _ => Effect::Replaced,
                };
                Ok(Receipt::written(effect, version))
            }
            Expected::Present => {
                let replace = prepare(
                    &mut self.replace_present,
                    connection,
                    &statements.replace_present,
                )?;
                bind(replace, key, None, id, now, body)?;
                match returned(replace)? {
                    Some(version) => Ok(Receipt::written(Effect::Replaced, version)),
                    None => self.explain(key, expected, Intent::Put),
                }
            }
            Expected::Exactly(version) => match self.replace(key, body, version, id)? {
                Some(version) => Ok(Receipt::written(Effect::Replaced, version)),
                None => self.explain(key, expected, Intent::Put),
            },
        }
    }

    /// Replaces the body at exactly this version; `None` if the document is not at it.
    fn replace(
        &mut self,
        key: &Key,
        body: &Body,
        version: Version,
        id: &WriteId,
    ) -> Result<Option<Version>, Failure> {
        let Some(counter) = version.counter() else {
            // A version of another kind of store is the version of no document here.
            return Ok(None);
        };
        let next = version.next()?;
        let replace = prepare(
            &mut self.replace_exactly,
            self.connection,
            &self.statements.replace_exactly,
        )?;
        bind(replace, key, Some(next), id, self.now, body)?;
        replace.raw_bind_parameter(7, counter)?;
        Ok((replace.raw_execute()? == 1).then_some(next))
    }

    fn patch(&mut self, write: &Write, patch: &Patch) -> Written {
        let (key, expected) = (&write.key, write.expected);
        let get = prepare(&mut self.get, self.connection, &self.statements.get)?;
        let found = load::get_one(get, key, self.now)?;
        let effect = expected.decide(Intent::Patch, key, found.as_ref().map(|d| d.version))?;
        let Some(found) = found else {
            return Err(Error::not_found(key.clone()).into());
        };
        let (body, made) = write.computed_onto(patch.apply(&found.body)?)?;
        match self.replace(key, &body, found.version, &write.write_id)? {
            Some(version) => Ok(Receipt::written(effect, version).with_made(made)),
            None => Err(Error::internal("a document changed under the lock").into()),
        }
    }

    fn delete(&mut self, key: &Key, expected: Expected) -> Written {
        if expected == Expected::Absent {
            return self.explain(key, expected, Intent::Delete);
        }
        let deleted = match expected {
            Expected::Exactly(version) => match version.counter() {
                None => 0,
                Some(counter) => {
                    let delete = prepare(
                        &mut self.delete_exactly,
                        self.connection,
                        &self.statements.delete_exactly,
                    )?;
                    bind_key(delete, key)?;
                    delete.raw_bind_parameter(7, counter)?;
                    delete.raw_execute()?
                }
            },
            _ => {
                let delete = prepare(&mut self.delete, self.connection, &self.statements.delete)?;
                bind_key(delete, key)?;
                delete.raw_execute()?
            }
        };
        match (deleted, expected) {
            (0, Expected::Any) => Ok(Receipt::without_version(Effect::Absent)),
            (0, _) => self.explain(key, expected, Intent::Delete),
            _ => Ok(Receipt::without_version(Effect::Deleted)),
        }
    }

    fn version(&mut self, key: &Key) -> Result<Option<Version>, Failure> {
        let statement = prepare(&mut self.version, self.connection, &self.statements.version)?;
        bind_key(statement, key)?;
        Ok(returned(statement)?)
    }

    /// Tells why a statement wrote nothing.
    fn explain(&mut self, key: &Key, expected: Expected, intent: Intent) -> Written {
        let actual = self.version(key)?;
        expected.decide(intent, key, actual)?;
        if let Some(actual) = actual {
            // At its last revision a document is not written again.
            actual.next()?;
        }
        Err(Error::new(
            ErrorKind::Contended,
            "another process changed the document at the same time",
        )
        .into())
    }
}

fn prepare<'s, 'c>(
    slot: &'s mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
    match slot {
        Some(statement) => Ok(statement),
        None => Ok(slot.insert(connection.prepare_cached(sql)?)),
    }
}

fn bind_key(statement: &mut CachedStatement<'_>, key: &Key) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, key.id().as_str())?;
    match key.routing() {
        Some(routing) => statement.raw_bind_parameter(6, routing.as_str()),
        None => Ok(()),
    }
}

fn bind(
    statement: &mut CachedStatement<'_>,
    key: &Key,
    version: Option<Version>,
    id: &WriteId,
    now: Timestamp,
    body: &Body,
) -> Result<(), Failure> {
    let body = body.as_str()?;
    bind_key(statement, key)?;
    if let Some(counter) = version.and_then(Version::counter) {
        statement.raw_bind_parameter(2, counter)?;
    }
    statement.raw_bind_parameter(3, id.as_bytes().as_slice())?;
    statement.raw_bind_parameter(4, now.as_millis())?;
    statement.raw_bind_parameter(5, body)?;
    Ok(())
}

/// Runs a statement that gives a version, to its end.
fn returned(statement: &mut CachedStatement<'_>) -> rusqlite::Result<Option<Version>> {
    let mut rows = statement.raw_query();
    let version = rows.next()?.map(|row| load::version(row, 0)).transpose()?;
    // The statement commits when it has run to its end, not before.
    while rows.next()?.is_some() {}
    Ok(version)
}
