//! Transactions beside each other and beside lone calls: no lost update, no uncommitted write
//! seen, a snapshot that stands still.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::model::{Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{BeginOptions, Isolation, LoadRequest, Transact};
use strongroom_core::{ErrorKind, Result};

use super::races::{at_once, back_off};
use super::transactions::{begin, granted, inside};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq};
use crate::random::Seed;

pub(crate) async fn lose_no_update(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    docs.create(&b, &json!({"n": 0})).await?;
    let scale = cx.scale();
    let rounds = scale.increments.min(25);
    let (seed, backoff) = (Seed::draw(), cx.settings().backoff);
    let tasks = scale.tasks.min(16);
    let found = at_once(tasks, |task| {
        let (docs, transact, keys) = (docs.clone(), transact.clone(), [a.clone(), b.clone()]);
        let mut random = seed.of(task).random();
        async move {
            for _ in 0..rounds {
                let mut lost = 0;
                while let Err(error) = count_both(&docs, &transact, &keys).await {
                    let again = matches!(
                        error.kind(),
                        ErrorKind::Conflict | ErrorKind::Contended | ErrorKind::Cancelled
                    );
                    if !again {
                        return Err(Failure::from(error).during("counting up in a transaction"));
                    }
                    lost += 1;
                    back_off(backoff, lost, &mut random).await;
                }
            }
            Ok(())
        }
    })
    .await?;
    found.into_iter().collect::<Outcome>()?;
    for at in [&a, &b] {
        check_eq!(
            value_of(&docs.present(at).await?)?,
            json!({"n": tasks * rounds}),
            "the counter {at} after {tasks} tasks ran {rounds} transactions each"
        );
    }
    Ok(())
}

/// Reads two counters and writes both back by their versions, in one transaction.
async fn count_both(docs: &Docs, transact: &Arc<dyn Transact>, keys: &[Key; 2]) -> Result<()> {
    let open = transact
        .begin(BeginOptions::new().wait(Duration::from_secs(30)))
        .await?;
    let within = inside(docs, &open);
    for at in keys {
        let request = LoadRequest::new(docs.model().clone(), vec![at.clone()]);
        let found = open.load(request).await?.pop().flatten();
        let found = found.ok_or_else(|| strongroom_core::Error::not_found(at.clone()))?;
        let n = found.body.decode::<serde_json::Value>()?["n"].as_i64();
        within
            .put(at, &json!({"n": n.unwrap_or(-1) + 1}), found.version)
            .await?;
    }
    open.commit().await
}

pub(crate) async fn writers_outside_wait_their_turn(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({"n": 0})).await?;
    for commits in [true, false] {
        let open = begin(&transact).await?;
        let add = |n: i64| -> Outcome<Patch> { Ok(Patch::new().increment("n".parse()?, n)) };
        inside(&docs, &open)
            .patch(&at, add(1)?, Expected::Present)
            .await
            .during("patching within")?;
        let outside = tokio::spawn({
            let (docs, at, patch) = (docs.clone(), at.clone(), add(10)?);
            async move { docs.patch(&at, patch, Expected::Present).await }
        });
        let ended = if commits {
            open.commit().await
        } else {
            open.rollback().await
        };
        ended.during("ending the transaction")?;
        outside
            .await
            .map_err(|e| Failure::new(format!("a task ended: {e}")))?
            .during("patching outside while a transaction ends")?;
    }
    check_eq!(
        value_of(&docs.present(&at).await?)?,
        json!({"n": 21}),
        "the sum of one commit and two patches outside"
    );
    Ok(())
}

pub(crate) async fn readers_outside_see_what_is_committed(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    docs.create(&b, &json!({"n": 0})).await?;
    for round in 1..4 {
        let open = begin(&transact).await?;
        let within = inside(&docs, &open);
        for at in [&a, &b] {
            within
                .replace(at, &json!({"n": round}), Expected::Any)
                .await?;
        }
        let reading = tokio::spawn({
            let (docs, keys) = (docs.clone(), [a.clone(), b.clone()]);
            async move {
                let mut seen = Vec::new();
                for found in docs.load_many(&keys).await? {
                    seen.push(found.map(|d| value_of(&d)).transpose()?);
                }
                Outcome::Ok(seen)
            }
        });
        let mut seen = None;
        if cx.capabilities().reads_beside_transactions {
            let read = reading
                .await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))??;
            seen = Some(read);
            open.commit().await.during("committing")?;
        } else {
            open.commit().await.during("committing")?;
            let read = reading
                .await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))??;
            let n = |n: i32| Some(json!({"n": n}));
            check!(
                read == [n(round), n(round)] || read == [n(round - 1), n(round - 1)],
                "a reader saw half a transaction: {read:?}"
            );
        }
        if let Some(read) = seen {
            let before = Some(json!({"n": round - 1}));
            check_eq!(
                read,
                [before.clone(), before],
                "what a reader sees before the commit"
            );
        }
        for at in [&a, &b] {
            check_eq!(
                value_of(&docs.present(at).await?)?,
                json!({"n": round}),
                "what a reader sees after the commit"
            );
        }
    }
    Ok(())
}

pub(crate) async fn snapshots_stand_still(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    let mut version = docs.create(&b, &json!({"n": 0})).await?;
    for (round, isolation) in [Isolation::Snapshot, Isolation::Serializable]
        .into_iter()
        .enumerate()
    {
        let open = match transact
            .begin(BeginOptions::new().isolation(isolation))
            .await
        {
            Ok(open) => open,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                not_granted(&format!("the isolation {isolation:?}"))?;
                continue;
            }
            Err(error) => return Err(Failure::from(error).during("beginning")),
        };
        let within = inside(&docs, &open);
        let first = value_of(&within.present(&b).await?)?;
        let count = within.count(Filter::all()).await.during("counting")?;
        let mut outside = tokio::spawn({
            let (docs, b, body) = (docs.clone(), b.clone(), json!({"n": round + 10}));
            async move { docs.put(&b, &body, version).await }
        });
        // Where writers wait for each other the one outside cannot be awaited; it is given a
        // moment to be in the way where they do not.
        let early = tokio::time::timeout(Duration::from_millis(50), &mut outside).await;
        let second = value_of(&within.present(&b).await?)?;
        check_eq!(
            second,
            first,
            "a second read within a transaction of isolation {isolation:?}"
        );
        let again = within.count(Filter::all()).await.during("counting")?;
        check_eq!(
            again,
            count,
            "a second count within a transaction of isolation {isolation:?}"
        );
        open.rollback().await.during("rolling back")?;
        let written = match early {
            Ok(ended) => ended,
            Err(_) => outside.await,
        };
        let receipt = written
            .map_err(|e| Failure::new(format!("a task ended: {e}")))?
            .during("saving outside of a transaction that only read")?;
        version = version_of(&receipt, "saving")?;
        docs.expect(&b, &json!({"n": round + 10}), version, None)
            .await?;
    }
    Ok(())
}
