//! Strongroom side by side with the raw drivers, in one process.
//!
//! Each scenario runs two arms in interleaved rounds: the same work by hand on the driver, and by
//! the typed handle with default layers, write ids and stamps. What is printed is the median of
//! the rounds' ratios, beside the line that the project holds.

mod coalescing;
mod documents;
mod elasticsearch;
mod flights;
mod machine;
mod measure;
mod orders;
mod sql;
mod sqlite;

use clap::Parser;

/// What to measure, and how long.
#[derive(Debug, Parser)]
#[command(about = "measures Strongroom side by side with the raw drivers")]
struct Arguments {
    /// Only scenarios whose name contains this text.
    filter: Option<String>,
    /// Interleaved rounds of each scenario.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Length of one arm in one round, in milliseconds.
    #[arg(long, default_value_t = 200)]
    millis: u64,
    /// The folder for the databases; a temporary one by default.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// A file of flights, as a JSON array of `{"delay", "distance", "time"}`; by default 200,000
    /// flights are made from a fixed seed.
    #[arg(long)]
    flights: Option<std::path::PathBuf>,
    /// Runs one arm of a stream once, on the file that `--folder` names or on a server, and prints
    /// its memory.
    #[arg(long, hide = true, requires = "filter")]
    memory_of: Option<measure::StreamArm>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    if let Some(arm) = arguments.memory_of {
        let name = arguments.filter.unwrap_or_default();
        let told = match &arguments.folder {
            Some(file) => sqlite::streams::measure_memory(arm, file, &name)?,
            None if name == sql::streams::name::<sql::MariaDb>() => {
                sql::streams::measure_memory::<sql::MariaDb>(arm)?
            }
            None => sql::streams::measure_memory::<sql::Postgres>(arm)?,
        };
        println!("{told}");
        return Ok(());
    }
    machine::print();
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(parent)?;
    let mut report = measure::Report::new(
        arguments.rounds,
        std::time::Duration::from_millis(arguments.millis),
        arguments.filter,
    );
    sqlite::run(&mut report, folder.path(), arguments.flights.as_deref())?;
    coalescing::run(&mut report, folder.path())?;
    sql::run::<sql::Postgres>(&mut report)?;
    sql::run::<sql::MariaDb>(&mut report)?;
    elasticsearch::run(&mut report)?;
    report.print();
    Ok(())
}
