//! Writers that meet: conflicts and retries.

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
