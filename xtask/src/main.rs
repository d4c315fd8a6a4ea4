//! Developer commands: `cargo xtask test`, `check`, `bench`, `servers`.
//!
//! Nothing here is part of the product. Every child process runs in a process group of its own
//! and is registered with [`child`], so that neither a failure nor Ctrl-C leaves one behind.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "only JSON values are indexed, which yields null for what is not there"
)]

mod bench;
mod check;
mod child;
mod servers;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What went wrong, as a line for the person who ran the command.
type Result<T, E = String> = std::result::Result<T, E>;

/// Developer commands of Strongroom.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test, doctest and example, and ends with a summary.
    Test(test::Options),
    /// Checks format, lints, docs, features, rust-version, dependencies.
    Check(check::Options),
    /// Runs the benchmarks.
    Bench(bench::Options),
    /// Starts and stops the servers that the tests need.
    Servers(servers::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = child::stop_all_on_signals().and_then(|()| match cli.command {
        Command::Test(options) => test::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Servers(options) => servers::run(&options),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
