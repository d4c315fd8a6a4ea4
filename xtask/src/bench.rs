//! `cargo xtask bench`.

use crate::{Result, child, workspace};

/// The benchmarks: a workspace of their own, with the driver versions that the compared arms pin.
const MANIFEST: &str = "benches/Cargo.toml";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for the benchmark program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = workspace::Workspace::members()?.root;
    let mut command = workspace::cargo();
    command
        .args(["run", "--release", "--manifest-path"])
        .arg(root.join(MANIFEST))
        .arg("--target-dir")
        .arg(root.join("target/bench"))
        .arg("--")
        .args(&options.arguments);
    Ok(child::run(&mut command)?.success())
}
