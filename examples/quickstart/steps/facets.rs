//! What is computed over many events, and the first of each group.

use strongroom::aggregate::{Stats, filtered};
use strongroom::prelude::*;
use strongroom::query::CalendarUnit;

use super::{Outcome, heading};
use crate::Quake;

/// Computes several figures by one question; the answer has the shape of the question.
pub async fn facets(db: &Database) -> Outcome {
    heading("Facets: figures of all events, of each kind and of each day, in one question");
    let f = Quake::fields();
    let (all, strong, kinds, days) = db
        .collection::<Quake>()
        .find(Filter::all())
        .aggregate((
            f.mag().stats(),
            filtered(f.mag().gte(5.0)).within(f.felt().sum()),
            f.kind().terms().size(5).within(f.mag().stats()),
            f.time()
                .date_histogram(CalendarUnit::Day)
                .within(f.mag().maximum()),
        ))
        .await?;
    println!("  {:<13} {}", "all", magnitudes(&all));
    println!(
        "  {:<13} {:>4} events, felt by {} people",
        "5 and more", strong.count, strong.within
    );
    for kind in &kinds.buckets {
        println!("  {:<13} {}", kind.key, magnitudes(&kind.within));
    }
    for day in &days {
        let (date, events) = (day.key.to_string(), day.count);
        let dots = "·".repeat(usize::try_from(events / 10)?);
        let strongest = day.within.unwrap_or_default();
        println!("  {date:.10} {events:>4} {dots:<30} strongest: {strongest:.1}");
    }
    Ok(())
}

fn magnitudes(stats: &Stats<f64>) -> String {
    format!(
        "{:>4} events, magnitude {:.1} to {:.1}, {:.1} on average",
        stats.count,
        stats.min.unwrap_or_default(),
        stats.max.unwrap_or_default(),
        stats.average.unwrap_or_default(),
    )
}

/// Finds the three strongest events of each kind.
pub async fn strongest(db: &Database) -> Outcome {
    heading("Groups: the three strongest of each kind");
    let f = Quake::fields();
    let groups = db
        .collection::<Quake>()
        .find(Filter::all())
        .sort(f.mag().desc())
        .per(f.kind())
        .top(3)
        .page()
        .await?;
    for group in groups.iter() {
        println!("  {}", group.key);
        for quake in &group.documents {
            println!("    {}. {:.1} {}", quake.rank, quake.mag, quake.place);
        }
    }
    Ok(())
}
