//! Each feature of each published crate builds alone, and each crate builds without any.

use super::Outcome;
use crate::workspace::{Workspace, cargo};
use crate::{Result, child};

pub(super) fn check(workspace: &Workspace) -> Result<Outcome> {
    let mut failed = Vec::new();
    for package in workspace.published() {
        let alone = package.features.iter().filter(|f| *f != "default");
        for feature in alone.map(Some).chain([None]) {
            let mut command = cargo();
            // Clippy denies warnings without building the dependencies anew, which flags of the
            // compiler would.
            command.args(["clippy", "--quiet", "--no-deps", "--no-default-features"]);
            command.args(["--package", &package.name]);
            let what = match feature {
                Some(feature) => {
                    command.args(["--features", feature]);
                    format!("{} with {feature} alone", package.name)
                }
                None => format!("{} without features", package.name),
            };
            command.args(["--", "-D", "warnings"]);
            println!("   {what}");
            if !child::run(&mut command)?.success() {
                failed.push(what);
            }
        }
    }
    if failed.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(format!("does not build: {}", failed.join("; ")))
}
