//! What is loaded later, and what is loaded in part.

use strongroom::prelude::*;

use super::{Outcome, heading};
use crate::Quake;

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
