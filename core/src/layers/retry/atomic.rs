//! Bulks that take effect as a whole or not at all.
//!
//! The items share their fate, so they share their evidence: one document made by its item proves
//! the whole bulk applied, one document proved untouched proves the whole bulk not applied. Where
//! all that is known is that documents are gone, the bulk counts as not applied if it would have
//! made one of them, and as unknown if it only deletes.
//!
//! A bulk that is proved not to have taken effect is sent again whole, each item guarded by the
//! document that was found, unless one document is written by several of its items. Of one that
//! is proved applied, an item whose document someone else has written since is reported as
//! `Indeterminate` alone: it took effect, but its version is not known. Its deletes are reported as
//! `Deleted`, although one that expected anything may have found nothing to delete.

use std::sync::Arc;

use super::bulk::{check_length, is_settled, is_unknown, siblings_by_key};
use super::evidence::{Moment, Proof, Unknown};
use super::progress::{Siblings, guard_for, is_by_guard, receipt};
use super::{Budget, Retrying};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{Expected, Key, RawDocument};
use crate::store::{Action, BulkItem, BulkReply, BulkRequest, Effect, Receipt, Write};

/// What the evidence of all items says of the bulk.
enum Fate {
    Applied,
    NotApplied,
    Unknown,
}

/// Where an atomic bulk stands.
struct Whole {
    request: BulkRequest,
    /// What each item is sent with next.
    guards: Vec<Expected>,
    sends: u32,
    /// There since a send's fate was unknown: one for each item.
    unknown: Option<Vec<Unknown>>,
    /// Whether several items have one document.
    siblings: Siblings,
}

impl Retrying {
    pub(super) async fn bulk_atomic(&self, request: BulkRequest) -> Result<BulkReply> {
        let again = request.clone();
        let sent = Moment::now();
        match self.inner.bulk(request).await {
            Ok(reply) if is_settled(&reply, again.items.len()) => Ok(reply),
            Err(error) if !error.is_retryable() && !is_unknown(&error) => Err(error),
            reply => self.resolve_whole(again, sent, reply).await,
        }
    }

    #[cold]
    async fn resolve_whole(
        &self,
        request: BulkRequest,
        mut sent: Moment,
        mut reply: Result<BulkReply>,
    ) -> Result<BulkReply> {
        let model = Arc::clone(&request.model);
        let mut budget = Budget::after_first(&self.retries);
        let mut whole = Whole::new(request);
        loop {
            whole.sends += 1;
            reply = reply.and_then(|reply| check_length(reply, whole.request.items.len()));
            let may_send = budget.allows();
            if whole.is_final(&reply, sent, may_send) {
                return reply;
            }
            if !is_passing(&reply) || !may_send {
                let (documents, looked) = match self.look(&model, whole.keys()).await {
                    Ok(found) => found,
                    Err(_) if whole.unknown.is_none() => return reply,
                    Err(error) => {
                        return Err(not_known("its documents could not be loaded", error));
                    }
                };
                let judge = self.judge(&model);
                match whole.fate(&documents, |write, unknown, found| {
                    judge.judge(write, unknown, found)
                }) {
                    Fate::Applied => {
                        let stamping = self.inner.capabilities().stamping;
                        return Ok(whole.applied(&documents, |write, document| {
                            receipt(write, document, &model, stamping)
                        }));
                    }
                    Fate::NotApplied => {
                        if let Some(reply) = whole.not_applied(&documents, looked, reply, may_send)
                        {
                            return reply;
                        }
                    }
                    Fate::Unknown if whole.unknown.is_none() => return reply,
                    Fate::Unknown => {
                        let cause = cause(reply);
                        return Err(not_known("others wrote or deleted its documents", cause));
                    }
                }
            }
            budget.take(Operation::Bulk, Some(model.name())).await;
            sent = Moment::now();
            reply = self.inner.bulk(whole.to_send()).await;
        }
    }
}

#[cold]
fn not_known(why: &str, cause: Error) -> Error {
    Error::indeterminate(format!(
        "the atomic bulk may or may not have taken place: {why}"
    ))
    .with_operation(Operation::Bulk)
    .with_source(cause)
}

/// Whether the bulk failed in passing: surely nothing was written.
fn is_passing(reply: &Result<BulkReply>) -> bool {
    match reply {
        Ok(reply) => {
            reply.errors().any(|(_, error)| error.is_retryable())
                && reply
                    .errors()
                    .all(|(_, e)| e.is_retryable() || e.kind() == ErrorKind::Cancelled)
        }
        Err(error) => error.is_retryable(),
    }
}

fn is_unknown_reply(reply: &Result<BulkReply>) -> bool {
    match reply {
        Ok(reply) => reply.errors().any(|(_, error)| is_unknown(error)),
        Err(error) => is_unknown(error),
    }
}

/// The failure that a reply is about.
fn cause(reply: Result<BulkReply>) -> Error {
    match reply {
        Ok(reply) => reply
            .outcomes
            .into_iter()
            .filter_map(Result::err)
            .max_by_key(|error| error.kind() != ErrorKind::Cancelled)
            .unwrap_or_else(|| Error::internal("the bulk has no failure")),
        Err(error) => error,
    }
}

impl Whole {
    fn new(request: BulkRequest) -> Self {
        let by_key = siblings_by_key(&request.items);
        let most = by_key.into_values().max().unwrap_or_default();
        Self {
            guards: request.items.iter().map(BulkItem::expected).collect(),
            sends: 0,
            unknown: None,
            siblings: most,
            request,
        }
    }

    fn keys(&self) -> Vec<Key> {
        let keys = self.request.items.iter().map(|item| item.key().clone());
        keys.collect()
    }

    fn to_send(&self) -> BulkRequest {
        let items = self.request.items.iter().zip(&self.guards);
        let items = items.map(|(item, guard)| match item {
            BulkItem::Write(write) => BulkItem::Write(Write {
                expected: *guard,
                ..write.clone()
            }),
            check @ BulkItem::Check { .. } => check.clone(),
        });
        BulkRequest {
            model: Arc::clone(&self.request.model),
            items: Arc::new(items.collect()),
            atomic: true,
            refresh: self.request.refresh,
        }
    }

    /// Takes note of a reply; true if it is the bulk's outcome.
    fn is_final(&mut self, reply: &Result<BulkReply>, sent: Moment, may_send: bool) -> bool {
        if reply.as_ref().is_ok_and(BulkReply::is_ok) {
            return true;
        }
        if is_unknown_reply(reply) {
            let unknown = self.guards.iter().map(|g| Unknown::sent(*g, sent));
            self.unknown.get_or_insert_with(|| unknown.collect());
            return false;
        }
        if is_passing(reply) {
            return !may_send && self.unknown.is_none();
        }
        self.sends == 1
    }

    fn fate(
        &self,
        documents: &[Option<RawDocument>],
        judge: impl Fn(&Write, &Unknown, Option<&RawDocument>) -> Proof,
    ) -> Fate {
        let mut gone = false;
        let mut nothing = false;
        let mut not_applied = false;
        for (at, (item, found)) in self.request.items.iter().zip(documents).enumerate() {
            let BulkItem::Write(write) = item else {
                continue;
            };
            let own = found
                .as_ref()
                .is_some_and(|found| found.write_id == Some(write.write_id));
            if own {
                return Fate::Applied;
            }
            let Some(unknown) = self.unknown.as_ref().and_then(|all| all.get(at)) else {
                nothing = true;
                continue;
            };
            match judge(write, unknown, found.as_ref()) {
                Proof::Applied(_) => return Fate::Applied,
                Proof::NotApplied => not_applied = true,
                // Another item of the bulk may have deleted what this one made.
                Proof::Gone if self.siblings == Siblings::Some => nothing = true,
                Proof::Gone => match (&write.action, write.expected) {
                    (Action::Put(_) | Action::Patch(_), _) => gone = true,
                    // There may have been nothing from the first.
                    (Action::Delete, Expected::Any) => {}
                    (Action::Delete, _) => nothing = true,
                },
                Proof::Nothing => nothing = true,
            }
        }
        if not_applied || (gone && !nothing) {
            Fate::NotApplied
        } else {
            Fate::Unknown
        }
    }

    /// The reply of a bulk that took effect, made from the documents that it left.
    fn applied(
        &self,
        documents: &[Option<RawDocument>],
        receipt: impl Fn(&Write, &RawDocument) -> Receipt,
    ) -> BulkReply {
        let outcome = |(item, found): (&BulkItem, &Option<RawDocument>)| {
            let write = match item {
                BulkItem::Check { .. } => return Ok(Receipt::without_version(Effect::Checked)),
                BulkItem::Write(write) => write,
            };
            match found {
                _ if matches!(write.action, Action::Delete) => {
                    Ok(Receipt::without_version(Effect::Deleted))
                }
                Some(found) if found.write_id == Some(write.write_id) => Ok(receipt(write, found)),
                _ => Err(Error::indeterminate(
                    "the atomic bulk took place, but the document was written again since, so its version is not known",
                )
                .with_key(write.key.clone())),
            }
        };
        let items = self.request.items.iter().zip(documents);
        BulkReply::new(items.map(outcome).collect())
    }

    /// What becomes of a bulk that did not take effect: its outcome, or `None` if it is to be
    /// sent again.
    fn not_applied(
        &mut self,
        documents: &[Option<RawDocument>],
        looked: Moment,
        reply: Result<BulkReply>,
        may_send: bool,
    ) -> Option<Result<BulkReply>> {
        let unknown = is_unknown_reply(&reply);
        if self.siblings != Siblings::None {
            if !unknown {
                return Some(reply);
            }
            return Some(Err(Error::new(
                ErrorKind::Unavailable,
                "the atomic bulk did not take place; it is not sent again because several of its items write one document",
            )
            .with_source(cause(reply))));
        }
        let versions = documents
            .iter()
            .map(|found| found.as_ref().map(|d| d.version));
        let items = self.request.items.iter().zip(versions.clone());
        let guards: Vec<Result<Expected>> = items
            .map(|(item, version)| match item {
                BulkItem::Write(write) => match (&write.action, write.expected, version) {
                    // There is nothing to delete, which is what the item asks for.
                    (Action::Delete, Expected::Any, None) => Ok(Expected::Any),
                    _ => guard_for(write, version),
                },
                BulkItem::Check { expected, .. } => Ok(*expected),
            })
            .collect();
        if guards.iter().any(Result::is_err) {
            let cancelled = || {
                Error::new(
                    ErrorKind::Cancelled,
                    "another item of the atomic bulk failed",
                )
            };
            let outcomes = guards
                .into_iter()
                .map(|guard| Err(guard.err().unwrap_or_else(cancelled)));
            return Some(Ok(BulkReply::new(outcomes.collect())));
        }
        if !unknown {
            // A guard that the layer set may have failed; whatever else failed stays true. So does
            // a failed check, which the layer leaves as it is.
            let by_guard = match &reply {
                Ok(reply) => reply.errors().all(|(at, error)| {
                    let is_write = matches!(self.request.items.get(at), Some(BulkItem::Write(_)));
                    error.kind() == ErrorKind::Cancelled || (is_write && is_by_guard(error))
                }),
                Err(_) => false,
            };
            if !by_guard {
                return Some(reply);
            }
        }
        if !may_send {
            let (kind, why) = if unknown {
                (ErrorKind::Unavailable, "however often it was sent")
            } else {
                (
                    ErrorKind::Contended,
                    "others changed its documents each time",
                )
            };
            return Some(Err(Error::new(
                kind,
                format!("the atomic bulk did not take place: {why}"),
            )
            .with_source(cause(reply))));
        }
        self.guards = guards.into_iter().filter_map(Result::ok).collect();
        let unknown = versions.map(|base| Unknown {
            since: looked,
            base,
        });
        self.unknown = Some(unknown.collect());
        None
    }
}
