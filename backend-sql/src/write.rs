//! Single writes, whichever the server.
//!
//! A statement decides the expectation and writes. Where it wrote nothing, what is there says why;
//! where that contradicts the statement, because someone was faster, the write is decided anew.

use std::future::Future;

use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{Body, Key, Model, RawDocument, Scalar, Timestamp, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::Call;
use strongroom_core::store::{Action, BulkItem, Computed, Intent, Made, Receipt, Write};

use crate::bulk::{self, Bulks};
use crate::failure::Failure;
use crate::work::Undo;

/// How often a write that lost a race, which told it nothing, is decided anew.
const ATTEMPTS: usize = 32;

/// What a statement told.
pub(crate) enum Told {
    Written(Receipt),
    /// Nothing was written; the version that is there, if the statement tells.
    There(Option<Version>),
}

impl From<Option<Receipt>> for Told {
    fn from(receipt: Option<Receipt>) -> Self {
        receipt.map_or(Self::There(None), Self::Written)
    }
}

/// A connection that writes single documents.
pub(crate) trait Writes: Send {
    /// The statements of a collection.
    type Statements: Sync;

    fn model(statements: &Self::Statements) -> &Model;

    /// The version that is there.
    fn version(
        &mut self,
        statements: &Self::Statements,
        key: &Key,
    ) -> impl Future<Output = Result<Option<Version>, Failure>> + Send;

    /// A document that nobody else writes until the transaction ends, and the server's time.
    fn get_locked(
        &mut self,
        statements: &Self::Statements,
        key: &Key,
    ) -> impl Future<Output = Result<Option<(RawDocument, Timestamp)>, Failure>> + Send;

    /// Puts this body, and stamps it if the write says so. The first attempt is 0: it may be one that
    /// writes nothing although the version is the expected one.
    fn put(
        &mut self,
        statements: &Self::Statements,
        write: &Write,
        body: &Body,
        attempt: usize,
    ) -> impl Future<Output = Result<Told, Failure>> + Send;

    /// Replaces a document at this version by its patched body, as it is.
    fn replace(
        &mut self,
        statements: &Self::Statements,
        write: &Write,
        version: Version,
        body: &Body,
    ) -> impl Future<Output = Result<Told, Failure>> + Send;

    /// Deletes a document.
    fn delete(
        &mut self,
        statements: &Self::Statements,
        write: &Write,
    ) -> impl Future<Output = Result<Told, Failure>> + Send;

    /// Whether the server rolled back for the sake of others who wrote at the same time, so that
    /// the same may be sent again.
    fn is_collision(error: &Driver) -> bool;

    /// Lets the server's functions make values of a document.
    fn evaluate(
        &mut self,
        statements: &Self::Statements,
        calls: &[&Call],
        body: &Body,
    ) -> impl Future<Output = Result<Vec<Option<Scalar>>, Failure>> + Send;
}

/// Whether the write needs a transaction around it.
pub(crate) fn needs_transaction(write: &Write) -> bool {
    matches!(write.action, Action::Patch(_))
}

/// Carries out one item of a bulk within a transaction.
pub(crate) async fn item<C: Bulks>(
    connection: &mut C,
    statements: &C::Statements,
    item: &BulkItem,
) -> Result<Receipt, Failure> {
    match item {
        BulkItem::Write(one) => write(connection, statements, one, Undo::Nothing).await,
        BulkItem::Check { key, expected } => {
            C::model(statements).check_key(key)?;
            let actual = connection.version(statements, key).await?;
            let effect = expected.decide(Intent::Check, key, actual)?;
            Ok(Receipt::without_version(effect))
        }
    }
}

/// Carries out one write; a patch within a transaction. One that collides with others is sent
/// again, unless it would take more with it.
pub(crate) async fn write<C: Bulks>(
    connection: &mut C,
    statements: &C::Statements,
    write: &Write,
    undo: Undo,
) -> Result<Receipt, Failure> {
    let key = &write.key;
    C::model(statements).check_key(key)?;
    let intent = Intent::from(&write.action);
    write.expected.check(intent, key)?;
    for attempt in 0..ATTEMPTS {
        let told = match once(connection, statements, write, attempt).await {
            Err(Failure::Engine(error)) if undo.is_of_the_call() && C::is_collision(&error) => {
                bulk::undo(connection, undo).await?;
                continue;
            }
            told => told?,
        };
        // Where nothing was written, what is there says why, unless it changed meanwhile.
        let actual = match told {
            Told::Written(receipt) => return Ok(receipt),
            Told::There(Some(actual)) => Some(actual),
            Told::There(None) => connection.version(statements, key).await?,
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

/// Sends a write once.
async fn once<C: Writes>(
    connection: &mut C,
    statements: &C::Statements,
    write: &Write,
    attempt: usize,
) -> Result<Told, Failure> {
    match &write.action {
        Action::Put(put) => {
            let (put, made) = match write.computed.is_empty() {
                true => (put.clone(), Made::new()),
                false => compute_onto(connection, statements, write, put.clone()).await?,
            };
            Ok(
                match connection.put(statements, write, &put, attempt).await? {
                    Told::Written(receipt) => Told::Written(receipt.with_made(made)),
                    there => there,
                },
            )
        }
        Action::Patch(patch) => patch_once(connection, statements, write, patch).await,
        Action::Delete => connection.delete(statements, write).await,
    }
}

/// Reads and locks the document, and replaces what was read.
async fn patch_once<C: Writes>(
    connection: &mut C,
    statements: &C::Statements,
    write: &Write,
    patch: &Patch,
) -> Result<Told, Failure> {
    let key = &write.key;
    let intent = Intent::from(&write.action);
    let Some((found, now)) = connection.get_locked(statements, key).await? else {
        write.expected.decide(intent, key, None)?;
        return Err(Error::not_found(key.clone()).into());
    };
    write.expected.decide(intent, key, Some(found.version))?;
    let patched = patch.apply(&found.body)?;
    let (patched, made) = compute_onto(connection, statements, write, patched).await?;
    let model = C::model(statements);
    let (patched, stamps) = write.stamp(model, patched, Some(&found.body), now)?;
    let told = connection.replace(statements, write, found.version, &patched);
    Ok(match told.await? {
        Told::Written(receipt) => Told::Written(receipt.with_made(made).with_stamps(stamps)),
        there => there,
    })
}

/// Lets the server make the computed fields of `changed`, which is the document with all other
/// changes of the write, and sets them in it.
async fn compute_onto<C: Writes>(
    connection: &mut C,
    statements: &C::Statements,
    write: &Write,
    changed: Body,
) -> Result<(Body, Made), Failure> {
    let calls: Vec<_> = write.computed.iter().filter_map(Computed::call).collect();
    if calls.is_empty() {
        return Ok(write.computed_onto(changed)?);
    }
    let made = connection.evaluate(statements, &calls, &changed).await?;
    let mut write = write.clone();
    let open = write.computed.iter_mut().filter(|c| c.call().is_some());
    for (computed, made) in open.zip(made) {
        computed.make(made, C::model(statements))?;
    }
    Ok(write.computed_onto(changed)?)
}
