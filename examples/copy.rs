//! Copies collections from one store to another and compares them there, whatever they hold: their
//! models are read from the store. Put again, it copies what is new or changed.
//!
//! ```sh
//! cargo run --example copy -- sqlite://app.db sqlite://copy.db users orders
//! cargo run --example copy --features es -- sqlite://app.db elasticsearch://localhost users orders
//! cargo run --example copy --features postgres -- sqlite://app.db postgres://me@localhost/db users
//! cargo run --example copy --features mariadb -- sqlite://app.db mariadb://me@localhost/db users
//! cargo run --example copy      # shows it on a temporary file
//! ```

#![allow(
    missing_docs,
    clippy::print_stdout,
    reason = "a program that prints, not a library"
)]

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use strongroom::handle::Stopped;
use strongroom::handle::transfer::{CopyCollection, CopySummary, Existing};
use strongroom::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => demonstrate().await,
        [from, to, names @ ..] if !names.is_empty() => copy(from, to, names).await,
        _ => Err("say from where, to where, and which collections: FROM TO NAME…".into()),
    }
}

async fn copy(from: &str, to: &str, names: &[String]) -> Outcome {
    let (from, to) = (
        strongroom::connect(from).await?,
        strongroom::connect(to).await?,
    );
    println!(
        "From {} to {}:",
        from.server_info().await?.product,
        to.server_info().await?.product
    );
    for name in names {
        copy_one(&from, &to, name).await?;
    }
    from.close().await?;
    to.close().await?;
    Ok(())
}

async fn copy_one(from: &Database, to: &Database, name: &str) -> Outcome {
    let described = from.store().describe(name.parse()?).await?;
    let model = described
        .ok_or_else(|| format!("there is no collection {name}"))?
        .model;
    let begin = || CopyCollection::new(from.store().clone(), to.store().clone(), model.clone());
    let style = ProgressStyle::with_template("  [{bar:40}] {pos}/{len} {msg}, {per_sec}, {eta}")?;
    let bar = ProgressBar::no_length().with_style(style);

    let shown = bar.clone();
    shown.set_message("copied");
    let copied = begin()
        .existing(Existing::Replace)
        .progress(move |so_far| {
            shown.set_length(so_far.total);
            shown.set_position(so_far.done());
        })
        .send()
        .await;
    let done = copied.inspect_err(|error| {
        let stopped = Stopped::<CopySummary>::of(error);
        if let Some(last) = stopped.and_then(|stopped| stopped.summary().after.as_ref()) {
            println!("  {name}: stopped behind {last}; put again, it goes on");
        }
    })?;
    println!(
        "  {name}: {} copied, {} were the same there already, {} failed",
        done.copied, done.unchanged, done.failed
    );
    for (key, error) in done.failures.iter().take(10) {
        println!("    {key}: {error}");
    }

    let shown = bar.clone();
    shown.set_message("compared");
    shown.set_position(0);
    let report = begin()
        .verify_with(|so_far| shown.set_position(so_far.from))
        .await?;
    bar.finish_and_clear();
    println!("    compared: {report}");
    match report.is_same() {
        true => Ok(()),
        false => Err(format!("the stores differ in {name}").into()),
    }
}

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "notes")]
struct Note {
    #[document(id)]
    number: u32,
    #[document(text)]
    text: String,
}

/// Copies 2,500 notes of a temporary file to memory.
async fn demonstrate() -> Outcome {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("notes.db").display());
    let db = strongroom::connect(&url).await?;
    let notes = db.collection::<Note>();
    notes.ensure().await?;
    let some = (0..2_500).map(|number| Note {
        number,
        text: format!("note number {number}"),
    });
    notes.insert_many(some).await?;
    db.close().await?;
    copy(&url, "memory:", &["notes".to_owned()]).await
}
