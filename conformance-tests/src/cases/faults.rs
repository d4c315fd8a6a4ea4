//! Faults before and after the call to the store, under the layers that every handle has: never a
//! false conflict, a false success or a write applied twice, and `Indeterminate` only where
//! nothing could tell.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::layers::{
    Fault, FaultLayer, FaultPlan, FaultRule, Layer, LayerOptions, RetryOptions, TimeoutOptions,
    default_stack,
};
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, BulkItem, BulkReply, EnsureRequest, Receipt, Store, Write,
};
use strongroom_core::{ErrorKind, Operation, Result};

use super::races::{at_once, back_off};
use super::transactions::granted;
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};
use crate::random::Seed;

/// A collection behind a wire that breaks as a plan says, and the same one without it.
///
/// Documents are made through the handle that the faults happen to: it has to tell its own writes
/// apart where no other writer competes, and one that had just written from elsewhere would be one.
struct Scene {
    plan: FaultPlan,
    /// Through the layers and the faults.
    faulty: Docs,
    /// As the case is handed the store.
    sound: Docs,
}

fn options(limit: Duration) -> LayerOptions {
    let mut retry = RetryOptions::new();
    (retry.attempts, retry.min_delay, retry.max_delay) =
        (4, Duration::from_millis(1), Duration::from_millis(10));
    let mut options = LayerOptions::new();
    options.retry = retry;
    options.timeout = TimeoutOptions::all(limit);
    options
}

async fn scene(cx: &Context) -> Outcome<Scene> {
    let sound = cx.docs().await?;
    let plan = FaultPlan::new();
    let wire = FaultLayer::new(plan.clone()).wrap(sound.store().clone());
    let faulty = sound.within(default_stack(wire, &options(Duration::from_secs(20))));
    Ok(Scene {
        plan,
        faulty,
        sound,
    })
}

impl Scene {
    fn rule(&self, rule: FaultRule) {
        self.plan.clear();
        self.plan.add(rule);
    }

    fn met(&self, before: u64) -> Outcome {
        check!(
            self.plan.faults() > before,
            "the fault did not happen: a defect of the suite"
        );
        Ok(())
    }
}

/// One write whose request or reply is lost, and what it makes of the document `{"n": 1}`.
struct Trial {
    name: &'static str,
    creates: bool,
    make: fn(Key, Expected) -> Result<Write>,
    after: Option<i64>,
    /// Nothing tells of a delete whether it was this one, unless the engine keeps traces.
    deletes: bool,
}

fn put(key: Key, expected: Expected) -> Result<Write> {
    Ok(Write::put(key, Body::encode(&json!({"n": 2}))?, expected))
}

fn patch(key: Key, expected: Expected) -> Result<Write> {
    let patch = Patch::new().increment("n".parse()?, 1);
    Ok(Write::patch(key, patch, expected))
}

const TRIALS: [Trial; 9] = [
    Trial {
        name: "create",
        creates: true,
        make: |k, _| put(k, Expected::Absent),
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "create or replace",
        creates: true,
        make: |k, _| put(k, Expected::Any),
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "replace",
        creates: false,
        make: put,
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "replace any",
        creates: false,
        make: |k, _| put(k, Expected::Any),
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "replace present",
        creates: false,
        make: |k, _| put(k, Expected::Present),
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "patch",
        creates: false,
        make: patch,
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "patch any",
        creates: false,
        make: |k, _| patch(k, Expected::Any),
        after: Some(2),
        deletes: false,
    },
    Trial {
        name: "delete",
        creates: false,
        make: |k, e| Ok(Write::delete(k, e)),
        after: None,
        deletes: true,
    },
    Trial {
        name: "delete any",
        creates: false,
        make: |k, _| Ok(Write::delete(k, Expected::Any)),
        after: None,
        deletes: true,
    },
];

/// Runs every trial with the first save meeting a fault.
async fn trials(cx: &Context, scene: &Scene, fault: &Fault) -> Outcome {
    for trial in &TRIALS {
        let at = key(&format!("{} {fault:?}", trial.name))?;
        let mut expected = Expected::Absent;
        if !trial.creates {
            scene.plan.clear();
            expected = scene.faulty.create(&at, &json!({"n": 1})).await?.into();
        }
        let before = scene.sound.load(&at).await?;
        let write = (trial.make)(at.clone(), expected)?;
        let id = write.write_id;
        let met = scene.plan.faults();
        scene.rule(FaultRule::new(fault.clone()).on(Operation::Save).first(1));
        let result = scene.faulty.save(write).await;
        scene.met(met)?;
        let found = scene.sound.load(&at).await?;
        let applied = match (&found, &trial.after) {
            (Some(found), Some(_)) => found.write_id == Some(id),
            (None, None) => true,
            _ => false,
        };
        let what = format!("{} with {fault:?}", trial.name);
        match result {
            Ok(receipt) => {
                check!(
                    applied,
                    "{what}: it answered {receipt:?}, and took no effect"
                );
                check_eq!(
                    receipt.version,
                    found.as_ref().map(|d| d.version),
                    "{what}: the version in the receipt"
                );
                let n = found.as_ref().map(value_of).transpose()?;
                let after = trial.after.map(|n| json!({"n": n}));
                check_eq!(n, after, "{what}: the body, which the write changes once");
            }
            Err(error) if error.kind() == ErrorKind::Indeterminate => {
                check!(
                    trial.deletes && !cx.capabilities().provable_deletes,
                    "{what}: `{}`, although no other writer competes",
                    describe(&error)
                );
            }
            Err(error) => {
                check!(
                    error.is_retryable() && !applied,
                    "{what}: a false answer, `{}`, of a write that {} effect",
                    describe(&error),
                    if applied { "took" } else { "took no" }
                );
                let version = |d: &Option<_>| -> Option<_> {
                    d.as_ref()
                        .map(|d: &strongroom_core::model::RawDocument| d.version)
                };
                check_eq!(version(&found), version(&before), "{what}: the version");
            }
        }
    }
    Ok(())
}

pub(crate) async fn lost_requests_of_saves(cx: &Context) -> Outcome {
    trials(cx, &scene(cx).await?, &Fault::RequestLost).await
}

pub(crate) async fn lost_replies_of_saves(cx: &Context) -> Outcome {
    trials(cx, &scene(cx).await?, &Fault::ReplyLost).await
}

pub(crate) async fn saves_that_hang(cx: &Context) -> Outcome {
    let mut scene = scene(cx).await?;
    let wire = FaultLayer::new(scene.plan.clone()).wrap(scene.sound.store().clone());
    let limit = Duration::from_millis(150);
    let mut options = options(Duration::from_secs(20));
    options.timeout = options.timeout.operation(Operation::Save, Some(limit));
    scene.faulty = scene.sound.within(default_stack(wire, &options));
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        trials(cx, &scene, &fault).await?;
    }
    Ok(())
}

pub(crate) async fn a_rejection_stays_one(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    for fault in [Fault::RequestLost, Fault::ReplyLost] {
        let at = key(&format!("{fault:?}"))?;
        scene.plan.clear();
        let stale = scene.faulty.create(&at, &json!({"n": 1})).await?;
        let version = scene.faulty.replace(&at, &json!({"n": 2}), stale).await?;
        let rows = [
            (put(at.clone(), stale.into())?, ErrorKind::Conflict),
            (put(at.clone(), Expected::Absent)?, ErrorKind::AlreadyExists),
            (patch(at.clone(), stale.into())?, ErrorKind::Conflict),
            (Write::delete(at.clone(), stale), ErrorKind::Conflict),
            (put(key("none")?, Expected::Present)?, ErrorKind::NotFound),
            (put(key("none")?, version.into())?, ErrorKind::NotFound),
        ];
        for (write, kind) in rows {
            let what = format!(
                "{:?} expecting {} with {fault:?}",
                write.key, write.expected
            );
            scene.rule(FaultRule::new(fault.clone()).on(Operation::Save).first(1));
            let error = refused(scene.faulty.save(write).await, kind, &what)?;
            if let Some(actual) = error.actual_version() {
                check_eq!(actual, version, "{what}: the version that it tells");
            }
            scene
                .sound
                .expect(&at, &json!({"n": 2}), version, None)
                .await?;
            scene.sound.expect_absent(&key("none")?).await?;
        }
    }
    Ok(())
}

pub(crate) async fn failures_before_the_call_write_nothing(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Contended,
    ] {
        let at = key(kind.as_str())?;
        let version = scene.sound.create(&at, &json!({"n": 1})).await?;
        // Passing: the call is made again, and takes effect once.
        scene.rule(
            FaultRule::new(Fault::Before(kind))
                .on(Operation::Save)
                .first(2),
        );
        let receipt = scene
            .faulty
            .save(patch(at.clone(), Expected::Any)?)
            .await
            .during(format_args!("a patch that meets `{kind}` twice"))?;
        let next = version_of(&receipt, "patching")?;
        scene
            .sound
            .expect(&at, &json!({"n": 2}), next, None)
            .await?;
        check!(next != version, "the version did not change");
        // Lasting: it is given up, and says that nothing was written.
        scene.rule(FaultRule::new(Fault::Before(kind)).on(Operation::Save));
        match scene.faulty.save(put(at.clone(), next.into())?).await {
            Err(error) if error.is_retryable() => {}
            other => {
                return Err(Failure::new(format!(
                    "a save that always meets `{kind}`: expected a passing failure, found {other:?}"
                )));
            }
        }
        scene
            .sound
            .expect(&at, &json!({"n": 2}), next, None)
            .await?;
    }
    Ok(())
}

pub(crate) async fn reads_are_tried_again(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let at = key("a")?;
    scene.sound.create(&at, &json!({"n": 1})).await?;
    scene.sound.refresh().await?;
    let faults = [
        Fault::Before(ErrorKind::Unavailable),
        Fault::Before(ErrorKind::Contended),
        Fault::After(ErrorKind::Timeout),
        Fault::RequestLost,
        Fault::ReplyLost,
    ];
    for fault in faults {
        let rule = |operation| scene.rule(FaultRule::new(fault.clone()).on(operation).first(1));
        rule(Operation::Load);
        scene
            .faulty
            .present(&at)
            .await
            .during(format_args!("load with {fault:?}"))?;
        rule(Operation::Find);
        let found = scene.faulty.find_keys(Filter::eq("n", 1)?).await;
        check_eq!(
            found.during(format_args!("find with {fault:?}"))?.len(),
            1,
            "documents found"
        );
        rule(Operation::Count);
        let count = scene.faulty.count(Filter::all()).await;
        check_eq!(
            count.during(format_args!("count with {fault:?}"))?,
            1,
            "documents counted"
        );
        rule(Operation::Describe);
        let name = scene.sound.model().name().clone();
        let described = scene.faulty.store().describe(name).await;
        check!(
            described
                .during(format_args!("describe with {fault:?}"))?
                .is_some(),
            "the collection is not described"
        );
        // Nothing but reads and what may be done twice: ensuring is.
        rule(Operation::Ensure);
        match scene
            .faulty
            .store()
            .ensure(EnsureRequest::new(scene.sound.model().clone()))
            .await
        {
            Ok(report) => check!(
                !report.created,
                "ensuring what is there created it: {report:?}"
            ),
            Err(error) => check!(
                error.is_retryable() || error.kind() == ErrorKind::Indeterminate,
                "ensure with {fault:?}: `{}`",
                describe(&error)
            ),
        }
    }
    Ok(())
}

pub(crate) async fn bulks_are_resolved(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let faults = [
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::ItemsLost(vec![0, 2, 4]),
    ];
    for fault in faults {
        bulk_trial(cx, &scene, &fault, false).await?;
    }
    Ok(())
}

pub(crate) async fn atomic_bulks_are_resolved(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    let scene = scene(cx).await?;
    for fault in [Fault::RequestLost, Fault::ReplyLost] {
        bulk_trial(cx, &scene, &fault, true).await?;
    }
    Ok(())
}

async fn bulk_trial(cx: &Context, scene: &Scene, fault: &Fault, atomic: bool) -> Outcome {
    let what = format!("a bulk with {fault:?}");
    let name = |n: usize| key(&format!("{fault:?} {atomic} {n}"));
    let mut items: Vec<BulkItem> = Vec::new();
    scene.plan.clear();
    for n in 0..5 {
        let at = name(n)?;
        items.push(match n {
            0 => put(at, Expected::Absent)?.into(),
            1 => {
                let version = scene.faulty.create(&at, &json!({"n": 1})).await?;
                put(at, version.into())?.into()
            }
            2 => {
                let version = scene.faulty.create(&at, &json!({"n": 1})).await?;
                patch(at, version.into())?.into()
            }
            3 => {
                let version = scene.faulty.create(&at, &json!({"n": 2})).await?;
                BulkItem::Check {
                    key: at,
                    expected: version.into(),
                }
            }
            _ => {
                scene.faulty.create(&at, &json!({"n": 1})).await?;
                put(at, Expected::Any)?.into()
            }
        });
    }
    let met = scene.plan.faults();
    scene.rule(FaultRule::new(fault.clone()).on(Operation::Bulk).first(1));
    let reply = if atomic {
        scene.faulty.bulk_atomic(items.clone()).await
    } else {
        scene.faulty.bulk(items.clone()).await
    };
    scene.met(met)?;
    let outcomes: Vec<Result<Receipt>> = match reply {
        Ok(BulkReply { outcomes, .. }) => outcomes,
        Err(error) => {
            // As a whole it may only be unknown where an atomic bulk cannot be told.
            check!(
                atomic
                    && error.kind() == ErrorKind::Indeterminate
                    && !cx.capabilities().provable_deletes,
                "{what}: `{}`, although no other writer competes",
                describe(&error)
            );
            return Ok(());
        }
    };
    check_eq!(outcomes.len(), items.len(), "{what}: outcomes");
    for (n, (item, outcome)) in items.iter().zip(outcomes).enumerate() {
        let receipt = outcome.during(format_args!(
            "{what}: item {n}, and no other writer competes"
        ))?;
        let found = scene.sound.present(item.key()).await?;
        check_eq!(
            value_of(&found)?,
            json!({"n": 2}),
            "{what}: the body of item {n}, changed once"
        );
        if let BulkItem::Write(write) = item {
            check_eq!(
                receipt.version,
                Some(found.version),
                "{what}: the version of item {n}"
            );
            check_eq!(
                found.write_id,
                Some(write.write_id),
                "{what}: the write id of item {n}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn competing_writers_on_a_bad_wire(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let at = key("ledger")?;
    scene.sound.create(&at, &json!({"tags": []})).await?;
    for fault in [
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::Before(ErrorKind::Contended),
    ] {
        let rule = FaultRule::new(fault)
            .on(Operation::Save)
            .with_probability(0.1);
        scene.plan.add(rule);
    }
    let scale = cx.scale();
    let (seed, backoff) = (Seed::draw(), cx.settings().backoff);
    let rounds = scale.increments.min(40);
    let found = at_once(scale.tasks, |task| {
        let (docs, at) = (scene.faulty.clone(), at.clone());
        let mut random = seed.of(task).random();
        async move {
            let (mut done, mut unknown) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                let tag = format!("{task}-{round}");
                let mut lost = 0;
                loop {
                    let found = docs.present(&at).await?;
                    let mut body = value_of(&found)?;
                    if let Some(tags) = body["tags"].as_array_mut() {
                        tags.push(json!(tag));
                    }
                    match docs.put(&at, &body, found.version).await {
                        Ok(_) => {
                            done.push(tag);
                            break;
                        }
                        Err(error) if error.kind() == ErrorKind::Indeterminate => {
                            unknown.push(tag);
                            break;
                        }
                        Err(error) if error.is_conflict() || error.is_retryable() => {
                            lost += 1;
                            back_off(backoff, lost, &mut random).await;
                        }
                        Err(error) => return Err(Failure::from(error).during("saving")),
                    }
                }
            }
            Outcome::Ok((done, unknown))
        }
    })
    .await?;
    scene.plan.clear();
    let body = value_of(&scene.sound.present(&at).await?)?;
    let tags: Vec<&str> = body["tags"]
        .as_array()
        .map(|tags| tags.iter().filter_map(|tag| tag.as_str()).collect())
        .unwrap_or_default();
    let (mut done, mut unknown) = (0, 0);
    for task in found {
        let (acknowledged, lost) = task?;
        for tag in &acknowledged {
            let times = tags.iter().filter(|t| *t == tag).count();
            check_eq!(
                times,
                1,
                "how often the save {tag} took effect, which was acknowledged"
            );
        }
        for tag in &lost {
            let times = tags.iter().filter(|t| *t == tag).count();
            check!(
                times <= 1,
                "the save {tag}, whose outcome is unknown, took effect {times} times"
            );
            unknown += times;
        }
        done += acknowledged.len();
    }
    check_eq!(tags.len(), done + unknown, "saves that took effect");
    Ok(())
}

pub(crate) async fn commits_on_a_bad_wire(cx: &Context) -> Outcome {
    if granted(cx)?.is_none() {
        return Ok(());
    }
    let scene = scene(cx).await?;
    let transact = scene
        .faulty
        .store()
        .transact()
        .ok_or_else(|| Failure::new("the layers hide the store's transactions"))?;
    let faults = [
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::Before(ErrorKind::Unavailable),
        Fault::Before(ErrorKind::Contended),
    ];
    for fault in faults {
        let keys = [key(&format!("{fault:?} a"))?, key(&format!("{fault:?} b"))?];
        scene.plan.clear();
        let open = transact
            .begin(BeginOptions::new())
            .await
            .during("beginning")?;
        let within = scene.faulty.within(open.clone() as Arc<dyn Store>);
        for at in &keys {
            within.create(at, &json!({"n": 1})).await?;
        }
        scene.rule(FaultRule::new(fault.clone()).on(Operation::Commit).first(1));
        let outcome = open.commit().await;
        drop((within, open));
        // The next writer finds out, once whatever was left open is gone.
        scene
            .sound
            .put(&key("next")?, &json!({}), Expected::Any)
            .await
            .during("a save afterwards")?;
        let there: Vec<bool> = scene
            .sound
            .load_many(&keys)
            .await?
            .iter()
            .map(Option::is_some)
            .collect();
        check_eq!(
            there[0],
            there[1],
            "whether both writes of a transaction with {fault:?} are there"
        );
        match outcome {
            Ok(()) => check!(
                there[0],
                "a commit with {fault:?} succeeded, and took no effect"
            ),
            Err(error) if error.kind() == ErrorKind::Indeterminate => {}
            Err(error) => check!(
                !there[0],
                "a commit with {fault:?} failed with `{}`, and took effect",
                describe(&error)
            ),
        }
    }
    Ok(())
}

pub(crate) async fn writes_within_transactions_are_not_sent_again(cx: &Context) -> Outcome {
    if granted(cx)?.is_none() {
        return Ok(());
    }
    let scene = scene(cx).await?;
    let transact = scene
        .faulty
        .store()
        .transact()
        .ok_or_else(|| Failure::new("the layers hide the store's transactions"))?;
    for fault in [
        Fault::RequestLost,
        Fault::ReplyLost,
        Fault::Before(ErrorKind::Contended),
    ] {
        let at = key(&format!("{fault:?}"))?;
        scene.sound.create(&at, &json!({"n": 1})).await?;
        let open = transact
            .begin(BeginOptions::new())
            .await
            .during("beginning")?;
        let within = scene.faulty.within(open.clone() as Arc<dyn Store>);
        let met = scene.plan.faults();
        scene.rule(FaultRule::new(fault.clone()).on(Operation::Save).first(1));
        let result = within.save(patch(at.clone(), Expected::Any)?).await;
        scene.met(met)?;
        check!(
            result.is_err(),
            "a write within a transaction with {fault:?} was sent again: {result:?}"
        );
        open.rollback().await.during("rolling back")?;
        drop((within, open));
        check_eq!(
            value_of(&scene.sound.present(&at).await?)?,
            json!({"n": 1}),
            "the body after the rollback"
        );
    }
    Ok(())
}
