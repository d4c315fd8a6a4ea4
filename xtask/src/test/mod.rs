//! `cargo xtask test`: builds, runs every test and example, and sums up.
//!
//! The build comes first, so that compiler errors are told apart from failing tests and so that
//! the examples' programs are known. Then one `cargo test` runs all suites and doctests while
//! [`cargo_output`] reads along, and each example runs for real. The last line always reads
//! `N passed, N failed`.

mod cargo_output;
mod examples;
mod summary;

use std::io::{BufRead, BufReader};
use std::thread;

use cargo_output::Reader;
use summary::Summary;

use crate::Result;
use crate::child::Group;
use crate::servers::{Fleet, Scale};
use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs the races, crash and property tests at full scale, and the search engines' tests on
    /// their former versions, too.
    #[arg(long)]
    full: bool,
    /// Runs only tests and examples whose names hold one of these.
    filters: Vec<String>,
}

/// Asks tests for full scale.
const FULL_SCALE: &str = "STRONGROOM_FULL";

/// What the tests are told through their environment.
type Variables = Vec<(String, String)>;

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut summary = Summary::default();
    if let Err(message) = run_all(options, &mut summary) {
        summary.add_problem("preparation", &message);
    }
    summary.print();
    Ok(summary.is_ok())
}

fn run_all(options: &Options, summary: &mut Summary) -> Result<()> {
    let workspace = Workspace::members()?;
    // Servers are fetched and start up while the compiler runs.
    let scale = Scale::from_flag(options.full);
    let (fleet, programs) = thread::scope(|scope| {
        let fleet = scope.spawn(|| Fleet::for_tests(&workspace.target, scale));
        let programs = build();
        let fleet = fleet
            .join()
            .unwrap_or_else(|_| Err("starting the servers panicked".to_owned()));
        (fleet, programs)
    });
    let programs = programs?;
    let mut variables = Variables::new();
    if options.full {
        variables.push((FULL_SCALE.to_owned(), "1".to_owned()));
    }
    // What else there is to test is tested without them.
    let fleet = fleet.and_then(|mut fleet| {
        fleet.wait_until_ready()?;
        variables.extend(fleet.variables());
        Ok(fleet)
    });
    if let Err(message) = &fleet {
        summary.add_problem("servers", message);
    }
    let mut rounds = vec![Round::whole(variables.clone())];
    if options.full && fleet.is_ok() {
        rounds.push(Round::on_older_servers(&variables)?);
    }
    for round in &rounds {
        suites(&workspace, &programs, options, round, summary)?;
    }
    for example in &programs.examples {
        if examples::is_chosen(example, &options.filters) {
            for run in examples::runs(example, &variables) {
                summary.add(examples::run(&workspace, example, run, &variables)?);
            }
        }
    }
    fleet.map_or(Ok(()), Fleet::stop)
}

/// Builds everything that will run, with the compiler's messages going to standard error.
fn build() -> Result<examples::Programs> {
    let (output, writer) = std::io::pipe().map_err(|e| format!("could not make a pipe: {e}"))?;
    let mut command = workspace::cargo();
    command.args([
        "test",
        "--workspace",
        "--all-features",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    let group = Group::spawn(command.stdout(writer))?;
    drop(command);
    let mut programs = examples::Programs::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|e| format!("could not read the build's messages: {e}"))?;
        programs.read_message(&line);
    }
    if group.wait()?.success() {
        Ok(programs)
    } else {
        Err("the tests do not build".to_owned())
    }
}

/// One run of test programs.
struct Round {
    /// What the titles of its suites end with.
    title: &'static str,
    /// The test programs; all of them, and the doctests, if there are none.
    programs: &'static [&'static str],
    variables: Variables,
}

impl Round {
    /// Unit tests, integration tests and doctests.
    fn whole(variables: Variables) -> Self {
        Self {
            title: "",
            programs: &[],
            variables,
        }
    }

    /// What is tested on search engines once more, on their former versions: at the usual scale,
    /// because races and random questions ask little of a version that another has not answered.
    fn on_older_servers(variables: &Variables) -> Result<Self> {
        let mut round = Self {
            title: " on older servers",
            programs: &[
                "elasticsearch",
                "opensearch",
                "engine",
                "extension",
                "hostile_ids",
            ],
            variables: variables.clone(),
        };
        round.variables.retain(|(name, _)| name != FULL_SCALE);
        for (variable, older) in [
            (
                "STRONGROOM_TEST_ELASTICSEARCH_URL",
                "STRONGROOM_TEST_ELASTICSEARCH_8_URL",
            ),
            (
                "STRONGROOM_TEST_OPENSEARCH_URL",
                "STRONGROOM_TEST_OPENSEARCH_2_URL",
            ),
        ] {
            let url = url_of(older, variables).ok_or_else(|| format!("{older} is not set"))?;
            round.variables.retain(|(name, _)| name != variable);
            round.variables.push((variable.to_owned(), url));
        }
        Ok(round)
    }
}

/// The URL of a server, as the run started it or as the user named it.
fn url_of(variable: &str, variables: &Variables) -> Option<String> {
    let started = variables.iter().find(|(name, _)| name == variable);
    let url = started.map(|(_, url)| url.clone());
    url.or_else(|| std::env::var(variable).ok())
}

/// Runs the test programs of a round.
fn suites(
    workspace: &Workspace,
    programs: &examples::Programs,
    options: &Options,
    round: &Round,
    summary: &mut Summary,
) -> Result<()> {
    let mut command = workspace::cargo();
    command
        .args(["test", "--workspace", "--all-features", "--no-fail-fast"])
        .args(round.programs.iter().flat_map(|name| ["--test", *name]))
        .arg("--")
        .args(&options.filters)
        .current_dir(&workspace.root)
        .envs(round.variables.iter().cloned());
    // Suites announce themselves on one stream and report on the other: one pipe keeps the order.
    let (output, writer) = std::io::pipe().map_err(|e| format!("could not make a pipe: {e}"))?;
    let second = writer
        .try_clone()
        .map_err(|e| format!("could not share a pipe: {e}"))?;
    let group = Group::spawn(command.stdout(writer).stderr(second))?;
    drop(command);
    let mut reader = Reader::new(|path| {
        let title = programs.title(path)?;
        Some(format!("{title}{}", round.title))
    });
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|e| format!("could not read the tests' output: {e}"))?;
        if let Some(suite) = reader.line(&String::from_utf8_lossy(&line)) {
            summary.add(suite);
        }
    }
    let status = group.wait()?;
    let (last, rest) = reader.end();
    summary.extend(last);
    if !status.success() && summary.is_ok() {
        eprintln!("{rest}");
        return Err(format!(
            "cargo test ended with {status} although no suite failed"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_servers_take_the_places_of_newer_ones() {
        let variable =
            |name: &str, url: &str| (format!("STRONGROOM_TEST_{name}_URL"), url.to_owned());
        let variables = vec![
            variable("ELASTICSEARCH", "http://new"),
            variable("ELASTICSEARCH_8", "http://old"),
            variable("OPENSEARCH", "http://new-too"),
            variable("OPENSEARCH_2", "http://old-too"),
            (FULL_SCALE.to_owned(), "1".to_owned()),
        ];
        let round = Round::on_older_servers(&variables).unwrap();
        let url = |name: &str| url_of(&format!("STRONGROOM_TEST_{name}_URL"), &round.variables);
        assert_eq!(url("ELASTICSEARCH").unwrap(), "http://old");
        assert_eq!(url("OPENSEARCH").unwrap(), "http://old-too");
        assert_eq!(round.variables.len(), 4);
    }
}
