//! The programs that the build made, and running the examples among them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::summary::Suite;
use super::{Variables, url_of};
use crate::Result;
use crate::child::Group;
use crate::workspace::Workspace;

/// The programs that a build made.
#[derive(Default)]
pub(crate) struct Programs {
    /// The examples, in the order of the build.
    pub(crate) examples: Vec<Example>,
    /// The titles of the test programs, by path.
    tests: BTreeMap<PathBuf, String>,
}

/// An example's program.
pub(crate) struct Example {
    name: String,
    program: PathBuf,
    package: PathBuf,
}

impl Programs {
    /// Takes one of cargo's JSON messages.
    pub(crate) fn read_message(&mut self, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else {
            return;
        };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        let package = manifest.parent().unwrap_or(manifest).to_owned();
        if message["profile"]["test"] == true {
            let id = message["package_id"].as_str().unwrap_or_default();
            let title = format!("{} {}", package_name(id), suite_name(kind, name));
            self.tests.insert(program, title);
        } else if kind == "example" {
            self.examples.push(Example {
                name: name.to_owned(),
                program,
                package,
            });
        }
    }

    /// The title of the test program at `path`, which may be relative to the workspace.
    pub(crate) fn title(&self, path: &str) -> Option<String> {
        self.tests
            .iter()
            .find(|(program, _)| program.ends_with(path))
            .map(|(_, title)| title.clone())
    }
}

fn suite_name(kind: &str, name: &str) -> String {
    match kind {
        "test" => format!("tests/{name}"),
        "example" => format!("tests of example {name}"),
        "bin" => format!("unit tests of {name}"),
        _ => "unit tests".to_owned(),
    }
}

/// The name in a package id: `path+file:///folder/name#0.1.0` or `path+file:///folder#name@0.1.0`.
fn package_name(id: &str) -> &str {
    let (location, fragment) = id.split_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name,
        None => location.rsplit('/').next().unwrap_or(location),
    }
}

/// Whether the filters leave the example in.
pub(crate) fn is_chosen(example: &Example, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|f| example.name.contains(f.as_str()))
}

/// How an example is run: what for, and with which arguments.
pub(crate) struct Run {
    title: String,
    arguments: Vec<String>,
}

/// The runs of an example: as it is, and the quickstart on each server as well, once from SQLite to
/// there and once on the server alone.
pub(crate) fn runs(example: &Example, variables: &Variables) -> Vec<Run> {
    let title = format!("example {}", example.name);
    let mut runs = vec![Run {
        title: title.clone(),
        arguments: Vec::new(),
    }];
    if example.name != "quickstart" {
        return runs;
    }
    for (engine, variable) in [
        ("elasticsearch", "STRONGROOM_TEST_ELASTICSEARCH_URL"),
        ("opensearch", "STRONGROOM_TEST_OPENSEARCH_URL"),
        ("postgres", "STRONGROOM_TEST_POSTGRES_URL"),
        ("mariadb", "STRONGROOM_TEST_MARIADB_URL"),
    ] {
        // Without a server the run has failed already, and says so.
        let Some(url) = url_of(variable, variables) else {
            continue;
        };
        let url = facade_url(engine, &url);
        for (what, urls) in [
            (
                format!("from SQLite to {engine}"),
                vec!["sqlite::memory:", &url],
            ),
            (format!("on {engine}"), vec![&url]),
        ] {
            let arguments = ["--drop"].into_iter().chain(urls);
            runs.push(Run {
                title: format!("{title} {what}"),
                arguments: arguments.map(str::to_owned).collect(),
            });
        }
    }
    runs
}

/// The URL by which the facade knows the server at a URL: it tells search engines apart, whose own
/// URLs are those of HTTP.
fn facade_url(engine: &str, url: &str) -> String {
    match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(place), _) => format!("{engine}://{place}"),
        (_, Some(place)) => format!("{engine}+https://{place}"),
        _ => url.to_owned(),
    }
}

/// Runs an example as a user would: from the workspace's folder, to its end.
pub(crate) fn run(
    workspace: &Workspace,
    example: &Example,
    run: Run,
    variables: &Variables,
) -> Result<Suite> {
    let mut suite = Suite::new(run.title);
    println!("…      {}", suite.title);
    let began = Instant::now();
    let (mut output, writer) =
        std::io::pipe().map_err(|e| format!("could not make a pipe: {e}"))?;
    let second = writer
        .try_clone()
        .map_err(|e| format!("could not share a pipe: {e}"))?;
    let mut command = Command::new(&example.program);
    command
        .args(run.arguments)
        .current_dir(&workspace.root)
        .env("CARGO_MANIFEST_DIR", &example.package)
        .envs(variables.iter().cloned())
        .stdout(writer)
        .stderr(second);
    let group = Group::spawn(&mut command)?;
    drop(command);
    let mut printed = Vec::new();
    output
        .read_to_end(&mut printed)
        .map_err(|e| format!("could not read the example's output: {e}"))?;
    let status = group.wait()?;
    suite.output = String::from_utf8_lossy(&printed).into_owned();
    suite.time = began.elapsed();
    if status.success() {
        suite.passed = 1;
    } else {
        suite.failed = 1;
        suite
            .output
            .push_str(&format!("\nthe example ended with {status}\n"));
    }
    Ok(suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: &str) -> Example {
        Example {
            name: name.to_owned(),
            program: "/bin/echo".into(),
            package: PathBuf::new(),
        }
    }

    #[test]
    fn a_program_gets_its_arguments() {
        let workspace = Workspace {
            root: ".".into(),
            target: PathBuf::new(),
            members: Vec::new(),
            graph: BTreeMap::new(),
        };
        let on_server = Run {
            title: "example echo on a server".to_owned(),
            arguments: vec!["--drop".to_owned(), "memory:".to_owned()],
        };
        let suite = run(&workspace, &example("echo"), on_server, &Vec::new()).unwrap();
        assert_eq!(suite.title, "example echo on a server");
        assert_eq!((suite.passed, suite.failed), (1, 0));
        assert_eq!(suite.output, "--drop memory:\n");
    }

    #[test]
    fn the_quickstart_is_run_on_each_server() {
        let url = |name: &str, url: &str| (name.to_owned(), url.to_owned());
        let variables = vec![
            url(
                "STRONGROOM_TEST_ELASTICSEARCH_URL",
                "http://127.0.0.1:42983",
            ),
            url("STRONGROOM_TEST_OPENSEARCH_URL", "https://me:x@db:9200"),
            url("STRONGROOM_TEST_POSTGRES_URL", "postgres://me@db/test"),
            url("STRONGROOM_TEST_MARIADB_URL", "mariadb://me@db/test"),
        ];
        let of = |name: &str| runs(&example(name), &variables);
        let arguments: Vec<String> = of("quickstart")
            .iter()
            .map(|run| run.arguments.join(" "))
            .collect();
        assert_eq!(
            arguments,
            [
                "",
                "--drop sqlite::memory: elasticsearch://127.0.0.1:42983",
                "--drop elasticsearch://127.0.0.1:42983",
                "--drop sqlite::memory: opensearch+https://me:x@db:9200",
                "--drop opensearch+https://me:x@db:9200",
                "--drop sqlite::memory: postgres://me@db/test",
                "--drop postgres://me@db/test",
                "--drop sqlite::memory: mariadb://me@db/test",
                "--drop mariadb://me@db/test",
            ]
        );
        assert_eq!(of("passwords").len(), 1);
    }

    #[test]
    fn reads_both_forms_of_package_ids() {
        assert_eq!(
            package_name("path+file:///w/core#strongroom-core@0.1.0"),
            "strongroom-core"
        );
        assert_eq!(package_name("path+file:///w/xtask#0.1.0"), "xtask");
    }
}
