//! `cargo xtask bench`.

use crate::servers::Fleet;
use crate::{Result, child, workspace};

/// The benchmarks: a workspace of their own, with the driver versions that the compared arms pin.
const MANIFEST: &str = "benches/Cargo.toml";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for the benchmark program. With the name of a server, or of a scenario that has
    /// it in it, that server is started: `elasticsearch`, `postgres`,
    /// `mariadb`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = workspace::Workspace::members()?;
    let mut cargo = workspace::cargo();
    let build = |command: &mut std::process::Command, what: &str| {
        command
            .args([what, "--release", "--manifest-path"])
            .arg(workspace.root.join(MANIFEST))
            .arg("--target-dir")
            .arg(workspace.root.join("target/bench"));
    };
    // A server that idles while the compiler runs would only be in its way.
    build(&mut cargo, "build");
    if !child::run(&mut cargo)?.success() {
        return Ok(false);
    }
    cargo = workspace::cargo();
    let mut fleet = Fleet::for_benchmarks(&workspace.target, &options.arguments)?;
    if let Some(fleet) = &mut fleet {
        fleet.wait_until_ready()?;
        cargo.envs(fleet.variables());
    }
    build(&mut cargo, "run");
    cargo.arg("--").args(&options.arguments);
    let measured = child::run(&mut cargo)?.success();
    fleet.map_or(Ok(()), Fleet::stop)?;
    Ok(measured)
}
