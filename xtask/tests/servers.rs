//! `cargo xtask servers`, as a person runs it: what it starts, it stops.
//!
//! PostgreSQL stands for all servers, because it starts fastest. Its program is only to be had for
//! Linux on x86-64.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process, test_kill_process_group};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
const VARIABLE: &str = "STRONGROOM_TEST_POSTGRES_URL";
/// What a client says to log in.
const GREETING: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// The command, with its own record of what runs.
struct Servers {
    states: TempDir,
}

/// A line of the table of `status`.
struct Row {
    port: String,
    process: Pid,
    is_ready: bool,
    is_left_running: bool,
}

impl Servers {
    fn new() -> Self {
        Self {
            states: TempDir::new().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["servers", "--states"])
            .arg(self.states.path())
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .env_remove(VARIABLE);
        command
    }

    /// What a command that works out prints.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> Option<Row> {
        let table = self.run(&["status"]);
        let line = table.lines().find(|line| line.starts_with("postgres "))?;
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells[1], "18.1", "{table}");
        Some(Row {
            port: cells[2].to_owned(),
            process: Pid::from_raw(cells[3].parse().unwrap()).unwrap(),
            is_ready: cells[5] == "yes",
            is_left_running: line.ends_with("servers down"),
        })
    }

    /// The server that `up` is just starting.
    fn starting(&self, up: &mut Child) -> Option<Row> {
        wait_for(|| match self.status() {
            None if up.try_wait().unwrap().is_none() => None,
            row => Some(row),
        })
    }

    fn expect_nothing_left(&self, row: &Row) {
        assert!(test_kill_process(row.process).is_err());
        assert!(test_kill_process_group(row.process).is_err());
        assert!(self.status().is_none());
        assert_eq!(self.run(&["env"]), "");
        assert_eq!(fs::read_dir(self.states.path()).unwrap().count(), 0);
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Also a test that fails leaves nothing behind. If this fails, there is nobody to tell.
        let _ = self.command(&["down"]).status();
    }
}

fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "it took too long");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn up_status_env_down() {
    let servers = Servers::new();
    let printed = servers.run(&["up", "postgres"]);
    let row = servers.status().unwrap();
    assert!(row.is_ready && row.is_left_running);
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", row.port);
    assert_eq!(printed, format!("export {VARIABLE}={url}\n"));
    assert_eq!(servers.run(&["env"]), printed);
    // What runs already is not started again.
    assert_eq!(servers.run(&["up", "postgres"]), printed);
    // A client that stays connected does not keep the server.
    let mut client = TcpStream::connect(format!("127.0.0.1:{}", row.port)).unwrap();
    client.write_all(GREETING).unwrap();
    client.read_exact(&mut [0]).unwrap();
    servers.run(&["down"]);
    servers.expect_nothing_left(&row);
}

#[test]
fn a_server_of_the_users_is_left_alone() {
    let servers = Servers::new();
    let up = |arguments| {
        let mut command = servers.command(arguments);
        let output = command.env(VARIABLE, "postgres://me:secret@db").output();
        output.unwrap()
    };
    let output = up(&["up", "postgres"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"");
    let table = String::from_utf8(up(&["status"]).stdout).unwrap();
    assert!(table.contains(VARIABLE), "{table}");
    assert!(!table.contains("secret"), "{table}");
    assert!(servers.status().is_none());
}

#[test]
fn a_run_that_is_interrupted_or_killed_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let servers = Servers::new();
        // A server that is ready before the signal comes is left running rightly: try again.
        let row = wait_for(|| {
            let mut up = servers
                .command(&["up", "postgres"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let row = servers.starting(&mut up);
            let process = Pid::from_raw(i32::try_from(up.id()).unwrap()).unwrap();
            // It stays there, if only as one that ended, until its status is taken below.
            kill_process(process, signal).unwrap();
            let ended = up.wait().unwrap();
            assert!(
                row.is_some() || ended.success(),
                "no server started: `cargo xtask servers up postgres` tells why"
            );
            if ended.success() || servers.status().is_some_and(|row| row.is_left_running) {
                servers.run(&["down"]);
                return None;
            }
            row
        });
        // Nobody is left to stop the server of a run that was killed but its watcher.
        wait_for(|| servers.status().is_none().then_some(()));
        wait_for(|| (fs::read_dir(servers.states.path()).unwrap().count() == 0).then_some(()));
        servers.expect_nothing_left(&row);
    }
}
