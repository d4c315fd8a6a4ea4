//! Many writes.
//!
//! Puts and deletes of different documents are decided and written by one statement for a
//! thousand of them: see [`at_once`]. What that leaves, and every bulk of other items, is carried
//! out within a transaction: the documents that are there are locked in the order of their keys,
//! the items are decided one after another in memory, and what they come to is written by one
//! statement for each of creating, replacing and deleting. Where that cannot tell which item is at
//! fault, because fields are unique or the server refused a value, or where functions make fields,
//! the items are written one by one.

pub(crate) mod at_once;

use std::collections::BTreeMap;

use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnection;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{Body, Key, Timestamp, Version, WriteId};
use strongroom_core::store::{Action, BulkItem, Intent, Receipt, Stamps};
use strongroom_sql::postgres::NOW;

use super::body;
use super::error::{Failure, Phase, answered, is_serialization};
use super::row;
use super::statements::Statements;
use super::write;

/// How often a bulk that lost a race for a key is decided anew.
const ATTEMPTS: usize = 16;

/// How the transaction goes back to where the call began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo {
    /// There is none: a statement that is refused leaves nothing behind.
    Nothing,
    /// The transaction is the call's own.
    Own,
    /// There is a savepoint around the call.
    Call,
    /// There is a savepoint around a part of the bulk.
    Part,
}

impl Undo {
    pub(crate) async fn undo(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let sql = match self {
            Self::Nothing => return Ok(()),
            Self::Own => "ROLLBACK; BEGIN",
            Self::Call => "ROLLBACK TO SAVEPOINT strongroom_call",
            Self::Part => "ROLLBACK TO SAVEPOINT strongroom_part",
        };
        raw_sql(sql).execute(connection).await?;
        Ok(())
    }
}

pub(crate) type Outcomes = Vec<Result<Receipt>>;

/// Carries out a bulk within a transaction. An atomic one that fails has undone what it wrote.
pub(crate) async fn bulk(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let Some(order) = at_once::order(&statements.model, items).filter(|order| !order.is_empty())
    else {
        return locked(connection, statements, items, atomic, undo).await;
    };
    let mut told = at_once::untold(items);
    let mut begin = "SAVEPOINT strongroom_part";
    for places in order.chunks(at_once::MOST) {
        raw_sql(begin).execute(&mut *connection).await?;
        begin = "RELEASE SAVEPOINT strongroom_part; SAVEPOINT strongroom_part";
        at_once::write(connection, statements, items, places, Undo::Part, &mut told).await?;
    }
    let left = at_once::left(items, &told);
    if atomic {
        let failed = told.iter().flatten().any(Result::is_err);
        if failed || !left.is_empty() {
            undo.undo(connection).await?;
        }
        if !left.is_empty() {
            return locked(connection, statements, items, atomic, undo).await;
        }
        let outcomes = told.into_iter().flatten().collect();
        return Ok(if failed {
            all_undone(outcomes)
        } else {
            outcomes
        });
    }
    if !left.is_empty() {
        raw_sql(begin).execute(&mut *connection).await?;
        let outcomes = locked(connection, statements, &left, false, Undo::Part).await?;
        at_once::fill(&mut told, outcomes);
    }
    raw_sql("RELEASE SAVEPOINT strongroom_part")
        .execute(connection)
        .await?;
    Ok(told.into_iter().flatten().collect())
}

/// Carries out a bulk of any items within a transaction, as [`bulk`] does.
pub(crate) async fn locked(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let model = &statements.model;
    let keyed = |outcomes: Outcomes| -> Outcomes {
        let keyed = outcomes.into_iter().zip(items);
        let keyed = keyed.map(|(outcome, item)| outcome.map_err(|e| about(e, statements, item)));
        keyed.collect()
    };
    let one_by_one_only = items.iter().any(computes) || model.fields().any(|field| field.unique);
    if !one_by_one_only {
        for _ in 0..ATTEMPTS {
            match together(connection, statements, items, atomic).await {
                Ok(Some(outcomes)) => return Ok(keyed(outcomes)),
                // Someone created a document between two of the statements.
                Ok(None) => undo.undo(connection).await?,
                Err(Failure::Engine(error))
                    if answered(&error).is_some_and(|e| is_of_an_item(e.code())) =>
                {
                    undo.undo(connection).await?;
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    let outcomes = one_by_one(connection, statements, items).await?;
    if atomic && outcomes.iter().any(Result::is_err) {
        undo.undo(connection).await?;
        return Ok(keyed(all_undone(outcomes)));
    }
    Ok(keyed(outcomes))
}

/// Whether a function makes a field of the item.
fn computes(item: &BulkItem) -> bool {
    matches!(item, BulkItem::Write(write) if !write.computed.is_empty())
}

/// Whether one item may be refused so, and the others not.
fn is_of_an_item(code: &str) -> bool {
    code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
}

/// The error of an item, which says what it is about.
fn about(error: Error, statements: &Statements, item: &BulkItem) -> Error {
    error
        .with_key(item.key().clone())
        .with_collection(statements.model.name().clone())
}

/// The error of a call, for each of its items.
pub(crate) fn of_each(error: &Error, items: &[BulkItem]) -> Outcomes {
    let errors = items.iter().map(|item| {
        let same = Error::new(error.kind(), error.message());
        Err(same.with_key(item.key().clone()))
    });
    errors.collect()
}

/// What an atomic bulk answers of which an item failed.
fn all_undone(outcomes: Outcomes) -> Outcomes {
    let undone = outcomes.into_iter().map(|outcome| match outcome {
        Ok(_) => Err(Error::new(
            ErrorKind::Cancelled,
            "another item of the atomic bulk failed",
        )),
        failed => failed,
    });
    undone.collect()
}

/// What the items make of one document.
#[derive(Debug, Default)]
struct Slot {
    before: Option<Version>,
    now: Option<Version>,
    body: Option<Body>,
    write_id: Option<WriteId>,
}

/// Decides all items and writes what they come to; `None` if a document was created meanwhile.
async fn together(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
) -> Result<Option<Outcomes>, Failure> {
    let (mut slots, mut now) = lock(connection, statements, items).await?;
    read_bodies(connection, statements, items, &mut slots).await?;
    if now.is_none() && items.iter().any(|item| is_stamped(statements, item)) {
        now = Some(server_time(connection).await?);
    }
    let mut outcomes: Outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(decide(statements, item, &mut slots, now));
    }
    if atomic && outcomes.iter().any(Result::is_err) {
        return Ok(Some(all_undone(outcomes)));
    }
    let mut created = Batch::default();
    let mut replaced = Batch::default();
    let mut deleted = Vec::new();
    for (key, slot) in &slots {
        match (slot.before, slot.now, &slot.write_id, &slot.body) {
            (None, Some(version), Some(id), Some(body)) => created.add(key, version, id, body)?,
            (Some(_), Some(version), Some(id), Some(body)) => {
                replaced.add(key, version, id, body)?;
            }
            (Some(_), None, _, _) => deleted.push(*key),
            _ => {}
        }
    }
    if !created.keys.is_empty() {
        let wanted = created.keys.len();
        let insert = created.bind(statements, &statements.insert_many);
        let done = insert.execute(&mut *connection).await?.rows_affected();
        if u64::try_from(wanted) != Ok(done) {
            return Ok(None);
        }
    }
    if !replaced.keys.is_empty() {
        let update = replaced.bind(statements, &statements.update_many);
        update.execute(&mut *connection).await?;
    }
    if !deleted.is_empty() {
        let delete = statements.with_keys(&statements.delete_many, &deleted);
        delete.execute(&mut *connection).await?;
    }
    Ok(Some(outcomes))
}

/// Locks the documents of all items that are there, and tells the server's time, if any is.
async fn lock<'i>(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &'i [BulkItem],
) -> Result<(BTreeMap<&'i Key, Slot>, Option<Timestamp>), Failure> {
    let mut now = None;
    let mut slots: BTreeMap<&Key, Slot> = BTreeMap::new();
    for item in items {
        if statements.model.check_key(item.key()).is_ok() {
            slots.entry(item.key()).or_default();
        }
    }
    let keys: Vec<_> = slots.keys().copied().collect();
    for found in statements.locking(&keys).fetch_all(connection).await? {
        let (key, next) = row::key(&found, statements.model.is_routed())?;
        let Some(slot) = slots.get_mut(&key) else {
            return Err(Error::internal("a document came that was not asked for").into());
        };
        slot.before = Some(row::version(&found, next)?);
        slot.now = slot.before;
        now = now.max(Some(row::time(&found, next + 1)?));
    }
    Ok((slots, now))
}

/// The server's time, for documents that are all new.
async fn server_time(connection: &mut PgConnection) -> Result<Timestamp, Failure> {
    let asked = query(AssertSqlSafe(format!("SELECT {NOW}")));
    row::time(&asked.fetch_one(connection).await?, 0)
}

fn is_stamped(statements: &Statements, item: &BulkItem) -> bool {
    matches!(item, BulkItem::Write(write) if write.sets_stamps(&statements.model))
}

/// Reads the bodies that patches are applied to, or whose time of creation is kept.
async fn read_bodies<'i>(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &'i [BulkItem],
    slots: &mut BTreeMap<&'i Key, Slot>,
) -> Result<(), Failure> {
    let created = statements.model.created().is_some();
    let read = items.iter().filter_map(|item| match item {
        BulkItem::Write(write) if matches!(write.action, Action::Patch(_)) => Some(&write.key),
        item if created && is_stamped(statements, item) => Some(item.key()),
        _ => None,
    });
    let keys: Vec<_> = read
        .filter(|key| slots.get(key).is_some_and(|slot| slot.before.is_some()))
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    let get = statements.with_keys(&statements.get_many, &keys);
    for found in get.fetch_all(connection).await? {
        let at = usize::try_from(row::integer(&found, 0)? - 1).unwrap_or(usize::MAX);
        if let Some(slot) = keys.get(at).and_then(|key| slots.get_mut(key)) {
            slot.body = Some(row::body(&found, 4)?);
        }
    }
    Ok(())
}

fn decide(
    statements: &Statements,
    item: &BulkItem,
    slots: &mut BTreeMap<&Key, Slot>,
    time: Option<Timestamp>,
) -> Result<Receipt> {
    let key = item.key();
    statements.model.check_key(key)?;
    let Some(slot) = slots.get_mut(key) else {
        return Err(Error::internal("a document was not looked for"));
    };
    let effect = item.expected().decide(Intent::from(item), key, slot.now)?;
    let BulkItem::Write(write) = item else {
        return Ok(Receipt::without_version(effect));
    };
    let body = match &write.action {
        Action::Put(body) => body.clone(),
        Action::Patch(patch) => match &slot.body {
            Some(body) => patch.apply(body)?,
            None => return Err(Error::internal("a body was not read")),
        },
        Action::Delete => {
            slot.now = None;
            slot.body = None;
            return Ok(Receipt::without_version(effect));
        }
    };
    let version = match slot.now {
        Some(version) => version.next()?,
        None => Version::created(),
    };
    let before = slot.body.as_ref().filter(|_| slot.now.is_some());
    let (body, stamps) = match time {
        Some(time) => write.stamp(&statements.model, body, before, time)?,
        None => (body, Stamps::default()),
    };
    slot.now = Some(version);
    slot.body = Some(body);
    slot.write_id = Some(write.write_id);
    Ok(Receipt::written(effect, version).with_stamps(stamps))
}

/// Documents that one statement writes.
#[derive(Debug, Default)]
struct Batch<'k> {
    keys: Vec<&'k Key>,
    versions: Vec<i64>,
    write_ids: Vec<Vec<u8>>,
    bodies: Vec<String>,
}

impl<'k> Batch<'k> {
    fn add(&mut self, key: &'k Key, version: Version, id: &WriteId, body: &Body) -> Result<()> {
        self.keys.push(key);
        self.versions.push(version.counter().unwrap_or_default());
        self.write_ids.push(id.as_bytes().to_vec());
        self.bodies.push(body::stored(body)?.into_owned());
        Ok(())
    }

    fn bind<'q>(self, statements: &Statements, sql: &std::sync::Arc<str>) -> row::Query<'q> {
        statements
            .with_keys(sql, &self.keys)
            .bind(self.versions)
            .bind(self.write_ids)
            .bind(self.bodies)
    }
}

/// Writes one item after another, each within a savepoint of its own.
async fn one_by_one(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
) -> Result<Outcomes, Failure> {
    // Locked in the order of their keys, so that bulks do not wait for each other in a circle.
    drop(lock(connection, statements, items).await?);
    let mut outcomes = Vec::with_capacity(items.len());
    raw_sql("SAVEPOINT strongroom_item")
        .execute(&mut *connection)
        .await?;
    for item in items {
        let outcome = match write::item(connection, statements, item).await {
            Err(Failure::Engine(error))
                if answered(&error).is_none() || is_serialization(&error) =>
            {
                return Err(Failure::Engine(error));
            }
            outcome => outcome,
        };
        let next = match &outcome {
            Err(Failure::Engine(_)) => "ROLLBACK TO SAVEPOINT strongroom_item",
            _ => "RELEASE SAVEPOINT strongroom_item; SAVEPOINT strongroom_item",
        };
        raw_sql(next).execute(&mut *connection).await?;
        outcomes.push(outcome.map_err(|f| f.told(Phase::Read, Some(&statements.model))));
    }
    raw_sql("RELEASE SAVEPOINT strongroom_item")
        .execute(connection)
        .await?;
    Ok(outcomes)
}

/// Whether a bulk broke the rule of a unique field.
pub(crate) fn violates(outcomes: &Outcomes) -> bool {
    let mut errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    errors.any(|error| error.kind() == ErrorKind::UniqueViolation)
}
