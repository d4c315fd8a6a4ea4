//! Random histories of writes, loads and searches agree with the oracle, step by step.
//!
//! Each step is made in the store and in an in-memory store. Outcomes, bodies and write ids must
//! be equal; versions are not, but a version of the one must always stand for the same version of
//! the other.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    Action, BeginOptions, BulkItem, BulkReply, Receipt, Store, Transact, Write,
};
use strongroom_core::{Error, ErrorKind, Result};

use super::queries::oracle;
use crate::context::{Context, usual_fields};
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe};
use crate::random::property;
use crate::strategies;

const KEYS: usize = 4;

/// What a write expects, by the history of its document.
#[derive(Clone, Copy, Debug)]
enum Guard {
    Any,
    Absent,
    Present,
    /// The version that this many writes ago was the last one known.
    Known(usize),
}

#[derive(Clone, Debug)]
enum Act {
    Put(Value),
    Patch(Patch),
    Delete,
    Check,
}

#[derive(Clone, Debug)]
struct Item {
    at: usize,
    act: Act,
    guard: Guard,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    Rollback,
    Drop,
}

#[derive(Clone, Debug)]
enum Step {
    Save(Item),
    Bulk(Vec<Item>),
    Atomic(Vec<Item>),
    Load(Vec<usize>),
    Find(Filter),
    Transaction(Vec<Item>, End),
}

fn item() -> impl Strategy<Value = Item> {
    let guard = prop_oneof![
        2 => Just(Guard::Any),
        2 => Just(Guard::Absent),
        1 => Just(Guard::Present),
        4 => Just(Guard::Known(0)),
        2 => (1..4_usize).prop_map(Guard::Known),
    ];
    let act = prop_oneof![
        4 => strategies::body().prop_map(Act::Put),
        3 => strategies::patch().prop_map(Act::Patch),
        2 => Just(Act::Delete),
        1 => Just(Act::Check),
    ];
    (0..KEYS, act, guard).prop_map(|(at, act, guard)| {
        // A patch or a delete of what must not be there is refused before it gets here.
        let guard = match (&act, guard) {
            (Act::Patch(_) | Act::Delete, Guard::Absent) => Guard::Present,
            _ => guard,
        };
        Item { at, act, guard }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![2 => Just(End::Commit), 1 => Just(End::Rollback), 1 => Just(End::Drop)];
    prop_oneof![
        6 => item().prop_map(Step::Save),
        2 => vec(item(), 1..6).prop_map(Step::Bulk),
        2 => vec(item(), 1..5).prop_map(Step::Atomic),
        2 => vec(0..KEYS, 0..6).prop_map(Step::Load),
        2 => strategies::filter().prop_map(Step::Find),
        1 => (vec(item(), 1..5), end).prop_map(|(items, end)| Step::Transaction(items, end)),
    ]
}

pub(crate) async fn agree_with_the_oracle(cx: &Context) -> Outcome {
    let scale = cx.scale();
    property(
        scale.histories,
        vec(step(), 1..scale.steps),
        async |steps| {
            let docs = cx.docs().await?;
            let oracle = oracle(docs.model()).await?;
            run(cx, docs, oracle, steps).await
        },
    )
}

pub(crate) async fn with_unique_values_agree(cx: &Context) -> Outcome {
    if !cx.capabilities().unique_fields {
        return crate::context::not_granted("unique fields");
    }
    let scale = cx.scale();
    property(
        scale.histories,
        vec(step(), 1..scale.steps),
        async |steps| {
            // Of the usual fields, `o.n` is drawn from few values, so that documents often collide.
            let model = usual_fields(Model::builder(cx.name("unique")))
                .field(FieldDeclaration::new("u".parse()?, Kind::Integer).unique());
            let docs = cx.docs_of(model).await?;
            let oracle = oracle(docs.model()).await?;
            let steps = steps.into_iter().map(with_unique_value).collect();
            run(cx, docs, oracle, steps).await
        },
    )
}

/// Gives the bodies of a step a value of the unique field, one of three.
fn with_unique_value(mut step: Step) -> Step {
    let give = |item: &mut Item| {
        if let Act::Put(body) = &mut item.act {
            let text = body.to_string();
            let u = text.len() % 4;
            if u < 3 {
                body["u"] = u.into();
            }
        }
    };
    match &mut step {
        Step::Save(item) => give(item),
        Step::Bulk(items) | Step::Atomic(items) | Step::Transaction(items, _) => {
            items.iter_mut().for_each(give);
        }
        Step::Load(_) | Step::Find(_) => {}
    }
    step
}

async fn run(cx: &Context, docs: Docs, oracle: Docs, steps: Vec<Step>) -> Outcome {
    let mut pair = Pair {
        docs,
        oracle,
        keys: (0..KEYS)
            .map(|n| key(&format!("k{n}")))
            .collect::<Outcome<_>>()?,
        known: vec![Vec::new(); KEYS],
        ours: HashMap::new(),
        theirs: HashMap::new(),
    };
    let can = cx.capabilities();
    for (n, step) in steps.into_iter().enumerate() {
        let what = format!("step {n}: {step:?}");
        match step {
            Step::Atomic(_) if !can.atomic_bulk => {}
            Step::Transaction(items, end) => {
                if let (true, Some(transact)) = (can.transactions, cx.store().transact()) {
                    pair.transaction(&transact, items, end)
                        .await
                        .during(&what)?;
                }
            }
            step => pair.step(step).await.during(&what)?,
        }
        pair.compare_all()
            .await
            .during(format_args!("after {what}"))?;
    }
    let name = pair.docs.model().name().clone();
    cx.store()
        .drop_collection(name)
        .await
        .during("dropping the collection")?;
    Ok(())
}

/// The store and the oracle, and which of their versions stand for each other.
struct Pair {
    docs: Docs,
    oracle: Docs,
    keys: Vec<Key>,
    /// The versions that each document had, the store's and the oracle's, oldest first.
    known: Vec<Vec<(Version, Version)>>,
    ours: HashMap<(usize, Version), Version>,
    theirs: HashMap<(usize, Version), Version>,
}

impl Pair {
    fn same_version(&mut self, at: usize, ours: Version, theirs: Version) -> Outcome {
        let key = &self.keys[at];
        let known = *self.ours.entry((at, ours)).or_insert(theirs);
        check_eq!(
            known,
            theirs,
            "the oracle's version that {ours} of {key} stands for"
        );
        let known = *self.theirs.entry((at, theirs)).or_insert(ours);
        check_eq!(
            known,
            ours,
            "the version of {key} that the oracle's {theirs} stands for"
        );
        if self.known[at].last() != Some(&(ours, theirs)) {
            self.known[at].push((ours, theirs));
        }
        Ok(())
    }

    /// The same item for both, with the version that each of them knows.
    fn items(&self, item: &Item) -> Outcome<(BulkItem, BulkItem)> {
        let known = &self.known[item.at];
        let (ours, theirs) = match item.guard {
            Guard::Any => (Expected::Any, Expected::Any),
            Guard::Absent => (Expected::Absent, Expected::Absent),
            Guard::Present => (Expected::Present, Expected::Present),
            Guard::Known(ago) => match known.len().checked_sub(1 + ago) {
                Some(place) => (known[place].0.into(), known[place].1.into()),
                None => (Expected::Present, Expected::Present),
            },
        };
        let key = self.keys[item.at].clone();
        let action = match &item.act {
            Act::Put(body) => Action::Put(Body::encode(body)?),
            Act::Patch(patch) => Action::Patch(patch.clone()),
            Act::Delete => Action::Delete,
            Act::Check => {
                let check = |expected| BulkItem::Check {
                    key: key.clone(),
                    expected,
                };
                return Ok((check(ours), check(theirs)));
            }
        };
        let write = Write::new(key, action, ours);
        let mut other = write.clone();
        other.expected = theirs;
        Ok((write.into(), other.into()))
    }

    async fn step(&mut self, step: Step) -> Outcome {
        match step {
            Step::Save(item) => {
                let (docs, oracle) = (self.docs.clone(), self.oracle.clone());
                self.save(&docs, &oracle, &item).await.map(drop)
            }
            Step::Bulk(items) => self.bulk(items, false).await,
            Step::Atomic(items) => self.bulk(items, true).await,
            Step::Load(places) => {
                let keys: Vec<Key> = places.iter().map(|n| self.keys[*n].clone()).collect();
                let ours = self.docs.load_many(&keys).await?;
                let theirs = self.oracle.load_many(&keys).await?;
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    let ours = ours.as_ref().map(value_of).transpose()?;
                    let theirs = theirs.as_ref().map(value_of).transpose()?;
                    check_eq!(ours, theirs, "a loaded body, against the oracle's");
                }
                Ok(())
            }
            Step::Find(filter) => {
                self.docs.refresh().await?;
                let ours = self.docs.find_keys(filter.clone()).await?;
                let theirs = self.oracle.find_keys(filter).await?;
                check_eq!(ours, theirs, "what was found, against the oracle");
                Ok(())
            }
            Step::Transaction(..) => Ok(()),
        }
    }

    /// Makes one write in both; a check goes as a bulk of one. Says whether it was a violation.
    async fn save(&mut self, docs: &Docs, oracle: &Docs, item: &Item) -> Outcome<bool> {
        let (ours, theirs) = match self.items(item)? {
            (BulkItem::Write(ours), BulkItem::Write(theirs)) => {
                (docs.save(ours).await, oracle.save(theirs).await)
            }
            (ours, theirs) => (
                only(docs.bulk(vec![ours]).await),
                only(oracle.bulk(vec![theirs]).await),
            ),
        };
        let violated = matches!(&theirs, Err(e) if e.kind() == ErrorKind::UniqueViolation);
        self.same_outcome(item.at, &ours, &theirs)?;
        Ok(violated)
    }

    async fn bulk(&mut self, items: Vec<Item>, atomic: bool) -> Outcome {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for item in &items {
            let (our, their) = self.items(item)?;
            ours.push(our);
            theirs.push(their);
        }
        let (ours, theirs) = if atomic {
            (
                self.docs.bulk_atomic(ours).await,
                self.oracle.bulk_atomic(theirs).await,
            )
        } else {
            (self.docs.bulk(ours).await, self.oracle.bulk(theirs).await)
        };
        let (ours, theirs) = (
            ours.during("the bulk")?,
            theirs.during("the oracle's bulk")?,
        );
        check_eq!(ours.outcomes.len(), items.len(), "outcomes of the bulk");
        if atomic && !theirs.is_ok() {
            return failed_alike(&ours, &theirs);
        }
        for (item, (ours, theirs)) in items.iter().zip(ours.outcomes.iter().zip(&theirs.outcomes)) {
            self.same_outcome(item.at, ours, theirs)
                .during(format_args!("item {item:?}"))?;
        }
        Ok(())
    }

    fn same_outcome(
        &mut self,
        at: usize,
        ours: &Result<Receipt>,
        theirs: &Result<Receipt>,
    ) -> Outcome {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                check_eq!(
                    ours.effect,
                    theirs.effect,
                    "the effect, against the oracle's"
                );
                match (ours.version, theirs.version) {
                    (Some(ours), Some(theirs)) => self.same_version(at, ours, theirs),
                    (None, None) => Ok(()),
                    other => Err(Failure::new(format!(
                        "the versions of store and oracle are {other:?}"
                    ))),
                }
            }
            (Err(ours), Err(theirs)) => {
                check_eq!(
                    ours.kind(),
                    theirs.kind(),
                    "the kind of `{}`, against the oracle's `{}`",
                    describe(ours),
                    describe(theirs)
                );
                match (ours.actual_version(), theirs.actual_version()) {
                    (Some(ours), Some(theirs)) => self.same_version(at, ours, theirs),
                    _ => Ok(()),
                }
            }
            (Ok(receipt), Err(error)) => Err(Failure::new(format!(
                "it succeeded with {receipt:?}, where the oracle answers `{}`",
                describe(error)
            ))),
            (Err(error), Ok(receipt)) => Err(Failure::new(format!(
                "it failed with `{}`, where the oracle answers {receipt:?}",
                describe(error)
            ))),
        }
    }

    async fn transaction(
        &mut self,
        transact: &Arc<dyn Transact>,
        items: Vec<Item>,
        end: End,
    ) -> Outcome {
        let before = (self.known.clone(), self.ours.clone(), self.theirs.clone());
        let ours = transact
            .begin(BeginOptions::new())
            .await
            .during("beginning")?;
        let theirs = self
            .oracle
            .store()
            .transact()
            .ok_or_else(|| Failure::new("the oracle has no transactions"))?
            .begin(BeginOptions::new())
            .await
            .during("beginning in the oracle")?;
        let docs = self.docs.within(ours.clone() as Arc<dyn Store>);
        let oracle = self.oracle.within(theirs.clone() as Arc<dyn Store>);
        let mut doomed = false;
        for item in &items {
            doomed |= self.save(&docs, &oracle, item).await?;
        }
        match end {
            End::Commit if doomed => {
                for outcome in [ours.commit().await, theirs.commit().await] {
                    crate::failure::refused(outcome, ErrorKind::Cancelled, "a doomed commit")?;
                }
            }
            End::Commit => {
                ours.commit().await.during("committing")?;
                theirs.commit().await.during("committing in the oracle")?;
                return Ok(());
            }
            End::Rollback => {
                ours.rollback().await.during("rolling back")?;
                theirs.rollback().await.during("rolling the oracle back")?;
            }
            End::Drop => {}
        }
        drop((docs, oracle, ours, theirs));
        // What was undone never was: its versions may be given out again, or not.
        (self.known, self.ours, self.theirs) = before;
        Ok(())
    }

    async fn compare_all(&mut self) -> Outcome {
        let keys = self.keys.clone();
        let ours = self.docs.load_many(&keys).await?;
        let theirs = self.oracle.load_many(&keys).await?;
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            match (ours, theirs) {
                (None, None) => {}
                (Some(ours), Some(theirs)) => {
                    check_eq!(
                        value_of(ours)?,
                        value_of(theirs)?,
                        "the body of {}, against the oracle's",
                        keys[at]
                    );
                    check_eq!(
                        ours.write_id,
                        theirs.write_id,
                        "the write id of {}, against the oracle's",
                        keys[at]
                    );
                    self.same_version(at, ours.version, theirs.version)?;
                }
                (ours, _) => {
                    let word = if ours.is_some() { "is" } else { "is not" };
                    return Err(Failure::new(format!(
                        "{} {word} there, and the oracle says otherwise",
                        keys[at]
                    )));
                }
            }
        }
        Ok(())
    }
}

fn only(reply: Result<BulkReply>) -> Result<Receipt> {
    reply?
        .outcomes
        .pop()
        .unwrap_or_else(|| Err(Error::internal("the bulk has no outcome")))
}

/// Of an atomic bulk that failed, the first item that fails by itself is told alike; of the
/// others a store may tell their own failure, or that they were cancelled.
fn failed_alike(ours: &BulkReply, theirs: &BulkReply) -> Outcome {
    let kinds = |reply: &BulkReply| -> Vec<Option<ErrorKind>> {
        let kind = |outcome: &Result<Receipt>| outcome.as_ref().err().map(Error::kind);
        reply.outcomes.iter().map(kind).collect()
    };
    let (ours, theirs) = (kinds(ours), kinds(theirs));
    check!(
        ours.iter().all(Option::is_some),
        "an atomic bulk failed in part: {ours:?}, the oracle's {theirs:?}"
    );
    let first = theirs
        .iter()
        .position(|kind| *kind != Some(ErrorKind::Cancelled));
    if let Some(first) = first {
        check_eq!(
            ours[first],
            theirs[first],
            "the first failure of an atomic bulk"
        );
    }
    Ok(())
}
