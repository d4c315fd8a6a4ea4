//! The programs that the build made, and running the examples among them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::Variables;
use super::summary::Suite;
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

/// Runs an example as a user would: from the workspace's folder, to its end.
pub(crate) fn run(
    workspace: &Workspace,
    example: &Example,
    variables: &Variables,
) -> Result<Suite> {
    let mut suite = Suite::new(format!("example {}", example.name));
    println!("…      {}", suite.title);
    let began = Instant::now();
    let (mut output, writer) =
        std::io::pipe().map_err(|e| format!("could not make a pipe: {e}"))?;
    let second = writer
        .try_clone()
        .map_err(|e| format!("could not share a pipe: {e}"))?;
    let mut command = Command::new(&example.program);
    command
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

    #[test]
    fn reads_both_forms_of_package_ids() {
        assert_eq!(
            package_name("path+file:///w/core#strongroom-core@0.1.0"),
            "strongroom-core"
        );
        assert_eq!(package_name("path+file:///w/xtask#0.1.0"), "xtask");
    }
}
