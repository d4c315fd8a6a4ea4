//! A server of a test's own, from the programs of the one that the tests are given: to be stopped
//! and started, and to have settings of its own.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support;

/// How long a server may take to be ready on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How servers of an engine are made and started.
pub struct Recipe {
    /// The data of the server that the tests are given. Servers run as the user that it belongs to:
    /// the administrator may not.
    pub given: PathBuf,
    /// Where the programs find their libraries, if they have to be told.
    pub libraries: Option<PathBuf>,
    /// The program that makes the data of a server, and its arguments.
    pub make: (PathBuf, Vec<String>),
    /// The program that is the server, and its arguments, without port and settings.
    pub serve: (PathBuf, Vec<String>),
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At once, as by a crash.
    Crash,
    /// In order, with a word to the clients.
    Orderly,
}

/// A server, which ends with the value.
pub struct OwnServer {
    folder: TempDir,
    recipe: Recipe,
    user: (u32, u32),
    port: u16,
    settings: Vec<String>,
    running: Option<Child>,
}

impl OwnServer {
    /// Makes a server without TLS that was never started.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recipe = support::recipe(&folder.path().join("data")).await;
        let owner = std::fs::metadata(&recipe.given).unwrap_or_else(|error| {
            panic!("the server that the tests are given does not run on this machine: {error}")
        });
        let mut server = Self {
            folder,
            recipe,
            user: (owner.uid(), owner.gid()),
            port: free_port(),
            settings: Vec::new(),
            running: None,
        };
        server.give_away(server.folder.path());
        let made = server.program(&server.recipe.make).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        // One that may use it makes itself a key at every start, which takes it long.
        server.set(&support::without_tls());
        server
    }

    /// The folder of the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Sets these for the next start, as `name=value`, and nothing else.
    pub fn set(&mut self, settings: &[String]) {
        self.settings = settings.iter().map(|s| format!("--{s}")).collect();
    }

    /// Makes a file belong to the server, and to nobody else.
    pub fn give_away(&self, path: &Path) {
        if std::fs::metadata(path).unwrap().uid() != self.user.0 {
            chown(path, Some(self.user.0), Some(self.user.1)).unwrap();
        }
    }

    /// The server's URL by this host name.
    pub fn url(&self, host: &str) -> String {
        support::own_url(host, self.port)
    }

    fn program(&self, (program, arguments): &(PathBuf, Vec<String>)) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        if let Some(libraries) = &self.recipe.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if std::fs::metadata("/proc/self").unwrap().uid() != self.user.0 {
            command.uid(self.user.0).gid(self.user.1);
        }
        command
    }

    /// Starts the server and waits until it answers.
    pub async fn start(&mut self) {
        let url = self.url("127.0.0.1");
        self.start_by(&url).await;
    }

    /// Starts the server and waits until it answers at this URL.
    pub async fn start_by(&mut self, url: &str) {
        let mut command = self.program(&self.recipe.serve);
        command
            .arg(format!("--port={}", self.port))
            .args(&self.settings);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = support::reach(url).await {
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the server does not answer: {error}, {ended:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the server.
    pub async fn stop(&mut self, how: Stop) {
        if let Some(mut server) = self.end(how) {
            let waited = tokio::task::spawn_blocking(move || server.wait());
            waited.await.unwrap().unwrap();
        }
    }

    fn end(&mut self, how: Stop) -> Option<Child> {
        let server = self.running.take()?;
        let signal = match how {
            Stop::Crash => support::CRASH,
            Stop::Orderly => support::SHUTDOWN,
        };
        let process = server.id().to_string();
        let ended = Command::new("kill").args([signal, &process]).status();
        assert!(ended.unwrap().success());
        Some(server)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(mut server) = self.end(Stop::Crash) {
            server.wait().unwrap();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
