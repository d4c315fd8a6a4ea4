//! Puts and deletes of different documents, by one statement.
//!
//! The statement merges a list into the table, in the order of the keys, so that bulks do not
//! wait for each other in a circle, and tells of each item that it did not write which version was
//! there. Its two halves see one state of the data from before it: after a race it can tell the
//! very version that an item expected. Such an item is left, to be decided anew, and so are all
//! items of a statement that the server refuses for the fault of one of them.

use std::borrow::Cow;

use sqlx_core::row::Row;
use sqlx_postgres::PgConnection;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Expected, Key, Model, Version};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Receipt, Write, WriteStamps};

use super::super::body;
use super::super::error::{Failure, answered};
use super::super::row;
use super::super::statements::Statements;
use super::{Outcomes, Undo, about, is_of_an_item};

/// Most items of one statement.
pub(crate) const MOST: usize = 1_000;

/// A version that no document has.
const NONE: i64 = 0;

/// The outcome of each item, as far as it has one.
pub(crate) type Told = Vec<Option<Result<Receipt>>>;

/// No outcomes yet.
pub(crate) fn untold(items: &[BulkItem]) -> Told {
    items.iter().map(|_| None).collect()
}

/// The items without an outcome.
pub(crate) fn left(items: &[BulkItem], told: &Told) -> Vec<BulkItem> {
    let left = items.iter().zip(told).filter(|(_, told)| told.is_none());
    left.map(|(item, _)| item.clone()).collect()
}

/// Gives the items without an outcome these.
pub(crate) fn fill(told: &mut Told, outcomes: Outcomes) {
    let open = told.iter_mut().filter(|told| told.is_none());
    open.zip(outcomes)
        .for_each(|(place, outcome)| *place = Some(outcome));
}

fn is_plain(write: &Write) -> bool {
    !matches!(write.action, Action::Patch(_)) && write.computed.is_empty()
}

/// The first item that puts a body.
fn first_put<'i>(mut items: impl Iterator<Item = &'i BulkItem>) -> Option<&'i Write> {
    items.find_map(|item| match item {
        BulkItem::Write(write) if matches!(write.action, Action::Put(_)) => Some(write),
        _ => None,
    })
}

/// Whether one statement can write this and puts with these stamps.
fn fits(write: &Write, stamps: Option<WriteStamps>) -> bool {
    !matches!(write.action, Action::Put(_)) || Some(write.stamps) == stamps
}

/// The places of the items in the order of their keys; `None` where they are not all puts and
/// deletes of different documents, functions make fields, some keep their stamps and some do not,
/// or an item may take a unique value that another gives up: then the order of the items says who
/// is refused.
pub(crate) fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>> {
    let creates = |item: &BulkItem| item.expected() == Expected::Absent;
    if model.fields().any(|field| field.unique) && !items.iter().all(creates) {
        return None;
    }
    let mut order = Vec::with_capacity(items.len());
    let stamps = first_put(items.iter()).map(|put| put.stamps);
    for (place, item) in items.iter().enumerate() {
        match item {
            BulkItem::Write(write) if is_plain(write) && fits(write, stamps) => {
                order.push((&write.key, place));
            }
            _ => return None,
        }
    }
    order.sort_unstable();
    let mut pairs = order.windows(2);
    let all_differ = pairs.all(|pair| match pair {
        [(a, _), (b, _)] => a != b,
        _ => true,
    });
    all_differ.then(|| order.into_iter().map(|(_, place)| place).collect())
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
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    places: &[usize],
    undo: Undo,
    told: &mut Told,
) -> Result<(), Failure> {
    let mut columns = Columns::default();
    let mut sent = Vec::with_capacity(places.len());
    for &place in places {
        let (Some(item), Some(outcome)) = (items.get(place), told.get_mut(place)) else {
            continue;
        };
        let BulkItem::Write(write) = item else {
            continue;
        };
        match columns.add(statements, write) {
            Ok(receipt) => sent.push(Sent {
                place,
                write,
                receipt,
            }),
            Err(error) => *outcome = Some(Err(about(error, statements, item))),
        }
    }
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
        Err(error) if answered(&error).is_some_and(|e| is_of_an_item(e.code())) => {
            return undo.undo(connection).await;
        }
        rows => rows?,
    };
    let mut outcomes: Vec<_> = sent.iter().map(|s| Some(Ok(s.receipt.clone()))).collect();
    for found in &rows {
        let at = usize::try_from(row::integer(found, 0)? - 1).unwrap_or(usize::MAX);
        let (Some(sent), Some(outcome)) = (sent.get(at), outcomes.get_mut(at)) else {
            return Err(Error::internal("a document came that was not asked for").into());
        };
        let version: Option<i64> = found.try_get(2)?;
        let version = version.map(Version::from_counter).transpose()?;
        *outcome = match (found.try_get(1)?, version) {
            (true, Some(version)) => Some(Ok(written(version).with_stamps(row::stamps(found, 3)?))),
            (_, actual) => not_written(sent.write, actual),
        };
    }
    for (sent, outcome) in sent.into_iter().zip(outcomes) {
        let (Some(place), Some(item)) = (told.get_mut(sent.place), items.get(sent.place)) else {
            continue;
        };
        *place = outcome.map(|outcome| outcome.map_err(|e| about(e, statements, item)));
    }
    Ok(())
}

/// The receipt of a put at whatever version there was.
fn written(version: Version) -> Receipt {
    let effect = match version.revision() {
        Some(1) => Effect::Created,
        _ => Effect::Replaced,
    };
    Receipt::written(effect, version)
}

/// The outcome of a write that was not made, with `actual` there; `None` if that is what it
/// expected.
fn not_written(write: &Write, actual: Option<Version>) -> Option<Result<Receipt>> {
    let intent = Intent::from(&write.action);
    match write.expected.decide(intent, &write.key, actual) {
        Err(error) => Some(Err(error)),
        Ok(Effect::Absent) => Some(Ok(Receipt::without_version(Effect::Absent))),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::{Body, FieldDeclaration, Kind};
    use strongroom_core::patch::Patch;

    use super::*;

    #[test]
    fn only_different_documents_are_written_at_once() {
        let key = |id: &str| Key::new(id).unwrap();
        let put =
            |id: &str| BulkItem::from(Write::put(key(id), Body::from_trusted("{}"), Expected::Any));
        let delete = |id: &str| BulkItem::from(Write::delete(key(id), Expected::Any));
        let plain = Model::builder("docs").build().unwrap();
        let order_of = |items: &[BulkItem]| order(&plain, items);
        assert_eq!(
            order_of(&[put("b"), delete("c"), put("a")]),
            Some(vec![2, 0, 1])
        );
        assert_eq!(order_of(&[]), Some(vec![]));
        assert_eq!(order_of(&[put("b"), put("a"), delete("b")]), None);
        let patch = Write::patch(key("a"), Patch::new(), Expected::Any);
        assert_eq!(order_of(&[put("b"), patch.into()]), None);
        let check = BulkItem::Check {
            key: key("a"),
            expected: Expected::Any,
        };
        assert_eq!(order_of(&[check]), None);
        let field = FieldDeclaration::new("u".parse().unwrap(), Kind::Keyword).unique();
        let unique = Model::builder("docs").field(field).build().unwrap();
        let create = |id: &str| {
            let write = Write::put(key(id), Body::from_trusted("{}"), Expected::Absent);
            BulkItem::from(write)
        };
        assert_eq!(
            order(&unique, &[create("b"), create("a")]),
            Some(vec![1, 0])
        );
        assert_eq!(order(&unique, &[create("b"), put("a")]), None);
        let keep = |id: &str| {
            let write = Write::put(key(id), Body::from_trusted("{}"), Expected::Any);
            BulkItem::from(write.keep_stamps())
        };
        assert_eq!(order_of(&[keep("b"), delete("a")]), Some(vec![1, 0]));
        assert_eq!(order_of(&[keep("b"), put("a")]), None);
    }
}
