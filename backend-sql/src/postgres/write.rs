//! One write: the table of writes in SQL.
//!
//! A statement decides the expectation, writes, and tells what was there if it wrote nothing. The
//! two halves of such a statement see one state of the data from before it; where a race makes
//! the second half contradict the first, the statement is sent again.

use sqlx_core::row::Row;
use sqlx_postgres::{PgConnection, PgRow};
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::{Expected, Key, Version};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Made, Receipt, Write};

use super::body;
use super::computed;
use super::row;
use super::statements::Statements;
use crate::failure::Failure;

/// How often a write that lost a race, which told it nothing, is decided anew.
const ATTEMPTS: usize = 32;

type Written = Result<Receipt, Failure>;

/// Whether the write needs a transaction around it.
pub(crate) fn needs_transaction(write: &Write) -> bool {
    matches!(write.action, Action::Patch(_))
}

/// Carries out one item of a bulk within a transaction.
pub(crate) async fn item(
    connection: &mut PgConnection,
    statements: &Statements,
    item: &BulkItem,
) -> Written {
    match item {
        BulkItem::Write(one) => write(connection, statements, one).await,
        BulkItem::Check { key, expected } => {
            statements.model.check_key(key)?;
            let actual = version(connection, statements, key).await?;
            let effect = expected.decide(Intent::Check, key, actual)?;
            Ok(Receipt::without_version(effect))
        }
    }
}

/// Carries out one write; a patch within a transaction.
pub(crate) async fn write(
    connection: &mut PgConnection,
    statements: &Statements,
    write: &Write,
) -> Written {
    let key = &write.key;
    statements.model.check_key(key)?;
    let intent = Intent::from(&write.action);
    write.expected.check(intent, key)?;
    for _ in 0..ATTEMPTS {
        let actual = match &write.action {
            Action::Put(put) => {
                let (put, made) = match write.computed.is_empty() {
                    true => (put.clone(), Made::new()),
                    false => computed::onto(connection, statements, write, put.clone()).await?,
                };
                let body = body::stored(&put)?;
                match put_once(connection, statements, write, &body).await? {
                    Told::Written(receipt) => return Ok(receipt.with_made(made)),
                    Told::There(actual) => actual,
                }
            }
            Action::Patch(patch) => {
                let get = Statements::with_key(&statements.get_locked, key);
                let Some(found) = get.fetch_optional(&mut *connection).await? else {
                    write.expected.decide(intent, key, None)?;
                    return Err(Error::not_found(key.clone()).into());
                };
                let found = row::aged_document(&found, 0, key.clone())?;
                write.expected.decide(intent, key, Some(found.version))?;
                let patched = patch.apply(&found.body)?;
                let (patched, made) =
                    computed::onto(connection, statements, write, patched).await?;
                let next = found.version.next()?;
                let body = body::stored(&patched)?;
                let replace = Statements::with_key(&statements.replace_exactly, key)
                    .bind(found.version.counter())
                    .bind(write.write_id.as_bytes().to_vec())
                    .bind(body.into_owned());
                match told(replace.fetch_optional(&mut *connection).await?)? {
                    Some((true, _)) => {
                        return Ok(Receipt::written(Effect::Patched, next).with_made(made));
                    }
                    other => other.map(|(_, version)| version),
                }
            }
            Action::Delete => match delete_once(connection, statements, write).await? {
                Told::Written(receipt) => return Ok(receipt),
                Told::There(actual) => actual,
            },
        };
        // Nothing was written. What is there says why, unless it changed meanwhile.
        let actual = match actual {
            Some(actual) => Some(actual),
            None => version(connection, statements, key).await?,
        };
        write.expected.decide(intent, key, actual)?;
        if let Some(actual) = actual {
            // At its last revision a document is not written again.
            actual.next()?;
        }
    }
    Err(Error::new(
        ErrorKind::Contended,
        "others changed the document at the same time, again and again",
    )
    .into())
}

/// What a statement told.
enum Told {
    Written(Receipt),
    /// Nothing was written; the version that is there, if the statement tells.
    There(Option<Version>),
}

async fn put_once(
    connection: &mut PgConnection,
    statements: &Statements,
    write: &Write,
    body: &str,
) -> Result<Told, Failure> {
    let key = &write.key;
    let id = write.write_id.as_bytes().to_vec();
    let body = body.to_owned();
    match write.expected {
        Expected::Absent => {
            let version = Version::created();
            let insert = Statements::with_key(&statements.insert, key)
                .bind(version.counter())
                .bind(id)
                .bind(body);
            Ok(match told(insert.fetch_optional(connection).await?)? {
                Some((true, _)) => Told::Written(Receipt::written(Effect::Created, version)),
                other => Told::There(other.map(|(_, version)| version)),
            })
        }
        Expected::Any => {
            let upsert = Statements::with_key(&statements.upsert, key)
                .bind(Version::created().counter())
                .bind(id)
                .bind(body);
            let Some(found) = upsert.fetch_optional(connection).await? else {
                return Ok(Told::There(None));
            };
            let version = row::version(&found, 0)?;
            let effect = match version.revision() {
                Some(1) => Effect::Created,
                _ => Effect::Replaced,
            };
            Ok(Told::Written(Receipt::written(effect, version)))
        }
        Expected::Present => {
            let replace = Statements::with_key(&statements.replace_present, key)
                .bind(id)
                .bind(body);
            Ok(match replace.fetch_optional(connection).await? {
                Some(found) => {
                    Told::Written(Receipt::written(Effect::Replaced, row::version(&found, 0)?))
                }
                None => Told::There(None),
            })
        }
        Expected::Exactly(version) => {
            let Some(counter) = version.counter() else {
                // A version of another kind of store is the version of no document here.
                return Ok(Told::There(None));
            };
            let next = version.next()?;
            let replace = Statements::with_key(&statements.replace_exactly, key)
                .bind(counter)
                .bind(id)
                .bind(body);
            Ok(match told(replace.fetch_optional(connection).await?)? {
                Some((true, _)) => Told::Written(Receipt::written(Effect::Replaced, next)),
                other => Told::There(other.map(|(_, version)| version)),
            })
        }
    }
}

async fn delete_once(
    connection: &mut PgConnection,
    statements: &Statements,
    write: &Write,
) -> Result<Told, Failure> {
    let gone = || Told::Written(Receipt::without_version(Effect::Deleted));
    let key = &write.key;
    if let Expected::Exactly(version) = write.expected {
        let Some(counter) = version.counter() else {
            return Ok(Told::There(None));
        };
        let delete = Statements::with_key(&statements.delete_exactly, key).bind(counter);
        return Ok(match told(delete.fetch_optional(connection).await?)? {
            Some((true, _)) => gone(),
            other => Told::There(other.map(|(_, version)| version)),
        });
    }
    let delete = Statements::with_key(&statements.delete, key);
    Ok(
        match (delete.fetch_optional(connection).await?, write.expected) {
            (Some(_), _) => gone(),
            (None, Expected::Any) => Told::Written(Receipt::without_version(Effect::Absent)),
            (None, _) => Told::There(None),
        },
    )
}

/// Whether it was written, and the version that is there.
fn told(found: Option<PgRow>) -> Result<Option<(bool, Version)>, Failure> {
    found
        .map(|found| Ok((found.try_get(0)?, row::version(&found, 1)?)))
        .transpose()
}

async fn version(
    connection: &mut PgConnection,
    statements: &Statements,
    key: &Key,
) -> Result<Option<Version>, Failure> {
    let found = Statements::with_key(&statements.version, key);
    let found = found.fetch_optional(connection).await?;
    found.map(|found| row::version(&found, 0)).transpose()
}
