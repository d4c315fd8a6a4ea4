//! What the quickstart shows, step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use strongroom::prelude::*;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{Network, Quake, data};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// How many events go into one bulk.
const CHUNK: usize = 100;

fn heading(text: &str) {
    println!("\n— {text}");
}

/// Creates the collections and stores networks and events, each outcome looked at.
pub async fn store(db: &Database) -> Outcome {
    heading("Store: each event is inserted under its id, and an event that is there is told");
    let networks = db.collection::<Network>();
    let quakes = db.collection::<Quake>();
    networks.ensure().await?;
    quakes.ensure().await?;
    networks.insert_many(data::networks()).await?;

    let events = data::quakes()?;
    let bar = ProgressBar::new(events.len() as u64).with_style(ProgressStyle::with_template(
        "  [{bar:40}] {pos}/{len} events, {per_sec}",
    )?);
    let start = Instant::now();
    let (mut stored, mut there) = (0, 0);
    for chunk in events.chunks(CHUNK) {
        for outcome in quakes.insert_many(chunk.to_vec()).await? {
            match outcome {
                Ok(_) => stored += 1,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => there += 1,
                Err(e) => return Err(e.into()),
            }
        }
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let millis = start.elapsed().as_millis();
    println!("  {stored} events stored durably in {millis} ms, {there} were there already");
    Ok(())
}

/// Pages through a filter, strongest first.
pub async fn page(db: &Database) -> Outcome {
    heading("Page: reviewed events of magnitude 5 and more, strongest first, 10 a page");
    let quakes = db.collection::<Quake>();
    let f = Quake::fields();
    let strong = f.mag().gte(5.0).and(f.status().eq("reviewed"));
    let first = quakes
        .find(strong)
        .sort(f.mag().desc())
        .limit(10)
        .total(Total::Exact)
        .page()
        .await?;
    if let Some(total) = first.total() {
        println!("  {} events match", total.value);
    }
    let (mut page, mut number) = (Some(first), 0);
    while let Some(current) = page {
        number += 1;
        if let (Some(strongest), Some(weakest)) = (current.first(), current.last()) {
            println!(
                "  page {number}: {} events, magnitude {} to {}; first: {}",
                current.len(),
                strongest.mag,
                weakest.mag,
                strongest.place
            );
        }
        page = current.next().await?;
    }
    Ok(())
}

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

/// References and a lazy property, each resolved for the whole page in one step.
pub async fn lazy(db: &Database) -> Outcome {
    heading("Lazy: what was not asked for is not loaded; what is, is loaded for the whole page");
    let quakes = db.collection::<Quake>();
    let page = quakes
        .find(Filter::all())
        .sort(Quake::fields().mag().desc())
        .limit(5)
        .page()
        .await?;
    if let Some(quake) = page.first() {
        println!("  before: shocks_before is {:?}", quake.shocks_before.get());
    }
    quakes.resolve(page.iter(), Resolve::all()).await?;
    for quake in page.iter() {
        let network = quake.net.as_ref().and_then(Ref::get);
        println!(
            "  {:.1} {}: {} shocks in the hour before; measured by {}",
            quake.mag,
            quake.place,
            quake.shocks_before.get().copied().unwrap_or(0),
            network.map_or("an unknown network", |n| n.name.as_str()),
        );
    }
    Ok(())
}

/// A partial load that cannot clobber, and a field that this program does not know.
pub async fn partial(db: &Database) -> Outcome {
    heading("Partial: what was not loaded is not written, and unknown fields survive");
    let quakes = db.collection::<Quake>();
    let f = Quake::fields();
    let any = quakes
        .find(Filter::all())
        .sort(f.time().desc())
        .first()
        .await?;
    let id = any.ok_or("there are no events")?.id.clone();

    // Another program, of a later version, adds a field that `Quake` does not have.
    let note = Patch::new().set("analyst".parse()?, "Inge Lehmann");
    quakes.patch(&id, note, Expected::Present).await?;

    // Only some fields are loaded; a save changes those alone.
    let selected = quakes.select([
        f.place().path(),
        f.mag().path(),
        f.time().path(),
        f.status().path(),
    ]);
    let mut part = selected.get(&id).await?.ok_or("the event is gone")?;
    println!(
        "  loaded of {id}: place {:?}, magnitude {}",
        part.place, part.mag
    );
    part.status = "deleted".to_owned();
    println!("  saved: {:?}", selected.save(&mut part).await?);
    println!(
        "  saved again without a change: {:?}",
        selected.save(&mut part).await?
    );

    let whole = db
        .collection::<Quake>()
        .get_as::<serde_json::Value>(&id)
        .await?
        .ok_or("the event is gone")?;
    println!("  the whole document now:");
    for (name, value) in whole.as_object().into_iter().flatten() {
        println!("    {name}: {value}");
    }
    let analyst = whole.get("analyst").and_then(|name| name.as_str());
    if analyst != Some("Inge Lehmann") {
        return Err("a field that the program does not know was lost".into());
    }
    Ok(())
}
