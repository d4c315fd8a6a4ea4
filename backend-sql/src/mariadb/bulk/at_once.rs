//! Puts of different documents, by one statement for many.
//!
//! The statement inserts all documents, in the order of their keys, so that bulks do not wait for
//! each other in a circle. Where one is there already, it replaces it if its version is the
//! expected one, which is bound with its sign changed: no document has such a version. A document
//! that is to be replaced and is not there is inserted with that version, then, and taken away
//! again before the transaction ends. A number drawn for each batch tells in the rows that come
//! back which of them this statement wrote; where that is negative, documents are replaced whatever
//! their version is.

use std::borrow::Cow;

use sqlx_mysql::{MySqlConnection, MySqlRow};
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Expected, Key, Model, Version, WriteId};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Receipt, Stamps, Write};
use strongroom_sql::mariadb::StampsAhead;

use crate::failure::Failure;
use crate::outcomes::{self, Told, not_written, written};
use crate::slots::Settled;
use crate::work::{Around, Undo};

use super::super::body::{self, BESIDE};
use super::super::error::is_of_an_item;
use super::super::row::{self, Query};
use super::super::statements::{self, Ahead, Sized, Statements};

/// Most items that are written without a transaction of their own.
pub(crate) const MOST: usize = statements::MOST;

/// The version of what is to be replaced and is not there, whatever version it might have had.
const ABSENT: i64 = -1;

/// The places of the items in the order of their keys; `None` where the statement does not do: it
/// deletes nothing, it goes by any key that is unique, and what it stamps with the times of creation
/// and of change it knows beforehand to be there or not.
pub(crate) fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>> {
    let puts = |item: &BulkItem| matches!(item, BulkItem::Write(write) if matches!(write.action, Action::Put(_)));
    if model.fields().any(|field| field.unique) || !items.iter().all(puts) {
        return None;
    }
    let stamped =
        |item: &BulkItem| matches!(item, BulkItem::Write(write) if write.sets_stamps(model));
    let fits = StampsAhead::fits(model);
    let is_known = |item: &BulkItem| fits && item.expected() != Expected::Any;
    if !items.iter().all(|item| !stamped(item) || is_known(item)) {
        return None;
    }
    outcomes::order(model, items)
}

/// What the statement needs around it: a transaction where something may have to be taken away, or
/// where there will be several statements.
pub(crate) fn around(statements: &Statements, items: &[BulkItem]) -> Around {
    let creates = |item: &BulkItem| matches!(item.expected(), Expected::Absent | Expected::Any);
    let length = |item: &BulkItem| match item {
        BulkItem::Write(Write {
            action: Action::Put(body),
            ..
        }) => body.len() + BESIDE,
        _ => BESIDE,
    };
    let fits = items.iter().map(length).sum::<usize>() <= statements.max_packet;
    if fits && items.iter().all(creates) {
        Around::Write
    } else {
        Around::Transaction
    }
}

/// The body of a repetition. Generated columns are made of it, though it is not written.
pub(super) const PADDING: &str = "{}";

/// A number that no other batch has.
fn token() -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *WriteId::random().as_bytes();
    // Neither zero, which is that of documents that no batch wrote, nor negative.
    (i64::from_le_bytes([a, b, c, d, e, f, g, h]) & i64::MAX) | 1
}

/// A document as the statement takes it.
struct Row<'i> {
    key: &'i Key,
    write_id: &'i WriteId,
    /// What is bound as its version.
    version: i64,
    /// Whether it is written whatever version is there.
    whatever: bool,
    body: Cow<'i, str>,
    /// Whether it is stamped as one that is created, if it is stamped at all.
    is_new: bool,
}

/// An item that is sent.
struct Sent<'i> {
    place: usize,
    write: &'i Write,
    row: Row<'i>,
}

impl<'i> Sent<'i> {
    /// `None` for what the statement cannot say.
    fn new(statements: &Statements, place: usize, write: &'i Write) -> Result<Option<Self>> {
        let intent = Intent::from(&write.action);
        statements.model.check_key(&write.key)?;
        write.expected.check(intent, &write.key)?;
        let Action::Put(put) = &write.action else {
            return Ok(None);
        };
        let created = || Version::created().counter();
        let (version, whatever) = match write.expected {
            Expected::Absent => (created(), false),
            Expected::Any => (created(), true),
            Expected::Present => (Some(ABSENT), true),
            Expected::Exactly(version) => {
                version.next()?;
                (version.counter().map(|counter| -counter), false)
            }
        };
        let Some(version) = version else {
            return Ok(None);
        };
        let is_new = !whatever && version > 0;
        let mut body = body::stored(put, statements.max_packet)?;
        if write.sets_stamps(&statements.model) {
            let ahead = statements.ahead();
            let Some(text) = ahead.and_then(|ahead| ahead.stamps.text(&body, is_new)) else {
                return Ok(None);
            };
            body = text.into();
        }
        Ok(Some(Self {
            place,
            write,
            row: Row {
                key: &write.key,
                write_id: &write.write_id,
                version,
                whatever,
                body,
                is_new,
            },
        }))
    }

    /// The outcome, by what is there now: `None` if it has to be decided anew.
    fn outcome(&self, found: &Found) -> Result<Option<Result<Receipt>>> {
        if !found.ours {
            let actual = Version::from_counter(found.version)?;
            return Ok(not_written(self.write, Some(actual)));
        }
        if found.version < 0 {
            return Ok(not_written(self.write, None));
        }
        let version = Version::from_counter(found.version)?;
        let receipt = match self.write.expected {
            Expected::Any => written(version),
            Expected::Absent => Receipt::written(Effect::Created, version),
            _ => Receipt::written(Effect::Replaced, version),
        };
        Ok(Some(Ok(receipt.with_stamps(found.stamps))))
    }
}

/// What is there behind the statement.
struct Found {
    version: i64,
    ours: bool,
    stamps: Stamps,
}

/// Sends the statement for these documents, which are in the order of their keys; the one that
/// stamps them, if it is given.
async fn send<'i>(
    connection: &mut MySqlConnection,
    statements: &Statements,
    stamping: Option<&Ahead>,
    sent: impl ExactSizeIterator<Item = &'i Row<'i>> + Clone,
) -> Result<Vec<Found>, Failure> {
    let (ours, padding) = (token(), token());
    let number = sent.len();
    let sized = stamping.map_or(&statements.write_many, |ahead| &ahead.write_many);
    let mut query = row::statement(&sized.text(number));
    let mut last = None;
    for one in sent.clone() {
        let tok = if one.whatever { -ours } else { ours };
        query = bind_body(query, one.version, one.write_id, tok, &one.body);
        if let Some(ahead) = stamping {
            query = query.bind(ahead.stamps.place(one.is_new));
        }
        query = Statements::bind_key(query, one.key);
        last = Some(one);
    }
    if let Some(last) = last {
        // The last document again, which is there by then, at a version that it does not have.
        for _ in number..Sized::size(number) {
            query = bind_body(query, i64::MAX, last.write_id, padding, PADDING);
            if let Some(ahead) = stamping {
                query = query.bind(ahead.stamps.place(false));
            }
            query = Statements::bind_key(query, last.key);
        }
    }
    let rows = query.fetch_all(connection).await?;
    let mut found = Vec::with_capacity(number);
    let version = if statements.model.is_routed() { 2 } else { 1 };
    for (one, row) in sent.zip(&rows) {
        if !row::is_of(row, one.key)? {
            return Err(Error::internal("a document came that was not asked for").into());
        }
        let mut one = of(row, version, ours)?;
        if stamping.is_some() {
            one.stamps = row::stamps(row, version + 2)?;
        }
        found.push(one);
    }
    if found.len() < number {
        return Err(Error::internal("a document did not come that was written").into());
    }
    Ok(found)
}

fn of(row: &MySqlRow, version: usize, ours: i64) -> Result<Found, Failure> {
    let tok = row::integer(row, version + 1)?;
    Ok(Found {
        version: row::integer(row, version)?,
        ours: tok == ours || tok == -ours,
        stamps: Stamps::default(),
    })
}

/// Binds the values of one document.
pub(super) fn bind<'q>(
    query: Query<'q>,
    version: i64,
    id: &WriteId,
    tok: i64,
    body: &str,
    key: &Key,
) -> Query<'q> {
    Statements::bind_key(bind_body(query, version, id, tok, body), key)
}

fn bind_body<'q>(query: Query<'q>, version: i64, id: &WriteId, tok: i64, body: &str) -> Query<'q> {
    query
        .bind(version)
        .bind(id.as_bytes().to_vec())
        .bind(tok)
        .bind(body.to_owned())
}

/// Cuts a list into parts that one statement takes.
pub(super) fn parts<T>(items: &[T], max_packet: usize, length: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        // Room for a key and the numbers, and for one repetition of them.
        let more = length(item) + BESIDE;
        if at > begin && (at - begin == statements::MOST || bytes + more > max_packet) {
            parts.extend(items.get(begin..at));
            (begin, bytes) = (at, 0);
        }
        bytes += more;
    }
    parts.extend(items.get(begin..).filter(|rest| !rest.is_empty()));
    parts
}

/// Puts one document, whatever is there. `None` if it could not be written at its version.
pub(crate) async fn upsert(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
    body: &str,
) -> Result<Option<Receipt>, Failure> {
    let row = Row {
        key: &write.key,
        write_id: &write.write_id,
        version: Version::created().counter().unwrap_or(ABSENT),
        whatever: true,
        body: Cow::Borrowed(body),
        is_new: false,
    };
    let found = send(connection, statements, None, std::iter::once(&row)).await?;
    match found.first() {
        Some(found) if found.ours => Ok(Some(written(Version::from_counter(found.version)?))),
        _ => Ok(None),
    }
}

/// Creates documents under versions that are drawn already; `false` if one is there.
pub(super) async fn create(
    connection: &mut MySqlConnection,
    statements: &Statements,
    documents: &[Settled<'_>],
) -> Result<bool, Failure> {
    let mut rows = Vec::with_capacity(documents.len());
    for document in documents {
        rows.push(Row {
            key: document.key,
            write_id: document.write_id,
            version: document.version.counter().unwrap_or(ABSENT),
            whatever: false,
            body: body::stored(document.body, statements.max_packet)?,
            is_new: true,
        });
    }
    for part in parts(&rows, statements.max_packet, |row| row.body.len()) {
        let found = send(connection, statements, None, part.iter()).await?;
        if found.iter().any(|found| !found.ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the items at these places, in the order of their keys; within a transaction if
/// [`around`] says so. Some are left without an outcome; of those nothing is written. Where nothing
/// could undo the first statement of several, those are the items of all others.
pub(crate) async fn write(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &[BulkItem],
    places: &[usize],
    undo: Undo,
    told: &mut Told,
) -> Result<(), Failure> {
    let model = &statements.model;
    let sent = outcomes::sent(model, items, places, told, |place, write| {
        Sent::new(statements, place, write)
    });
    // Either all items are stamped, or none is.
    let is_stamped = sent.first().is_some_and(|s| s.write.sets_stamps(model));
    let stamping = statements.ahead().filter(|_| is_stamped);
    let mut parts = parts(&sent, statements.max_packet, |item| item.row.body.len());
    if undo.sql().is_none() {
        parts.truncate(1);
    }
    for part in parts {
        let rows = part.iter().map(|sent| &sent.row);
        let found = match send(connection, statements, stamping, rows).await {
            // The statement has left nothing behind.
            Err(Failure::Engine(error)) if is_of_an_item(&error) => continue,
            found => found?,
        };
        let pairs = || part.iter().zip(&found);
        let absent: Vec<_> = pairs()
            .filter(|(_, found)| found.version < 0)
            .map(|(sent, _)| &sent.write.key)
            .collect();
        if !absent.is_empty() {
            let delete = statements.with_keys(&statements.delete_many, &absent);
            delete.execute(&mut *connection).await?;
        }
        for (sent, found) in pairs() {
            let outcome = sent.outcome(found)?;
            outcomes::tell(model, items, sent.place, told, outcome);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_short_enough_for_a_message() {
        let lengths = |list: &[usize], most| -> Vec<usize> {
            let parts = parts(list, most, |length| *length);
            parts.iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(&[], 1 << 20), [0; 0]);
        assert_eq!(lengths(&[1; 2_500], usize::MAX), [1_024, 1_024, 452]);
        assert_eq!(lengths(&[400_000; 5], 1 << 20), [2, 2, 1]);
        assert_eq!(lengths(&[5, 2_000_000, 5], 1 << 20), [1, 1, 1]);
    }

    #[test]
    fn tokens_are_positive_and_differ() {
        let (one, other) = (token(), token());
        assert!(one > 0 && other > 0 && one != other);
    }
}
