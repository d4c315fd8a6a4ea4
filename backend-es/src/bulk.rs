//! Many writes: runs of what the engine decides by itself in one `_bulk` each, the rest one by one.
//!
//! The items take effect in their order, so an item that has to be loaded first ends the run
//! before it, and so does one of a document that the run writes already: what the engine refuses is
//! judged by what is there, and a later item of the run would have changed that.

use std::collections::HashSet;

use async_trait::async_trait;
use strongroom_core::model::{Expected, Key, Model};
use strongroom_core::query::SourceFilter;
use strongroom_core::store::{
    Bulk, BulkItem, BulkReply, BulkRequest, Intent, Receipt, Refresh, Write,
};
use strongroom_core::{Error, Operation, Result};

use crate::index::Index;
use crate::requests::Step;
use crate::save::Verdict;
use crate::store::{EsStore, MAX_REQUEST_BYTES};

/// Items that wait to be sent together.
#[derive(Default)]
pub(crate) struct Run<'a> {
    writes: Vec<&'a Write>,
    steps: Vec<(&'a Key, Step)>,
    keys: HashSet<&'a Key>,
    bytes: usize,
}

impl<'a> Run<'a> {
    /// How much of a request the items take up, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an item writes this document.
    fn writes(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Adds an item.
    pub(crate) fn push(&mut self, write: &'a Write, step: Step) {
        self.bytes += step.bytes();
        self.steps.push((&write.key, step));
        self.keys.insert(&write.key);
        self.writes.push(write);
    }
}

impl EsStore {
    async fn check(&self, model: &Model, key: &Key, expected: Expected) -> Result<Receipt> {
        let keys = std::slice::from_ref(key);
        // A check needs no more of the body than that it is there.
        let nothing = SourceFilter::Include(Vec::new());
        let found = self.load_now(model.name(), keys, &nothing).await;
        let found = found.map_err(|e| e.with_key(key.clone()))?;
        let version = found.into_iter().next().flatten().map(|d| d.version);
        let effect = expected.decide(Intent::Check, key, version)?;
        Ok(Receipt::without_version(effect))
    }

    /// Sends a run and judges each of its items.
    pub(crate) async fn send(
        &self,
        index: &Index,
        model: &Model,
        run: Run<'_>,
        refresh: Refresh,
        outcomes: &mut Vec<Result<Receipt>>,
    ) {
        if run.steps.is_empty() {
            return;
        }
        let guards: Vec<_> = run.steps.iter().map(|(_, step)| step.guard()).collect();
        let answers = match self.carry_out(index, &run.steps, refresh).await {
            Ok(answers) => answers,
            Err(failure) => {
                let error = failure.into_write_error();
                outcomes.extend(run.writes.iter().map(|write| {
                    let error = Error::new(error.kind(), error.message());
                    Err(error.with_key(write.key.clone()))
                }));
                return;
            }
        };
        for ((write, guard), answer) in run.writes.into_iter().zip(guards).zip(answers) {
            let judged = self.judge(model, write, guard, answer).await;
            outcomes.push(match judged {
                Ok(Verdict::Done(receipt)) => Ok(receipt),
                // Nothing was written: the item stands alone from here on.
                Ok(Verdict::Again) => self.save_now(model, write, refresh).await,
                Ok(Verdict::MissingIndex) => {
                    self.forget(model.name());
                    self.save_now(model, write, refresh).await
                }
                Err(error) => Err(error),
            });
        }
    }

    async fn bulk_now(&self, request: &BulkRequest) -> Result<BulkReply> {
        if request.atomic {
            return Err(Error::unsupported("atomic bulks"));
        }
        let model = &*request.model;
        let index = self.index(model.name()).await?;
        let mut outcomes = Vec::with_capacity(request.items.len());
        let mut run = Run::default();
        for item in request.items.iter() {
            let step = match self.plan_item(&index, model, item) {
                Ok(step) => step,
                Err(error) => {
                    let run = std::mem::take(&mut run);
                    self.send(&index, model, run, request.refresh, &mut outcomes)
                        .await;
                    outcomes.push(Err(error.with_key(item.key().clone())));
                    continue;
                }
            };
            if step.is_none() || run.bytes > MAX_REQUEST_BYTES || run.writes(item.key()) {
                let run = std::mem::take(&mut run);
                self.send(&index, model, run, request.refresh, &mut outcomes)
                    .await;
            }
            match (item, step) {
                (BulkItem::Write(write), Some(step)) => {
                    run.push(write, step);
                }
                (BulkItem::Write(write), None) => {
                    outcomes.push(self.save_now(model, write, request.refresh).await);
                }
                (BulkItem::Check { key, expected }, _) => {
                    outcomes.push(self.check(model, key, *expected).await);
                }
            }
        }
        self.send(&index, model, run, request.refresh, &mut outcomes)
            .await;
        Ok(BulkReply::new(outcomes))
    }

    fn plan_item(&self, index: &Index, model: &Model, item: &BulkItem) -> Result<Option<Step>> {
        model.check_key(item.key())?;
        item.expected().check(Intent::from(item), item.key())?;
        match item {
            BulkItem::Write(write) => self.plan_blind(index, write),
            BulkItem::Check { .. } => Ok(None),
        }
    }
}

#[async_trait]
impl Bulk for EsStore {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        let collection = request.model.name();
        self.guard(Operation::Bulk, Some(collection), self.bulk_now(&request))
            .await
    }
}
