//! Child processes, each the leader of its own process group.
//!
//! A group can be stopped with everything it started, and only it: processes are told apart by
//! their id together with the time they started, never by name.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid,
};

use crate::Result;

/// How long a group that was asked to end may take before it is interrupted, and how long one that
/// was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The groups that must not outlive this process.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops every registered group when this process is interrupted, terminated or hung up on.
pub(crate) fn stop_all_on_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        eprintln!("interrupted: stopping what was started");
        // The lock is kept, so that nothing new is started before the end.
        let groups = groups();
        stop_groups(&groups.iter().copied().collect::<Vec<_>>());
        std::process::exit(130);
    })
    .map_err(|e| format!("could not watch for Ctrl-C: {e}"))
}

/// A running child that is stopped, with all it started, when this is dropped.
pub(crate) struct Group {
    child: Child,
}

impl Group {
    /// Starts `command` without standard input, as the leader of a new group.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut groups = groups();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("could not run {}: {e}", command.get_program().display()))?;
        groups.insert(leader(&child));
        Ok(Self { child })
    }

    /// The id of the child and of its group.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .map_err(|e| format!("could not ask for a child process: {e}"))
    }

    /// Lets the group outlive this process.
    pub(crate) fn leave_running(self) {
        groups().remove(&leader(&self.child));
        std::mem::forget(self);
    }

    /// Waits for the child to end by itself; what it left behind in its group is stopped.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .map_err(|e| format!("could not wait for a child process: {e}"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = leader(&self.child);
        stop_groups(&[leader]);
        // The leader is dead or was killed: this only takes its exit status from the system.
        let _ = self.child.wait();
        groups().remove(&leader);
    }
}

fn leader(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}

/// Runs a command to its end, with its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    Group::spawn(command)?.wait()
}

/// Asks groups to end, waits, and kills what is left after the grace period.
pub(crate) fn stop_groups(leaders: &[i32]) {
    let mut left: Vec<Pid> = leaders.iter().filter_map(|id| Pid::from_raw(*id)).collect();
    // PostgreSQL waits for its clients to leave when asked to end, and ends them when interrupted.
    for (signal, patience) in [
        (Signal::TERM, PATIENCE),
        (Signal::INT, GRACE),
        (Signal::KILL, PATIENCE),
    ] {
        left.retain(|group| kill_process_group(*group, signal).is_ok());
        let deadline = Instant::now() + patience;
        while !left.is_empty() && Instant::now() < deadline {
            left.retain(|group| is_running(*group));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn is_running(group: Pid) -> bool {
    // A child that ended stays a member of its group until its exit status is taken. Members that
    // are no children of ours are taken care of by whoever is their parent.
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    test_kill_process_group(group).is_ok()
}
