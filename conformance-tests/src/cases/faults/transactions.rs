//! Commits whose request or reply is lost, and writes within transactions.

use std::sync::Arc;

use serde_json::json;
use strongroom_core::layers::{Fault, FaultRule};
use strongroom_core::model::Expected;
use strongroom_core::store::{BeginOptions, Store};
use strongroom_core::{ErrorKind, Operation};

use super::super::transactions::granted;
use super::{patch, scene};
use crate::context::Context;
use crate::docs::{key, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe};

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
