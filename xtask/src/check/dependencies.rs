//! Every declared dependency is named by some source file of its package.

use std::fs;
use std::path::Path;

use super::Outcome;
use crate::Result;
use crate::workspace::Workspace;

/// Features of a dependency may be wanted without its name; such lines are listed here.
const WANTED_FOR_THEIR_FEATURES: &[&str] = &[];

pub(super) fn check_used(workspace: &Workspace) -> Result<Outcome> {
    let mut unused = Vec::new();
    for package in &workspace.members {
        let mut sources = String::new();
        collect(&package.folder, workspace, &mut sources)
            .map_err(|e| format!("could not read the sources of {}: {e}", package.name))?;
        for dependency in &package.dependencies {
            let name = dependency.replace('-', "_");
            let named = mentions(&sources, &name);
            if !named && !WANTED_FOR_THEIR_FEATURES.contains(&dependency.as_str()) {
                unused.push(format!("{} does not use {dependency}", package.name));
            }
        }
    }
    for line in &unused {
        eprintln!("{line}");
    }
    Ok(unused.is_empty().into())
}

/// Gathers the Rust files under `folder`, leaving out other members and build output.
fn collect(folder: &Path, workspace: &Workspace, sources: &mut String) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let foreign = workspace.members.iter().any(|p| p.folder == path)
                || path == workspace.target
                || path
                    .file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if !foreign {
                collect(&path, workspace, sources)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            sources.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Whether `name` stands in the text as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn words_stand_alone() {
        assert!(mentions("use bytes::Bytes;", "bytes"));
        assert!(!mentions("let megabytes = as_bytes();", "bytes"));
        assert!(mentions("serde", "serde"));
    }
}
