//! What `cargo metadata` tells about the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Result;

/// The workspace and, where asked for, everything it depends on.
pub(crate) struct Workspace {
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// Where builds go.
    pub(crate) target: PathBuf,
    /// The members.
    pub(crate) members: Vec<Package>,
    /// What depends on what, by package id; empty unless asked for.
    pub(crate) graph: BTreeMap<String, Node>,
}

/// One member of the workspace.
pub(crate) struct Package {
    /// Its id in the graph.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    /// Whether it may be published.
    pub(crate) published: bool,
    /// The names of its features.
    pub(crate) features: Vec<String>,
    /// The names under which its sources use its normal, development and build dependencies.
    pub(crate) dependencies: Vec<String>,
}

/// One package of the graph.
pub(crate) struct Node {
    /// Name and version.
    pub(crate) title: String,
    /// The oldest compiler it declares to work with.
    pub(crate) rust_version: Option<String>,
    /// The ids of its normal dependencies.
    pub(crate) normal: Vec<String>,
}

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

impl Workspace {
    /// Reads the members only.
    pub(crate) fn members() -> Result<Self> {
        Self::read(&["--no-deps"])
    }

    /// Reads the members and all they depend on, with every feature.
    pub(crate) fn whole() -> Result<Self> {
        Self::read(&["--all-features"])
    }

    fn read(options: &[&str]) -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--format-version", "1"])
            .args(options)
            .output()
            .map_err(|e| format!("could not run cargo: {e}"))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo metadata failed: {}", message.trim()));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|e| format!("cargo metadata did not print JSON: {e}"))?;
        Ok(Self::from_metadata(&metadata))
    }

    fn from_metadata(metadata: &Value) -> Self {
        let member_ids: Vec<&str> = texts(&metadata["workspace_members"]).collect();
        let packages = items(&metadata["packages"]);
        let members = packages
            .clone()
            .filter(|p| member_ids.contains(&text(&p["id"])))
            .map(Package::from_metadata)
            .collect();
        let mut graph: BTreeMap<String, Node> = packages
            .map(|p| {
                let node = Node {
                    title: format!("{} {}", text(&p["name"]), text(&p["version"])),
                    rust_version: p["rust_version"].as_str().map(str::to_owned),
                    normal: Vec::new(),
                };
                (text(&p["id"]).to_owned(), node)
            })
            .collect();
        for resolved in items(&metadata["resolve"]["nodes"]) {
            if let Some(node) = graph.get_mut(text(&resolved["id"])) {
                node.normal = items(&resolved["deps"])
                    .filter(|d| items(&d["dep_kinds"]).any(|k| k["kind"].is_null()))
                    .map(|d| text(&d["pkg"]).to_owned())
                    .collect();
            }
        }
        Self {
            root: PathBuf::from(text(&metadata["workspace_root"])),
            target: PathBuf::from(text(&metadata["target_directory"])),
            members,
            graph,
        }
    }

    /// The members that may be published.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter(|p| p.published)
    }
}

impl Package {
    fn from_metadata(package: &Value) -> Self {
        let manifest = Path::new(text(&package["manifest_path"]));
        Self {
            id: text(&package["id"]).to_owned(),
            name: text(&package["name"]).to_owned(),
            folder: manifest.parent().unwrap_or(manifest).to_owned(),
            published: !package["publish"].as_array().is_some_and(Vec::is_empty),
            features: package["features"]
                .as_object()
                .map(|features| features.keys().cloned().collect())
                .unwrap_or_default(),
            dependencies: items(&package["dependencies"])
                .map(|d| {
                    text(if d["rename"].is_null() {
                        &d["name"]
                    } else {
                        &d["rename"]
                    })
                })
                .map(str::to_owned)
                .collect(),
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
