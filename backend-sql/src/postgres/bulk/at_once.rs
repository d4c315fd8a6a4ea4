//! Puts and deletes of different documents, by one statement.
//!
//! The statement merges a list into the table, in the order of the keys, so that bulks do not
//! wait for each other in a circle, and tells of each item that it did not write which version was
//! there. Its two halves see one state of the data from before it: after a race it can tell the
//! very version that an item expected. Such an item is left, to be decided anew, and so are all
//! items of a statement that the server refuses for the fault of one of them.

use std::borrow::Cow;

use sqlx_core::row::Row;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Expected, Key, Version};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Receipt, Write};

use crate::failure::Failure;
use crate::outcomes::{self, Told, first_put, not_written, written};
use crate::work::{Around, Undo};

use super::super::body;
use super::super::connection::Connection;
use super::super::error::is_of_an_item;
use super::super::row;
use super::super::statements::Statements;

pub(crate) use crate::outcomes::order;

/// Most items of one statement.
pub(crate) const MOST: usize = 1_000;

/// A version that no document has.
const NONE: i64 = 0;

/// What the statement needs around it.
pub(crate) fn around(_statements: &Statements, _items: &[BulkItem]) -> Around {
    Around::Write
}

/// An item that is sent.
struct Sent<'i> {
    place: usize,
    write: &'i Write,
    /// What it comes to if nothing is told of it.
    receipt: Receipt,
}

/// What is sent, column by column.
#[derive(Default)]
struct Columns<'i> {
    keys: Vec<&'i Key>,
    expected: Vec<Option<i64>>,
    created: Vec<Option<i64>>,
    write_ids: Vec<&'i [u8]>,
    bodies: Vec<Option<Cow<'i, str>>>,
}

impl<'i> Columns<'i> {
    /// Adds a write, and tells what it comes to if it is made and nothing is told of it.
    fn add(&mut self, statements: &Statements, write: &'i Write) -> Result<Receipt> {
        let intent = Intent::from(&write.action);
        statements.model.check_key(&write.key)?;
        write.expected.check(intent, &write.key)?;
        let body = match &write.action {
            Action::Put(put) => Some(body::stored(put)?),
            _ => None,
        };
        let created = match write.expected {
            Expected::Any | Expected::Absent if body.is_some() => Some(Version::created()),
            _ => None,
        };
        let (expected, receipt) = match (write.expected, created) {
            _ if body.is_none() => (write.expected, Receipt::without_version(Effect::Deleted)),
            (Expected::Absent, Some(version)) => {
                (write.expected, Receipt::written(Effect::Created, version))
            }
            (Expected::Exactly(version), _) => {
                let receipt = Receipt::written(Effect::Replaced, version.next()?);
                (write.expected, receipt)
            }
            // Its version is told.
            (expected, _) => (expected, Receipt::without_version(Effect::Replaced)),
        };
        self.keys.push(&write.key);
        self.expected.push(match expected {
            Expected::Any | Expected::Present => None,
            Expected::Absent => Some(NONE),
            // A version of another kind of store is the version of no document here.
            Expected::Exactly(version) => Some(version.counter().unwrap_or(NONE)),
        });
        self.created.push(created.and_then(Version::counter));
        self.write_ids.push(write.write_id.as_bytes());
        self.bodies.push(body);
        Ok(receipt)
    }
}

/// Writes the items at these places, of which there are [`MOST`] at most, in the order of their
/// keys. Some are left without an outcome; of those nothing is written.
pub(crate) async fn write(
    connection: &mut Connection,
    statements: &Statements,
    items: &[BulkItem],
    places: &[usize],
    undo: Undo,
    told: &mut Told,
) -> Result<(), Failure> {
    let mut columns = Columns::default();
    let model = &statements.model;
    let sent = outcomes::sent(model, items, places, told, |place, write| {
        let receipt = columns.add(statements, write)?;
        Ok(Some(Sent {
            place,
            write,
            receipt,
        }))
    });
    if sent.is_empty() {
        return Ok(());
    }
    let put = first_put(places.iter().filter_map(|&place| items.get(place)));
    let puts = put.map_or(statements.plain(), |put| statements.puts(put));
    let query = statements
        .with_keys(&puts.write_many, &columns.keys)
        .bind(columns.expected)
        .bind(columns.created)
        .bind(columns.write_ids)
        .bind(columns.bodies);
    let rows = match query.fetch_all(&mut *connection).await {
        Err(error) if is_of_an_item(&error) => {
            return crate::bulk::undo(connection, undo).await;
        }
        rows => rows?,
    };
    let mut came: Vec<_> = sent.iter().map(|s| Some(Ok(s.receipt.clone()))).collect();
    for found in &rows {
        let at = usize::try_from(row::integer(found, 0)? - 1).unwrap_or(usize::MAX);
        let (Some(sent), Some(outcome)) = (sent.get(at), came.get_mut(at)) else {
            return Err(Error::internal("a document came that was not asked for").into());
        };
        let version: Option<i64> = found.try_get(2)?;
        let version = version.map(Version::from_counter).transpose()?;
        *outcome = match (found.try_get(1)?, version) {
            (true, Some(version)) => Some(Ok(written(version).with_stamps(row::stamps(found, 3)?))),
            (_, actual) => not_written(sent.write, actual),
        };
    }
    for (sent, outcome) in sent.into_iter().zip(came) {
        outcomes::tell(model, items, sent.place, told, outcome);
    }
    Ok(())
}
