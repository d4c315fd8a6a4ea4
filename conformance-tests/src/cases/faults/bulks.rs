//! Bulks whose request, reply or items are lost.

use serde_json::json;
use strongroom_core::layers::{Fault, FaultRule};
use strongroom_core::model::Expected;
use strongroom_core::store::{BulkItem, BulkReply, Receipt};
use strongroom_core::{ErrorKind, Operation, Result};

use super::{Scene, patch, put, scene};
use crate::context::{Context, not_granted};
use crate::docs::{key, value_of};
use crate::failure::{During, Outcome, check, check_eq, describe};

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
