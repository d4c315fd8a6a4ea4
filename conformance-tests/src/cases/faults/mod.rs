//! Faults before and after the call to the store, under the layers that every handle has: never a
//! false conflict, a false success or a write applied twice, and `Indeterminate` only where
//! nothing could tell.

mod bulks;
mod saves;
mod transactions;

pub(crate) use self::bulks::*;
pub(crate) use self::saves::*;
pub(crate) use self::transactions::*;

use std::time::Duration;

use serde_json::json;
use strongroom_core::layers::{
    Fault, FaultLayer, FaultPlan, FaultRule, Layer, LayerOptions, RetryOptions, TimeoutOptions,
    default_stack,
};
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{EnsureRequest, Write};
use strongroom_core::{ErrorKind, Operation, Result};

use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Outcome, check, check_eq, describe};

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

fn put(key: Key, expected: Expected) -> Result<Write> {
    Ok(Write::put(key, Body::encode(&json!({"n": 2}))?, expected))
}

fn patch(key: Key, expected: Expected) -> Result<Write> {
    let patch = Patch::new().increment("n".parse()?, 1);
    Ok(Write::patch(key, patch, expected))
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
