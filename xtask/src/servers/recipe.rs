//! What there is to know about one kind of server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::network::HeldPort;
use super::place::Place;
use crate::Result;

/// Where a server's program comes from, how it starts, and when it is ready.
pub(super) trait Recipe: Sync {
    /// The server's name, which names its folders.
    fn name(&self) -> &'static str;

    /// The version that this recipe starts.
    fn version(&self) -> &'static str;

    /// The variable that tells tests the server's URL, and that a user sets to use another.
    fn variable(&self) -> &'static str;

    /// Makes sure that the program is there; returns its folder.
    fn install(&self, place: &Place) -> Result<PathBuf>;

    /// How to run the server. It runs in `folder`, which is empty, and writes nowhere else.
    fn launch(&self, program: &Path, folder: &Path, place: &Place) -> Result<Launch>;

    /// Where the server in `folder` listens, once it says that it does.
    fn url(&self, folder: &Path) -> Option<String>;

    /// Whether the server answers.
    fn is_ready(&self, url: &str) -> bool;

    /// What else tests are told of the server in `folder`, by the variables' names.
    fn particulars(&self, _folder: &Path) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A server that is about to be started.
pub(super) struct Launch {
    /// Runs the server. Its process is the server, or ends with it.
    pub(super) command: Command,
    /// The ports that are held for a server that cannot ask the system for one.
    pub(super) ports: Vec<HeldPort>,
}

impl From<Command> for Launch {
    fn from(command: Command) -> Self {
        Self {
            command,
            ports: Vec::new(),
        }
    }
}
