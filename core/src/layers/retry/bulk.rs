//! Bulks in which each item stands for itself.
//!
//! Items that failed in passing are sent again, alone; items whose outcome is unknown are looked
//! up, all with one load, and go on as single writes do. The order of items on one key is kept by
//! never sending such an item again: it would come after its later siblings.

use std::collections::HashMap;
use std::sync::Arc;

use super::evidence::Moment;
use super::progress::{Progress, Siblings, Step};
use super::{Budget, Retrying};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::Key;
use crate::store::{BulkItem, BulkReply, BulkRequest, Receipt};

/// Where one item stands.
#[derive(Debug)]
enum Item {
    Write(Progress),
    /// A check writes nothing, so it may be made again whatever came of it.
    Check {
        item: BulkItem,
        siblings: Siblings,
    },
}

impl Item {
    fn new(item: BulkItem, siblings: Siblings, sent_before: u32) -> Self {
        match item {
            BulkItem::Write(write) => {
                let progress = Progress::new(write).siblings(siblings);
                Self::Write(progress.sent_before(sent_before))
            }
            item @ BulkItem::Check { .. } => Self::Check { item, siblings },
        }
    }

    fn key(&self) -> &Key {
        match self {
            Self::Write(progress) => &progress.write().key,
            Self::Check { item, .. } => item.key(),
        }
    }

    fn to_send(&self) -> BulkItem {
        match self {
            Self::Write(progress) => progress.to_send().into(),
            Self::Check { item, .. } => item.clone(),
        }
    }

    fn replied(&mut self, reply: Result<Receipt>, sent: Moment, may_send: bool) -> Step {
        match self {
            Self::Write(progress) => progress.replied(reply, sent, may_send),
            Self::Check { siblings, .. } => match reply {
                Err(error) if error.is_retryable() || is_unknown(&error) => {
                    if may_send && *siblings == Siblings::None {
                        return Step::Send;
                    }
                    let message = error.message().to_owned();
                    Step::Done(Err(if is_unknown(&error) {
                        Error::new(ErrorKind::Unavailable, message).with_source(error)
                    } else {
                        error
                    }))
                }
                reply => Step::Done(reply),
            },
        }
    }
}

pub(super) fn is_unknown(error: &Error) -> bool {
    error.kind() == ErrorKind::Indeterminate
}

/// The same error for one more item.
fn share(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}

/// A reply that does not fit its request leaves nothing to tell the items' outcomes by.
pub(super) fn check_length(reply: BulkReply, items: usize) -> Result<BulkReply> {
    if reply.outcomes.len() == items {
        return Ok(reply);
    }
    Err(Error::indeterminate(format!(
        "bulk replied with {} outcomes for {items} items",
        reply.outcomes.len()
    )))
}

/// Whether there are other items of the same key, for each key.
pub(super) fn siblings_by_key(items: &[BulkItem]) -> HashMap<&Key, Siblings> {
    let mut by_key = HashMap::with_capacity(items.len());
    for item in items {
        by_key
            .entry(item.key())
            .and_modify(|siblings| *siblings = Siblings::Some)
            .or_default();
    }
    by_key
}

/// Whether nothing is left to be done for any item.
pub(super) fn is_settled(reply: &BulkReply, items: usize) -> bool {
    reply.outcomes.len() == items
        && !reply
            .errors()
            .any(|(_, error)| error.is_retryable() || is_unknown(error))
}

impl Retrying {
    pub(super) async fn bulk_each(&self, request: BulkRequest) -> Result<BulkReply> {
        let again = request.clone();
        let mut sent = Moment::now();
        let mut reply = match self.inner.bulk(request).await {
            Ok(reply) if is_settled(&reply, again.items.len()) => return Ok(reply),
            reply => reply,
        };
        let mut budget = Budget::after_first(&self.retries);
        let mut sends = 0;
        // As long as the whole call fails in passing, no item took effect.
        while let Err(error) = &reply
            && error.is_retryable()
            && budget.allows()
        {
            budget.take(Operation::Bulk, Some(again.model.name())).await;
            sends += 1;
            sent = Moment::now();
            reply = self.inner.bulk(again.clone()).await;
        }
        let reply = reply.and_then(|reply| check_length(reply, again.items.len()));
        let outcomes = match reply {
            Ok(reply) => reply.outcomes,
            Err(error) if is_unknown(&error) => {
                again.items.iter().map(|_| Err(share(&error))).collect()
            }
            Err(error) => return Err(error),
        };
        self.resolve_each(again, outcomes, sent, sends, budget)
            .await
    }

    /// Carries on with the items of a bulk that was sent at `sent` and replied so.
    #[cold]
    async fn resolve_each(
        &self,
        request: BulkRequest,
        outcomes: Vec<Result<Receipt>>,
        sent: Moment,
        sent_before: u32,
        mut budget: Budget<'_>,
    ) -> Result<BulkReply> {
        let BulkRequest { model, items, .. } = &request;
        let by_key = siblings_by_key(items);
        let may_send = budget.allows();
        let mut done: Vec<Option<Result<Receipt>>> = items.iter().map(|_| None).collect();
        let mut open: Vec<(usize, Item, Step)> = Vec::new();
        for (at, (item, outcome)) in items.iter().zip(outcomes).enumerate() {
            let siblings = by_key.get(item.key()).copied().unwrap_or_default();
            let mut item = Item::new(item.clone(), siblings, sent_before);
            let step = item.replied(outcome, sent, may_send);
            open.push((at, item, step));
        }
        loop {
            self.look_up(&request, &mut open).await;
            let mut left = Vec::new();
            for (at, item, step) in open {
                match step {
                    Step::Done(outcome) => {
                        if let Some(place) = done.get_mut(at) {
                            *place = Some(outcome.map_err(|error| {
                                error
                                    .with_operation(Operation::Bulk)
                                    .with_collection(model.name().clone())
                                    .with_key(item.key().clone())
                            }));
                        }
                    }
                    step => left.push((at, item, step)),
                }
            }
            open = left;
            if open.is_empty() {
                break;
            }
            budget.take(Operation::Bulk, Some(model.name())).await;
            let sent = Moment::now();
            let again = BulkRequest {
                model: Arc::clone(model),
                items: Arc::new(open.iter().map(|(_, item, _)| item.to_send()).collect()),
                atomic: false,
                refresh: request.refresh,
            };
            let reply = self.inner.bulk(again).await;
            let may_send = budget.allows();
            let outcomes: Vec<Result<Receipt>> =
                match reply.and_then(|reply| check_length(reply, open.len())) {
                    Ok(reply) => reply.outcomes,
                    Err(error) => open.iter().map(|_| Err(share(&error))).collect(),
                };
            for ((_, item, step), outcome) in open.iter_mut().zip(outcomes) {
                *step = item.replied(outcome, sent, may_send);
            }
        }
        let missing = || {
            Err(Error::internal(
                "an item of the bulk was left without outcome",
            ))
        };
        let outcomes = done.into_iter().map(|o| o.unwrap_or_else(missing));
        Ok(BulkReply::new(outcomes.collect()))
    }

    /// Looks up the documents of all items that are to be looked up, with one load.
    async fn look_up(&self, request: &BulkRequest, open: &mut [(usize, Item, Step)]) {
        let model = &request.model;
        let wanted = |step: &Step| matches!(step, Step::Look);
        let keys: Vec<Key> = open
            .iter()
            .filter(|(_, _, step)| wanted(step))
            .map(|(_, item, _)| item.key().clone())
            .collect();
        if keys.is_empty() {
            return;
        }
        let (documents, looked) = match self.look(model, keys).await {
            Ok(found) => found,
            Err(error) => {
                for (_, item, step) in open.iter_mut().filter(|(_, _, step)| wanted(step)) {
                    if let Item::Write(progress) = item {
                        *step = progress.not_found_out(share(&error));
                    }
                }
                return;
            }
        };
        let judge = self.judge(model);
        let can = self.inner.capabilities();
        let looking = open.iter_mut().filter(|(_, _, step)| wanted(step));
        for ((_, item, step), found) in looking.zip(&documents) {
            if let Item::Write(progress) = item {
                *step = progress.found(found.as_ref(), looked, &judge, model, can);
            }
        }
    }
}
