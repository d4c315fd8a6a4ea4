//! Many tasks at one document: no update is lost, and each race has one winner.

use std::future::Future;
use std::sync::Arc;

use serde_json::json;
use strongroom_core::model::{Body, Expected, Key, Version};
use strongroom_core::store::{Effect, Receipt, Write};
use strongroom_core::{Error, ErrorKind, Result};
use tokio::sync::Barrier;

use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe};
use crate::random::{Random, Seed};

/// Runs `n` tasks that begin at once, and hands out what each of them found.
pub(super) async fn at_once<T, F>(n: usize, task: impl Fn(usize) -> F) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(n));
    let running: Vec<_> = (0..n)
        .map(|i| {
            let (task, barrier) = (task(i), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut found = Vec::with_capacity(n);
    for task in running {
        found.push(
            task.await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))?,
        );
    }
    Ok(found)
}

/// Waits a little longer each time a race is lost, up to 32 times the setting, and unevenly.
pub(super) async fn back_off(cx_backoff: std::time::Duration, lost: u32, random: &mut Random) {
    let most = cx_backoff.saturating_mul(1 << lost.min(5));
    let part = random.below(1_000) as f64 / 1_000.0;
    tokio::time::sleep(most.mul_f64(part)).await;
}

pub(crate) async fn increments(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("counter")?;
    docs.create(&at, &json!({"n": 0, "by": {}})).await?;
    let scale = cx.scale();
    let (backoff, seed) = (cx.settings().backoff, Seed::draw());
    let found = at_once(scale.tasks, |task| {
        let (docs, at, mut random) = (docs.clone(), at.clone(), seed.of(task).random());
        async move {
            for _ in 0..scale.increments {
                let mut lost = 0;
                let mut last = None;
                loop {
                    let found = docs.present(&at).await?;
                    check!(
                        last.is_none() || found.write_id != last,
                        "a save took effect that had answered with a conflict"
                    );
                    let mut body = value_of(&found)?;
                    body["n"] = json!(body["n"].as_i64().unwrap_or(-1) + 1);
                    let name = format!("t{task}");
                    body["by"][&name] = json!(body["by"][&name].as_i64().unwrap_or(0) + 1);
                    let write = Write::put(at.clone(), Body::encode(&body)?, found.version);
                    last = Some(write.write_id);
                    match docs.save(write).await {
                        Ok(_) => break,
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::Conflict | ErrorKind::Contended
                            ) =>
                        {
                            lost += 1;
                            back_off(backoff, lost, &mut random).await;
                        }
                        Err(error) => return Err(Failure::from(error).during("counting up")),
                    }
                }
            }
            Ok(())
        }
    })
    .await?;
    found.into_iter().collect::<Outcome>()?;
    let total = scale.tasks * scale.increments;
    let last = docs.present(&at).await?;
    let body = value_of(&last)?;
    check_eq!(
        body["n"],
        json!(total),
        "the counter after {} tasks counted {} times each",
        scale.tasks,
        scale.increments
    );
    for task in 0..scale.tasks {
        let name = format!("t{task}");
        check_eq!(
            body["by"][&name],
            json!(scale.increments),
            "the share of task {task}"
        );
    }
    if let Some(revision) = last.version.revision() {
        check_eq!(
            revision,
            total as u64 + 1,
            "the revision after {total} updates"
        );
    }
    Ok(())
}

/// Of many writes at once one succeeds, and the others fail with this kind and, where told, the
/// winner's version.
fn one_winner(
    cx: &Context,
    found: Vec<Result<Receipt>>,
    kind: ErrorKind,
    what: &str,
) -> Outcome<Receipt> {
    let tasks = found.len();
    let (won, lost): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    let winners: Vec<Receipt> = won.into_iter().flatten().collect();
    let [winner] = &winners[..] else {
        return Err(Failure::new(format!(
            "{what}: expected one winner of {tasks}, found {}: {winners:?}",
            winners.len()
        )));
    };
    for error in lost.into_iter().filter_map(Result::err) {
        check_eq!(
            error.kind(),
            kind,
            "{what}: the kind of the loser's `{}`",
            describe(&error)
        );
        if kind == ErrorKind::NotFound {
            continue;
        }
        let actual = error.actual_version();
        if actual.is_some() || cx.settings().conflicts_tell_actual {
            check_eq!(
                actual,
                winner.version,
                "{what}: the version that the loser's `{}` tells",
                describe(&error)
            );
        }
    }
    Ok(winner.clone())
}

pub(crate) async fn creates_have_one_winner(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let found = at_once(cx.scale().racers, |n| {
        let (docs, at) = (docs.clone(), at.clone());
        async move { docs.put(&at, &json!({"n": n}), Expected::Absent).await }
    })
    .await?;
    let place = found.iter().position(Result::is_ok);
    let winner = one_winner(cx, found, ErrorKind::AlreadyExists, "creating at once")?;
    check_eq!(winner.effect, Effect::Created, "the effect of the winner");
    let version = version_of(&winner, "the winner")?;
    docs.expect(&at, &json!({"n": place}), version, None)
        .await?;
    Ok(())
}

pub(crate) async fn savers_at_one_version_have_one_winner(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let mut version = docs.create(&at, &json!({"n": -1})).await?;
    for _ in 0..3 {
        let found = at_once(cx.scale().racers, |n| {
            let (docs, at) = (docs.clone(), at.clone());
            async move { docs.put(&at, &json!({"n": n}), version).await }
        })
        .await?;
        let place = found.iter().position(Result::is_ok);
        let winner = one_winner(
            cx,
            found,
            ErrorKind::Conflict,
            "saving at one version at once",
        )?;
        version = version_of(&winner, "the winner")?;
        docs.expect(&at, &json!({"n": place}), version, None)
            .await?;
    }
    Ok(())
}

pub(crate) async fn deleters_at_one_version_have_one_winner(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let version = docs.create(&at, &json!({})).await?;
    let found = at_once(cx.scale().racers, |_| {
        let (docs, at) = (docs.clone(), at.clone());
        async move { docs.delete(&at, version).await }
    })
    .await?;
    let winner = one_winner(
        cx,
        found,
        ErrorKind::NotFound,
        "deleting at one version at once",
    )?;
    check_eq!(winner.effect, Effect::Deleted, "the effect of the winner");
    docs.expect_absent(&at).await
}

pub(crate) async fn delete_and_create_again(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("phoenix")?;
    let scale = cx.scale();
    let found = at_once(scale.tasks, |task| {
        let (docs, at) = (docs.clone(), at.clone());
        async move { live_and_die(&docs, &at, task, scale.increments).await }
    })
    .await?;
    let mut lives = Vec::new();
    let mut deaths = Vec::new();
    for task in found {
        let (created, deleted) = task?;
        lives.extend(created);
        deaths.extend(deleted);
    }
    let sort = |versions: &mut Vec<Version>| versions.sort_by_key(ToString::to_string);
    sort(&mut lives);
    sort(&mut deaths);
    let (born, died) = (lives.len(), deaths.len());
    lives.dedup();
    deaths.dedup();
    check_eq!(
        lives.len(),
        born,
        "different versions among all that were written"
    );
    check_eq!(
        deaths.len(),
        died,
        "different versions among all that were deleted"
    );
    check!(
        deaths.iter().all(|version| lives.contains(version)),
        "a version was deleted that nobody wrote"
    );
    // Whatever is left was written last, and nobody deleted it.
    if let Some(left) = docs.load(&at).await? {
        check!(
            lives.contains(&left.version) && !deaths.contains(&left.version),
            "{} is left, which nobody wrote or someone deleted",
            left.version
        );
    }
    Ok(())
}

/// Creates, replaces and deletes by its own versions. A write by a version that it made earlier,
/// of a document that was deleted since, must never succeed.
async fn live_and_die(
    docs: &Docs,
    at: &Key,
    task: usize,
    rounds: usize,
) -> Outcome<(Vec<Version>, Vec<Version>)> {
    let (mut created, mut deleted) = (Vec::new(), Vec::new());
    let lost = |error: &Error| {
        matches!(
            error.kind(),
            ErrorKind::Conflict
                | ErrorKind::NotFound
                | ErrorKind::AlreadyExists
                | ErrorKind::Contended
        )
    };
    for round in 0..rounds {
        let mine = match docs
            .put(at, &json!({"task": task, "round": round}), Expected::Absent)
            .await
        {
            Ok(receipt) => version_of(&receipt, "creating")?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Someone else's: take it away if it is still the same.
                if let Some(there) = docs.load(at).await? {
                    match docs.delete(at, there.version).await {
                        Ok(_) => deleted.push(there.version),
                        Err(error) if lost(&error) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                continue;
            }
            Err(error) if lost(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        created.push(mine);
        for stale in deleted.iter().rev().take(2) {
            match docs.put(at, &json!({"thief": task}), *stale).await {
                Err(error) if lost(&error) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    return Err(Failure::new(format!(
                        "a save at {stale} succeeded, which this task had deleted"
                    )));
                }
            }
        }
    }
    Ok((created, deleted))
}

pub(crate) async fn atomic_bulks_keep_a_sum(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    let docs = cx.docs().await?;
    let accounts = 4;
    let keys = (0..accounts)
        .map(|n| key(&format!("account-{n}")))
        .collect::<Outcome<Vec<Key>>>()?;
    for at in &keys {
        docs.create(at, &json!({"n": 100})).await?;
    }
    let (scale, seed, backoff) = (cx.scale(), Seed::draw(), cx.settings().backoff);
    let found = at_once(scale.tasks, |task| {
        let (docs, keys) = (docs.clone(), keys.clone());
        let mut random = seed.of(task).random();
        async move {
            for _ in 0..scale.increments.min(50) {
                let from = random.below(accounts);
                let to = (from + 1 + random.below(accounts - 1)) % accounts;
                let mut lost = 0;
                while !transfer(&docs, &keys[from], &keys[to]).await? {
                    lost += 1;
                    back_off(backoff, lost, &mut random).await;
                }
                // One load of many keys sees committed documents, whatever is under way.
                for found in docs.load_many(&keys).await? {
                    check!(found.is_some(), "an account is gone while sums are moved");
                }
            }
            Ok(())
        }
    })
    .await?;
    found.into_iter().collect::<Outcome>()?;
    let mut sum = 0;
    for at in &keys {
        sum += value_of(&docs.present(at).await?)?["n"]
            .as_i64()
            .unwrap_or(i64::MIN / 8);
    }
    check_eq!(sum, 100 * accounts as i64, "the sum of all accounts");
    Ok(())
}

async fn transfer(docs: &Docs, from: &Key, to: &Key) -> Outcome<bool> {
    let (a, b) = (docs.present(from).await?, docs.present(to).await?);
    let amount = |body: &serde_json::Value| body["n"].as_i64().unwrap_or(0);
    let (less, more) = (amount(&value_of(&a)?) - 1, amount(&value_of(&b)?) + 1);
    let items = vec![
        Write::put(from.clone(), Body::encode(&json!({"n": less}))?, a.version).into(),
        Write::put(to.clone(), Body::encode(&json!({"n": more}))?, b.version).into(),
    ];
    let reply = match docs.bulk_atomic(items).await {
        Ok(reply) => reply,
        Err(error) if error.kind() == ErrorKind::Contended => return Ok(false),
        Err(error) => return Err(Failure::from(error).during("an atomic bulk")),
    };
    let errors: Vec<ErrorKind> = reply.errors().map(|(_, error)| error.kind()).collect();
    match errors.len() {
        0 => Ok(true),
        2 if errors
            .iter()
            .all(|kind| matches!(kind, ErrorKind::Conflict | ErrorKind::Cancelled)) =>
        {
            Ok(false)
        }
        _ => Err(Failure::new(format!(
            "an atomic bulk of two items failed with {errors:?}"
        )))
        .during("moving a sum"),
    }
}
