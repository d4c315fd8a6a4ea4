//! `cargo xtask check`: everything that is checked without running a test.
//!
//! Every step runs, whatever the ones before it said, and a list at the end tells how each went.

mod dependencies;
mod features;
mod rust_version;

use std::process::{Command, Stdio};

use crate::workspace::{Workspace, cargo};
use crate::{Result, child};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fails, instead of telling, if a tool that a step needs is not installed.
    #[arg(long)]
    strict: bool,
}

/// How a step went.
enum Outcome {
    Passed,
    Failed,
    /// It was not run, for this reason.
    NotRun(String),
}

impl From<bool> for Outcome {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::whole()?;
    type Step = fn(&Workspace) -> Result<Outcome>;
    let steps: [(&str, Step); 8] = [
        ("format", format),
        ("lints", lints),
        ("docs", docs),
        ("each feature alone", features::check),
        ("rust-version of dependencies", rust_version::check_declared),
        ("build with the rust-version", rust_version::check_build),
        ("unused dependencies", dependencies::check_used),
        ("licences, advisories, bans, sources", deny),
    ];
    let mut report = String::new();
    let mut ok = true;
    for (name, step) in steps {
        println!("== {name}");
        let line = match step(&workspace) {
            Ok(Outcome::Passed) => format!("ok       {name}"),
            Ok(Outcome::NotRun(why)) => {
                ok &= !options.strict;
                format!("not run  {name}: {why}")
            }
            Ok(Outcome::Failed) => {
                ok = false;
                format!("FAILED   {name}")
            }
            Err(message) => {
                ok = false;
                format!("FAILED   {name}: {message}")
            }
        };
        println!("{line}");
        report.push_str(&line);
        report.push('\n');
    }
    print!("\n{report}");
    Ok(ok)
}

fn passes(command: &mut Command) -> Result<Outcome> {
    Ok(child::run(command)?.success().into())
}

fn format(_: &Workspace) -> Result<Outcome> {
    passes(cargo().args(["fmt", "--all", "--check"]))
}

fn lints(_: &Workspace) -> Result<Outcome> {
    passes(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs(_: &Workspace) -> Result<Outcome> {
    passes(
        cargo()
            .args(["doc", "--workspace", "--all-features", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn deny(_: &Workspace) -> Result<Outcome> {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        return Ok(Outcome::NotRun(
            "install it by `cargo install --locked cargo-deny`".to_owned(),
        ));
    }
    passes(cargo().args(["deny", "--all-features", "check"]))
}
