//! One write: planned as one guarded step of the engine, carried out, and judged.
//!
//! A write that the engine can decide by itself is one step: put with `Any`, `Absent` or
//! `Exactly`, delete with `Any` or `Exactly`. Every other one loads the document and makes a step
//! guarded by the version it found, and begins anew if the guard does not hold.
//!
//! A guard that did not hold is not believed at once: the engine may have sent the step on twice,
//! so that it met itself. The document is loaded again, and if it bears the id of this very write,
//! the write took place.

use std::time::Duration;

use async_trait::async_trait;
use strongroom_core::model::{Expected, Key, Model, Version};
use strongroom_core::query::SourceFilter;
use strongroom_core::store::{Action, Effect, Intent, Receipt, Refresh, Save, SaveRequest, Write};
use strongroom_core::{Error, ErrorKind, Operation, Result};

use crate::compile;
use crate::index::Index;
use crate::load::Found;
use crate::requests::{Guard, Outcome, Step};
use crate::store::EsStore;

/// What a write comes to.
pub(crate) enum Plan {
    /// A step of the engine.
    Step(Step),
    /// Nothing has to be done.
    Done(Receipt),
    /// What was known of the index is out of date.
    Again,
}

/// What came of one attempt.
pub(crate) enum Verdict {
    /// The write took place.
    Done(Receipt),
    /// Others were faster and the write may begin anew.
    Again,
    /// The index is not there.
    MissingIndex,
}

impl EsStore {
    async fn look(&self, model: &Model, key: &Key) -> Result<(Index, Option<Found>)> {
        let keys = std::slice::from_ref(key);
        let found = self.look_at(model.name(), keys, &SourceFilter::All).await;
        let (index, found) = found.map_err(|e| e.with_key(key.clone()))?;
        Ok((index, found.into_iter().next().flatten()))
    }

    /// Plans a write without a look at the document, if the engine can decide it by itself.
    pub(crate) fn plan_blind(&self, index: &Index, write: &Write) -> Result<Option<Step>> {
        let guard = match write.expected {
            Expected::Any => None,
            Expected::Absent => None,
            Expected::Present => return Ok(None),
            Expected::Exactly(version) => match guard(version, index) {
                Some(guard) => Some(guard),
                None => return Ok(None),
            },
        };
        Ok(match (&write.action, write.expected) {
            (Action::Put(body), expected) => {
                let source = compile::source(index.place(), &write.key, body, write.write_id)?;
                Some(if expected == Expected::Absent {
                    Step::Create(source)
                } else {
                    Step::Index(source, guard)
                })
            }
            (Action::Delete, _) => Some(Step::Delete(guard)),
            (Action::Patch(_), _) => None,
        })
    }

    async fn plan(
        &self,
        index: &Index,
        model: &Model,
        write: &Write,
        attempt: u32,
    ) -> Result<Plan> {
        // A document that was written anew for the engine's sake is not stored at its version: a
        // guard that did not hold, though the version is right, is looked up.
        let is_guarded = matches!(write.expected, Expected::Exactly(_));
        if (attempt == 0 || !is_guarded)
            && let Some(step) = self.plan_blind(index, write)?
        {
            return Ok(Plan::Step(step));
        }
        let intent = Intent::from(&write.action);
        let (now, there) = self.look(model, &write.key).await?;
        let version = there.as_ref().map(|found| found.document.version);
        let effect = write.expected.decide(intent, &write.key, version)?;
        let Some(there) = there else {
            return Ok(Plan::Done(Receipt::without_version(effect)));
        };
        // The collection may have been made anew since the index was looked up: the guard would be
        // for the wrong one.
        if now.id() != index.id() {
            return Ok(Plan::Again);
        }
        let Found {
            document: there,
            guard,
        } = there;
        let body = match &write.action {
            Action::Put(body) => body.clone(),
            Action::Patch(patch) => patch.apply(&there.body)?,
            Action::Delete => return Ok(Plan::Step(Step::Delete(Some(guard)))),
        };
        let source = compile::source(index.place(), &write.key, &body, write.write_id)?;
        Ok(Plan::Step(Step::Index(source, Some(guard))))
    }

    /// Judges what became of a step.
    pub(crate) async fn judge(
        &self,
        model: &Model,
        write: &Write,
        guard: Option<Guard>,
        outcome: Outcome,
    ) -> Result<Verdict> {
        let patched = matches!(write.action, Action::Patch(_));
        let effect = |plain| if patched { Effect::Patched } else { plain };
        Ok(match outcome {
            Outcome::Created(version) => {
                Verdict::Done(Receipt::written(effect(Effect::Created), version))
            }
            Outcome::Updated(version) => {
                Verdict::Done(Receipt::written(effect(Effect::Replaced), version))
            }
            Outcome::Deleted => Verdict::Done(Receipt::without_version(Effect::Deleted)),
            Outcome::Nothing => Verdict::Done(Receipt::without_version(Effect::Absent)),
            Outcome::MissingIndex => Verdict::MissingIndex,
            Outcome::Failed(error) => return Err(error.with_key(write.key.clone())),
            Outcome::Conflict => {
                return self
                    .judge_conflict(model, write, guard)
                    .await
                    .map_err(|e| e.with_key(write.key.clone()));
            }
        })
    }

    async fn judge_conflict(
        &self,
        model: &Model,
        write: &Write,
        guard: Option<Guard>,
    ) -> Result<Verdict> {
        let looked = self.look(model, &write.key).await.map_err(|e| {
            // Whether the conflict was an echo is not known as long as nothing can be loaded.
            Error::indeterminate("the write met a conflict, and what it met could not be loaded")
                .with_source(e)
        })?;
        let now = looked.1.map(|found| found.document);
        if let Some(now) = &now {
            if now.write_id == Some(write.write_id) {
                let effect = match (&write.action, write.expected) {
                    (Action::Patch(_), _) => Effect::Patched,
                    (_, Expected::Absent) => Effect::Created,
                    _ => Effect::Replaced,
                };
                return Ok(Verdict::Done(Receipt::written(effect, now.version)));
            }
            // After a change of the primary the engine may have sent the step on twice, and
            // somebody may have written over it since: nothing left tells.
            let term = now.version.sequence().map(|(_, term, _)| term);
            if guard.is_some_and(|guard| term != Some(guard.primary_term)) {
                return Err(Error::indeterminate(
                    "the write met a conflict after the shard's primary had changed",
                ));
            }
        }
        let intent = Intent::from(&write.action);
        let version = now.map(|document| document.version);
        match write.expected {
            Expected::Absent | Expected::Exactly(_) => {
                write.expected.decide(intent, &write.key, version)?;
                Ok(Verdict::Again)
            }
            Expected::Any | Expected::Present => Ok(Verdict::Again),
        }
    }

    /// Carries out one write, whatever it takes.
    pub(crate) async fn save_now(
        &self,
        model: &Model,
        write: &Write,
        refresh: Refresh,
    ) -> Result<Receipt> {
        let saved = self.attempt_all(model, write, refresh).await;
        saved.map_err(|e| e.with_key(write.key.clone()))
    }

    async fn attempt_all(&self, model: &Model, write: &Write, refresh: Refresh) -> Result<Receipt> {
        write
            .expected
            .check(Intent::from(&write.action), &write.key)?;
        for attempt in 0..self.options().attempts {
            pause(attempt, write).await;
            let index = self.index(model.name()).await?;
            let step = match self.plan(&index, model, write, attempt).await? {
                Plan::Done(receipt) => return Ok(receipt),
                Plan::Step(step) => step,
                Plan::Again => continue,
            };
            let guard = step.guard();
            let outcomes = self.carry_out(&index, &[(&write.key, step)], refresh).await;
            let outcome = match outcomes {
                Ok(outcomes) => outcomes.into_iter().next(),
                Err(failure) => return Err(failure.into_write_error()),
            };
            let outcome = outcome.unwrap_or(Outcome::Failed(Error::indeterminate("no outcome")));
            match self.judge(model, write, guard, outcome).await? {
                Verdict::Done(receipt) => return Ok(receipt),
                Verdict::Again => {}
                // It was dropped, which the next look at it tells, or fields were added to it.
                Verdict::MissingIndex => self.forget(model.name()),
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!(
                "others wrote the document between its load and its write {} times",
                self.options().attempts
            ),
        ))
    }
}

/// The guard for a version, if this index made it.
fn guard(version: Version, index: &Index) -> Option<Guard> {
    let (seq_no, primary_term, id) = version.sequence()?;
    (id == index.id()).then_some(Guard {
        seq_no,
        primary_term,
    })
}

/// Waits before another attempt, longer each time and for each write differently: writers that
/// met each other once do not meet again.
async fn pause(attempt: u32, write: &Write) {
    if attempt == 0 {
        return;
    }
    let [random, ..] = write.write_id.as_bytes();
    let most = 1_u64 << attempt.min(6);
    let millis = (u64::from(*random) + u64::from(attempt) * 37) % 64 * most / 64;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[async_trait]
impl Save for EsStore {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        let model = &request.model;
        let save = async {
            model.check_key(&request.write.key)?;
            self.save_now(model, &request.write, request.refresh).await
        };
        self.guard(Operation::Save, Some(model.name()), save).await
    }
}
