//! The published crates build with the compiler that they declare.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::Outcome;
use crate::workspace::Workspace;
use crate::{Result, child};

/// No normal dependency of a published crate declares a newer compiler than the crate itself.
pub(super) fn check_declared(workspace: &Workspace) -> Result<Outcome> {
    let mut newer = BTreeSet::new();
    for package in workspace.published() {
        let node = workspace.graph.get(&package.id);
        let declared = node.and_then(|n| n.rust_version.as_deref());
        let declared = declared.ok_or_else(|| format!("{} has no rust-version", package.name))?;
        for dependency in normal_dependencies(workspace, &package.id) {
            if let Some(wanted) = &dependency.rust_version
                && parse(wanted) > parse(declared)
            {
                newer.insert(format!(
                    "{} wants {wanted}, {} declares {declared}",
                    dependency.title, package.name
                ));
            }
        }
    }
    for line in &newer {
        eprintln!("{line}");
    }
    Ok(newer.is_empty().into())
}

fn normal_dependencies<'a>(
    workspace: &'a Workspace,
    root: &str,
) -> Vec<&'a crate::workspace::Node> {
    let mut seen = BTreeSet::new();
    let mut open = vec![root];
    let mut found = Vec::new();
    while let Some(id) = open.pop() {
        if let Some((id, node)) = workspace.graph.get_key_value(id)
            && seen.insert(id.as_str())
        {
            found.push(node);
            open.extend(node.normal.iter().map(String::as_str));
        }
    }
    found
}

fn parse(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = version.split('.').map_while(|n| n.parse().ok()).collect();
    numbers.resize(3, 0);
    numbers
}

/// Builds with the declared compiler, if rustup has it.
pub(super) fn check_build(workspace: &Workspace) -> Result<Outcome> {
    let declared = workspace
        .published()
        .filter_map(|p| workspace.graph.get(&p.id)?.rust_version.as_deref())
        .max_by_key(|v| parse(v))
        .ok_or("no published crate has a rust-version")?;
    let installed = Command::new("rustup")
        .args(["run", declared, "cargo", "--version"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        return Ok(Outcome::NotRun(format!(
            "install it by `rustup toolchain install {declared} --profile minimal`"
        )));
    }
    let mut command = Command::new("rustup");
    command.args(["run", declared, "cargo", "check", "--all-features"]);
    for package in workspace.published() {
        command.args(["--package", &package.name]);
    }
    // A folder of its own, so that the two compilers do not undo each other's work. The variables
    // are those by which the running cargo would hand its own compiler on.
    command
        .arg("--target-dir")
        .arg(workspace.target.join("rust-version"))
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTDOC")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(child::run(&mut command)?.success().into())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse("1.9") < parse("1.89"));
        assert!(parse("1.89") < parse("1.89.1"));
        assert_eq!(parse("1.89"), parse("1.89.0"));
    }
}
