//! Writers that meet: conflicts and retries; and changes that take effect together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use strongroom::prelude::*;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Outcome, heading};
use crate::Quake;

/// Two tasks change one event at the same time: nobody's work is lost.
pub async fn conflict(db: &Database) -> Outcome {
    heading("Conflict: two tasks count reports of one event, each from what it has read");
    let quakes = db.collection::<Quake>();
    let strongest = quakes
        .find(Filter::all())
        .sort(Quake::fields().mag().desc())
        .first()
        .await?;
    let id = strongest.ok_or("there are no events")?.id.clone();

    // By hand: both hold the same version, so the second save is refused.
    let mut first = quakes.get(&id).await?.ok_or("the event is gone")?;
    let mut second = quakes.get(&id).await?.ok_or("the event is gone")?;
    let before = first.felt;
    first.felt += 1;
    quakes.save(&mut first).await?;
    second.felt += 1;
    match quakes.save(&mut second).await {
        Err(error) if error.is_conflict() => println!("  the slower save is refused: {error}"),
        other => return Err(format!("expected a conflict, got {other:?}").into()),
    }

    // By `update`: load, change, save; on a conflict all three again. Both tasks load before either
    // saves, so that one of them surely finds the other's save.
    let attempts = Arc::new(AtomicU32::new(0));
    let loaded = Arc::new(Barrier::new(2));
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (quakes, id) = (quakes.clone(), id.clone());
        let (attempts, loaded) = (attempts.clone(), loaded.clone());
        tasks.spawn(async move {
            let change = |mut quake: Quake| {
                let (attempts, loaded) = (attempts.clone(), loaded.clone());
                async move {
                    if attempts.fetch_add(1, Ordering::Relaxed) < 2 {
                        loaded.wait().await;
                    }
                    quake.felt += 1;
                    Ok(quake)
                }
            };
            quakes.update_async(id.as_str(), change).await
        });
    }
    while let Some(updated) = tasks.join_next().await {
        updated??;
    }
    let after = quakes.get(&id).await?.ok_or("the event is gone")?;
    println!(
        "  two tasks used update(): {} attempts for 2 changes; felt went from {before} to {}",
        attempts.load(Ordering::Relaxed),
        after.felt
    );
    if after.felt != before + 3 {
        return Err("an update was lost".into());
    }
    Ok(())
}

/// Moves a report from one event to another: both change, or none.
pub async fn together(db: &Database) -> Outcome {
    heading("Together: a report was for another event; both change in one transaction, or none");
    let felt = Quake::fields().felt();
    let quakes = db.collection::<Quake>();
    let page = quakes
        .find(felt.gte(1))
        .sort(felt.desc())
        .limit(2)
        .page()
        .await?;
    let mut ids = page.iter().map(|quake| quake.id.clone());
    let (Some(from), Some(to)) = (ids.next(), ids.next()) else {
        return Err("nobody felt any event".into());
    };
    let (before, after) = db
        .transaction(TransactionOptions::new(), |tx| {
            let (quakes, from, to) = (tx.collection::<Quake>(), from.clone(), to.clone());
            async move {
                let from = quakes.update(&from, |quake| quake.felt -= 1).await?;
                let to = quakes.update(&to, |quake| quake.felt += 1).await?;
                Ok((from.felt, to.felt))
            }
        })
        .await?;
    println!("  {from} was felt by {before} people now, {to} by {after}");
    Ok(())
}
