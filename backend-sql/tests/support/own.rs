//! A server of a test's own, from the programs of the one that the tests are given: to be stopped
//! and started, and to have settings of its own.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnectOptions, Postgres};
use tempfile::TempDir;

/// How long a server may take to be ready on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, which ends with the value.
pub struct OwnServer {
    folder: TempDir,
    programs: PathBuf,
    /// The user that servers run as: the administrator may not.
    user: (u32, u32),
    port: u16,
    settings: Vec<String>,
    running: Option<Child>,
}

impl OwnServer {
    /// Makes a server that was never started.
    pub async fn new() -> Self {
        let given: PgConnectOptions = super::url().parse().unwrap();
        let mut connection = given.connect().await.unwrap();
        let ask = query_scalar::<Postgres, String>("SHOW data_directory");
        let data = PathBuf::from(ask.fetch_one(&mut connection).await.unwrap());
        connection.close().await.unwrap();
        // The server wrote down how it was started: first of all, by which program.
        let started = std::fs::read_to_string(data.join("postmaster.opts"));
        let started = started.unwrap_or_else(|error| {
            panic!("the server that the tests are given does not run on this machine: {error}")
        });
        let program = PathBuf::from(started.split(' ').next().unwrap());
        let owner = std::fs::metadata(&data).unwrap();
        let server = Self {
            folder: tempfile::tempdir().unwrap(),
            programs: program.parent().unwrap().to_owned(),
            user: (owner.uid(), owner.gid()),
            port: free_port(),
            settings: Vec::new(),
            running: None,
        };
        server.give_away(server.folder.path());
        let mut made = server.program("initdb");
        made.args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        assert!(made.arg("--no-sync").status().unwrap().success());
        server
    }

    /// The folder of the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Sets something, as `name=value`, for the next start.
    pub fn set(&mut self, setting: &str) {
        self.settings.extend(["-c".to_owned(), setting.to_owned()]);
    }

    /// Makes a file belong to the server, and to nobody else.
    pub fn give_away(&self, path: &Path) {
        if std::fs::metadata(path).unwrap().uid() != self.user.0 {
            chown(path, Some(self.user.0), Some(self.user.1)).unwrap();
        }
    }

    /// The server's URL by this host name.
    pub fn url(&self, host: &str) -> String {
        format!("postgres://postgres@{host}:{}/postgres", self.port)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .current_dir(self.folder.path())
            .stdout(Stdio::null());
        command.stderr(Stdio::null());
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
        let port = self.port.to_string();
        let mut command = self.program("postgres");
        command.args([
            "-D",
            "data",
            "-p",
            &port,
            "-c",
            "listen_addresses=localhost",
        ]);
        command
            .args(["-c", "unix_socket_directories="])
            .args(&self.settings);
        self.running = Some(command.spawn().unwrap());
        let options: PgConnectOptions = url.parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = options.connect().await {
            assert!(
                Instant::now() < deadline,
                "the server does not answer: {error}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the server at once, as a crash would.
    pub async fn stop(&mut self) {
        if let Some(server) = self.end() {
            tokio::task::spawn_blocking(move || wait(server))
                .await
                .unwrap();
        }
    }

    fn end(&mut self) -> Option<Child> {
        let server = self.running.take()?;
        let process = server.id().to_string();
        let ended = Command::new("kill").args(["-QUIT", &process]).status();
        assert!(ended.unwrap().success());
        Some(server)
    }
}

fn wait(mut server: Child) {
    server.wait().unwrap();
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(server) = self.end() {
            wait(server);
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
