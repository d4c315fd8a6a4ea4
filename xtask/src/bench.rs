//! `cargo xtask bench`.

use crate::{Result, child, workspace};

/// The crate that holds the benchmarks.
const PACKAGE: &str = "strongroom-bench";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for the benchmark program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let members = workspace::Workspace::members()?.members;
    if !members.iter().any(|p| p.name == PACKAGE) {
        return Err(format!("the workspace has no package {PACKAGE}"));
    }
    let mut command = workspace::cargo();
    command
        .args(["run", "--release", "--package", PACKAGE, "--"])
        .args(&options.arguments);
    Ok(child::run(&mut command)?.success())
}
