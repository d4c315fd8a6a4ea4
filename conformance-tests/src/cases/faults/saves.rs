//! Saves whose request or reply is lost, by one writer and by many.

use std::time::Duration;

use serde_json::json;
use strongroom_core::layers::{Fault, FaultLayer, FaultRule, Layer, default_stack};
use strongroom_core::model::{Expected, Key};
use strongroom_core::store::Write;
use strongroom_core::{ErrorKind, Operation, Result};

use super::super::races::{at_once, back_off};
use super::{Scene, options, patch, put, scene};
use crate::context::Context;
use crate::docs::{key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};
use crate::random::Seed;

/// One write whose request or reply is lost, and what it makes of the document `{"n": 1}`.
struct Trial {
    name: &'static str,
    creates: bool,
    make: fn(Key, Expected) -> Result<Write>,
    after: Option<i64>,
    /// Nothing tells of a delete whether it was this one, unless the engine keeps traces.
    deletes: bool,
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
