//! Saves that meet others, and what is run again then.

use std::time::Duration;

use strongroom_core::ErrorKind;
use strongroom_core::handle::{RetryPolicy, Saved, TransactionOptions, retry_on_conflict};
use strongroom_core::model::Key;

use super::super::races::at_once;
use super::{Person, found, person, scene};
use crate::context::{Context, not_granted};
use crate::docs::key;
use crate::failure::{During, Outcome, check, check_eq, describe, refused};

pub(crate) async fn updates_are_retried(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks, scale.increments.min(50));
    let results = at_once(tasks, |_| {
        let people = scene.people.clone();
        async move {
            for _ in 0..times {
                people.update("ada", |ada| ada.logins += 1).await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("updating at once")?;
    }
    let ada = found(scene.people.get("ada").await, "loading")?;
    check_eq!(
        ada.logins,
        (tasks * times) as u64,
        "the counter after {tasks} tasks of {times} updates"
    );
    Ok(())
}

pub(crate) async fn blocks_are_retried_on_conflict(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    for id in ["ada", "bob"] {
        scene.people.insert(person(id)).await.during("inserting")?;
    }
    let policy = RetryPolicy::default()
        .with_attempts(100_000)
        .with_backoff(cx.settings().backoff, Duration::from_millis(50))
        .with_deadline(cx.settings().patience);
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks, scale.increments.min(25));
    let results = at_once(tasks, |task| {
        let (people, policy) = (scene.people.clone(), policy.clone());
        async move {
            let id = if task % 2 == 0 { "ada" } else { "bob" };
            for _ in 0..times {
                retry_on_conflict(&policy, || async {
                    let loaded = people.get(id).await?;
                    let Some(mut one) = loaded else {
                        return Err(strongroom_core::Error::not_found(Key::new(id)?));
                    };
                    one.logins += 1;
                    people.save(&mut one).await
                })
                .await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("a block that is run again on conflict")?;
    }
    let mut sum = 0;
    for id in ["ada", "bob"] {
        sum += found(scene.people.get(id).await, "loading")?.logins;
    }
    check_eq!(sum, (tasks * times) as u64, "the sum of both counters");
    Ok(())
}

pub(crate) async fn an_unchanged_save_is_no_write(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let mut ada = scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let version = ada.version();
    let saved = scene
        .people
        .save(&mut ada)
        .await
        .during("saving unchanged")?;
    check_eq!(
        saved,
        Saved::Unchanged(version),
        "what a save of an unchanged document says"
    );
    let again = found(scene.people.get("ada").await, "loading")?;
    check_eq!(
        again.version(),
        version,
        "the version after a save of an unchanged document"
    );
    ada.logins = 7;
    let saved = scene.people.save(&mut ada).await.during("saving changed")?;
    check!(
        matches!(saved, Saved::Updated(v) if v != version && v == ada.version()),
        "a save of a changed document says {saved:?}"
    );
    Ok(())
}

pub(crate) async fn conflicts_let_a_caller_merge(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let mut mine = found(scene.people.get("ada").await, "loading")?;
    let theirs = scene
        .people
        .update("ada", |ada| ada.logins = 5)
        .await
        .during("someone else's update")?;
    mine.region = Some("us".to_owned());
    let error = refused(
        scene.people.save(&mut mine).await,
        ErrorKind::Conflict,
        "saving what someone else changed meanwhile",
    )?;
    check_eq!(
        error.key(),
        Some(&key("ada")?),
        "the key that `{}` names",
        describe(&error)
    );
    if let Some(actual) = error.actual_version() {
        check_eq!(
            actual,
            theirs.version(),
            "the version that the conflict tells"
        );
        // With that version the caller may decide to win, without a read.
        let region = mine.region.clone();
        scene.people.reload(&mut mine).await.during("reloading")?;
        check_eq!(mine.logins, 5, "what someone else changed, after a reload");
        mine.region = region;
        scene
            .people
            .save(&mut mine)
            .await
            .during("saving what was merged")?;
    }
    Ok(())
}

pub(crate) async fn transactions_are_run_again(cx: &Context) -> Outcome {
    if !cx.capabilities().transactions {
        return not_granted("transactions");
    }
    let scene = scene(cx).await?;
    for id in ["ada", "bob"] {
        scene.people.insert(person(id)).await.during("inserting")?;
    }
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks.min(8), scale.increments.min(10));
    let results = at_once(tasks, |_| {
        let db = scene.db.clone();
        async move {
            for _ in 0..times {
                db.transaction(TransactionOptions::new(), |tx| async move {
                    let people = tx.collection::<Person>();
                    people.update("ada", |ada| ada.logins += 1).await?;
                    people.update("bob", |bob| bob.logins += 1).await.map(drop)
                })
                .await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("transactions at once")?;
    }
    for id in ["ada", "bob"] {
        let one = found(scene.people.get(id).await, "loading")?;
        check_eq!(one.logins, (tasks * times) as u64, "the counter of {id}");
    }
    Ok(())
}
