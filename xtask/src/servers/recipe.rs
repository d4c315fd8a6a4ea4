//! What there is to know about one kind of server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::place::Place;
use crate::Result;

/// The servers that the tests need.
pub(super) const RECIPES: &[&dyn Recipe] = &[&super::elasticsearch::Elasticsearch];

/// Where a server's program comes from, how it starts, and when it is ready.
pub(super) trait Recipe {
    /// The server's name, which names its folders.
    fn name(&self) -> &'static str;

    /// The variable that tells tests the server's URL, and that a user sets to use another.
    fn variable(&self) -> &'static str;

    /// Makes sure that the program is there; returns what [`command`](Self::command) runs.
    fn install(&self, place: &Place) -> Result<Program>;

    /// The command that runs the server with all it writes in `folder`, which is empty.
    fn command(&self, program: &Program, folder: &Path) -> Result<Command>;

    /// Where the server listens, once it does.
    fn url(&self, folder: &Path) -> Option<String>;

    /// Whether the server answers.
    fn is_ready(&self, url: &str) -> bool;
}

/// An installed program.
pub(super) struct Program {
    /// The folder of the unpacked program.
    pub(super) home: std::path::PathBuf,
    /// The JDK that runs it.
    pub(super) jdk: std::path::PathBuf,
}

/// Whether `GET path` is answered by a status of 200.
pub(super) fn answers_ok(url: &str, path: &str) -> bool {
    let request = || -> std::io::Result<String> {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    request().is_ok_and(|head| head.split_whitespace().nth(1) == Some("200"))
}
