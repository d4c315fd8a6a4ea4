//! Questions for documents: by filters, by words, and what the engine is asked.

use strongroom::prelude::*;

use super::{Outcome, heading};
use crate::Quake;

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

/// Finds events by the words of their places.
pub async fn words(db: &Database) -> Outcome {
    heading("Words: places searched by their words, whatever stands between them");
    let quakes = db.collection::<Quake>();
    let place = Quake::fields().place();
    for (asked, filter) in [
        (
            "any of: Alaska, Hawaii",
            place.has_any_word("Alaska Hawaii"),
        ),
        ("all of: springs, CA", place.has_all_words("springs CA")),
        ("the phrase: hot springs", place.has_phrase("hot springs")),
    ] {
        let strongest = quakes
            .find(filter)
            .sort(Quake::fields().mag().desc())
            .limit(1)
            .total(Total::Exact)
            .page()
            .await?;
        let found = strongest.total().map_or(0, |total| total.value);
        let quake = strongest.first().ok_or("nothing was found")?;
        println!(
            "  {asked:<24} {found:>4} events; strongest: {:.1} {}",
            quake.mag, quake.place
        );
    }
    Ok(())
}

/// Shows what the engine is asked for a question, and how it means to find the answer.
pub async fn explain(db: &Database) -> Outcome {
    heading("Explain: what the engine is asked for the last of these questions");
    let filter = Quake::fields().place().has_phrase("hot springs");
    let asked = db
        .collection::<Quake>()
        .find(filter)
        .explain_count()
        .await?;
    for line in asked.to_string().lines() {
        println!("  {line}");
    }
    Ok(())
}
