//! What was started, written down so that a later run can stop it, and only it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Result, child};

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id, which is also the id of its group.
    pub(crate) id: u32,
    /// When it started, in the system's own words.
    started: String,
}

impl Process {
    /// The running process with this id.
    pub(super) fn find(id: u32) -> Option<Self> {
        start_time(id).map(|started| Self { id, started })
    }

    pub(super) fn is_running(&self) -> bool {
        start_time(self.id).as_ref() == Some(&self.started)
    }
}

/// Boot and start time on Linux; elsewhere what `ps` tells.
fn start_time(id: u32) -> Option<String> {
    if let Ok(boot) = fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The program's name, in brackets, may hold anything; state and start time come after it.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let is_dead = matches!(fields.next()?, "Z" | "X");
        let started = fields.nth(18)?;
        return (!is_dead).then(|| format!("{} {started}", boot.trim()));
    }
    let output = Command::new("ps")
        .args(["-o", "lstart=", "-p", &id.to_string()])
        .output()
        .ok()?;
    let started = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!started.is_empty()).then_some(started)
}

/// A server that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    #[serde(default)]
    pub(crate) version: String,
    /// When it was started.
    #[serde(default)]
    pub(crate) since: Timestamp,
    /// The variable that tells tests where it is.
    pub(crate) variable: String,
    /// Where it listens; empty until it does.
    pub(crate) url: String,
    /// What else tests are told of it, by the variables' names.
    #[serde(default)]
    pub(crate) particulars: Vec<(String, String)>,
    /// The process that leads its group.
    pub(crate) process: Process,
}

impl Server {
    /// All that tests are told of it.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![(self.variable.clone(), self.url.clone())];
        variables.extend(self.particulars.iter().cloned());
        variables
    }
}

/// The servers that one run of this program started.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// Where this is written down.
    #[serde(skip)]
    file: PathBuf,
    /// The process that will stop the servers; none if they were left running on purpose.
    owner: Option<Process>,
    /// The folder with all that the servers write.
    pub(super) folder: PathBuf,
    /// The servers.
    pub(super) servers: Vec<Server>,
}

/// The folder in which what was started is written down, in a workspace with this build folder.
pub(super) fn folder(target: &Path) -> PathBuf {
    target.join("servers-state")
}

/// The runs written down in a folder that were not stopped.
pub(super) fn runs(states: &Path) -> Vec<Run> {
    let entries = fs::read_dir(states).into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| Run::read(&entry.path()))
        .collect()
}

impl Run {
    /// A run of this process, without servers yet.
    pub(super) fn new(states: &Path, name: &str, folder: PathBuf) -> Self {
        Self {
            file: states.join(format!("{name}.json")),
            owner: Process::find(std::process::id()),
            folder,
            servers: Vec::new(),
        }
    }

    /// Reads what was written down, unless it is gone or damaged.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let text = fs::read(file).ok()?;
        let mut run: Self = serde_json::from_slice(&text).ok()?;
        run.file = file.to_owned();
        Some(run)
    }

    /// Where the run is written down.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the run down, in one step.
    pub(super) fn write(&self) -> Result<()> {
        let write = || -> std::io::Result<()> {
            if let Some(folder) = self.file.parent() {
                fs::create_dir_all(folder)?;
            }
            let partial = self.file.with_extension("partial");
            fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
            fs::rename(&partial, &self.file)
        };
        write().map_err(|e| format!("could not write {}: {e}", self.file.display()))
    }

    /// Leaves the servers running after the end of this process.
    pub(super) fn disown(&mut self) -> Result<()> {
        self.owner = None;
        self.write()
    }

    /// Whether the servers were left running on purpose.
    pub(super) fn is_left_running(&self) -> bool {
        self.owner.is_none()
    }

    /// Whether the process that should have stopped the servers is gone.
    pub(super) fn is_orphaned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| !owner.is_running())
    }

    /// The process that will stop the servers, if they were not left running on purpose.
    pub(super) fn owner(&self) -> Option<&Process> {
        self.owner.as_ref()
    }

    /// The servers that still run.
    pub(super) fn running(&self) -> impl Iterator<Item = &Server> {
        self.servers
            .iter()
            .filter(|server| server.process.is_running())
    }

    /// Stops the servers that still run, and removes their data and the record.
    pub(super) fn stop(&self) -> Result<()> {
        let leaders: Vec<i32> = self
            .running()
            .filter_map(|server| i32::try_from(server.process.id).ok())
            .collect();
        child::stop_groups(&leaders);
        if let Some(left) = self.running().next() {
            return Err(format!(
                "could not stop {} (process {})",
                left.name, left.process.id
            ));
        }
        for path in [&self.folder, &self.file] {
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            if let Err(e) = removed
                && e.kind() != std::io::ErrorKind::NotFound
            {
                return Err(format!("could not remove {}: {e}", path.display()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let me = Process::find(std::process::id()).unwrap();
        assert!(me.is_running());
        let earlier = Process {
            started: "long ago".to_owned(),
            ..me
        };
        assert!(!earlier.is_running());
        let mut child = Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        assert_eq!(Process::find(id), None);
    }

    #[test]
    fn a_later_run_stops_what_was_left_and_only_that() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("run");
        fs::create_dir(&folder).unwrap();
        let mut sleepers = [(), ()].map(|()| {
            Command::new("sleep")
                .arg("1000")
                .process_group(0)
                .spawn()
                .unwrap()
        });
        let [left, other] = [0, 1].map(|i| Process::find(sleepers[i].id()).unwrap());
        let gone = Process {
            started: "long ago".to_owned(),
            ..Process::find(std::process::id()).unwrap()
        };
        let server = |process| Server {
            name: "a".to_owned(),
            version: String::new(),
            since: Timestamp::UNIX_EPOCH,
            variable: "A".to_owned(),
            url: String::new(),
            particulars: Vec::new(),
            process,
        };
        let mut run = Run::new(&base.path().join("states"), "name", folder);
        // The id of a server that ended was given to another process since.
        let ended = Process {
            started: "long ago".to_owned(),
            ..other.clone()
        };
        run.servers = vec![server(left.clone()), server(ended)];
        run.write().unwrap();
        assert!(!run.is_orphaned() && !run.is_left_running());
        run.owner = Some(gone);
        run.write().unwrap();

        let [found] = &runs(&base.path().join("states"))[..] else {
            panic!("one run was written down");
        };
        assert!(found.is_orphaned());
        found.stop().unwrap();
        assert!(!left.is_running());
        assert!(other.is_running());
        assert!(runs(&base.path().join("states")).is_empty());
        assert!(!found.folder.exists());
        for sleeper in &mut sleepers {
            // The first one is dead already, and its status was taken.
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }

    #[test]
    fn reads_what_was_written_before_versions_were() {
        let file = r#"{"owner":null,"folder":"/f","servers":[{"name":"a","variable":"A",
            "url":"","process":{"id":1,"started":"x"}}]}"#;
        let run: Run = serde_json::from_str(file).unwrap();
        assert_eq!(run.servers.len(), 1);
    }
}
