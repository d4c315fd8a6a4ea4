//! Opening connections.
//!
//! Every connection that leaves this module is as the store relies on: in WAL mode, synchronous
//! as the options say, with every setting read back after it was made and after the user's hook
//! ran.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use strongroom_core::error::{Error, ErrorKind, Result};

use crate::error::{Phase, is_busy, map};
use crate::functions;
use crate::options::{MissingFile, Place, SqliteOptions};
use crate::user_functions;

/// SQLite before this version can lose committed transactions when a log is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 256;
/// How long an inline call may block on another process's lock before it goes on elsewhere.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(2);
/// A log file that grew larger is cut back to this size, in bytes.
const LOG_BYTES: i64 = 64 * 1024 * 1024;
/// The page cache of one connection may grow to this. SQLite's default of 2 MiB makes a writer of
/// scattered keys read most pages anew.
const CACHE_KIB: i64 = 16 * 1024;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// A new connection, as the hook of [`SqliteOptions::on_connect`] sees it.
pub struct HookConnection<'c> {
    connection: &'c Connection,
    role: Role,
}

impl HookConnection<'_> {
    /// Runs SQL statements, separated by semicolons.
    ///
    /// # Errors
    ///
    /// By the kind of the statement's failure; opening the connection fails with it.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.connection
            .execute_batch(sql)
            .map_err(|e| map(e, Phase::Open))
    }

    /// Whether the store writes by this connection; it reads by the others.
    #[must_use]
    pub fn is_writer(&self) -> bool {
        self.role == Role::Writer
    }
}

impl fmt::Debug for HookConnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookConnection")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Opens a connection. It blocks, at most about as long as the busy timeout.
///
/// # Errors
///
/// `Config`, naming the file, if it cannot be a database of this store; `Contended` if another
/// process holds it for too long; `Unavailable` for failures of the disk.
pub(crate) fn open(options: &SqliteOptions, role: Role) -> Result<Connection> {
    check_library(rusqlite::version_number(), rusqlite::version())?;
    match &options.place {
        Place::Memory => {
            let connection = Connection::open_in_memory().map_err(|e| map(e, Phase::Open))?;
            set_up(&connection, options, role, "memory")?;
            Ok(connection)
        }
        Place::File(path) => {
            let path = std::path::absolute(path).map_err(|e| {
                at(path, ErrorKind::Config, "the path cannot be resolved").with_source(e)
            })?;
            open_file(&path, options, role).map_err(|e| naming(&path, e))
        }
    }
}

fn check_library(number: i32, version: &str) -> Result<()> {
    if number >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("SQLite {version} can lose committed data, 3.51.3 is the oldest allowed"),
    ))
}

fn open_file(path: &PathBuf, options: &SqliteOptions, role: Role) -> Result<Connection> {
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Config, "it is a folder"));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match options.missing_file {
        MissingFile::Create if role == Role::Writer => flags |= OpenFlags::SQLITE_OPEN_CREATE,
        MissingFile::Refuse if !path.exists() => {
            return Err(Error::new(ErrorKind::Config, "there is no such file"));
        }
        _ => {}
    }
    if path.parent().is_some_and(|folder| !folder.is_dir()) {
        return Err(Error::new(ErrorKind::Config, "its folder does not exist"));
    }
    let connection = Connection::open_with_flags(path, flags).map_err(|e| map(e, Phase::Open))?;
    if connection
        .is_readonly("main")
        .map_err(|e| map(e, Phase::Open))?
    {
        return Err(Error::new(ErrorKind::Config, "it cannot be written to"));
    }
    set_up(&connection, options, role, "wal")?;
    Ok(connection)
}

fn at(path: &Path, kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, format!("database file {}: {message}", path.display()))
}

fn naming(path: &Path, error: Error) -> Error {
    at(path, error.kind(), error.message()).with_source(error)
}

fn set_up(
    connection: &Connection,
    options: &SqliteOptions,
    role: Role,
    journal_mode: &str,
) -> Result<()> {
    // Opening waits as long as the user allows; only afterwards does the short wait apply.
    let failed = |e| map(e, Phase::Open);
    connection
        .busy_timeout(options.busy_timeout)
        .map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    for config in [
        // Without these an unknown column in double quotes would be taken as text.
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
        DbConfig::SQLITE_DBCONFIG_DQS_DDL,
    ] {
        connection.set_db_config(config, false).map_err(failed)?;
    }
    if journal_mode == "wal" {
        switch_to_wal(connection, options.busy_timeout)?;
    }
    let level = options.synchronous.level();
    let settings = [
        ("synchronous", level),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cache_size", -CACHE_KIB),
        ("query_only", i64::from(role == Role::Reader)),
    ];
    for (name, value) in settings {
        connection
            .pragma_update(None, name, value)
            .map_err(failed)?;
    }
    connection
        .query_row(
            &format!("PRAGMA journal_size_limit = {LOG_BYTES}"),
            [],
            |_| Ok(()),
        )
        .map_err(failed)?;
    functions::register(connection).map_err(failed)?;
    user_functions::register(connection, &options.functions)?;
    if let Some(hook) = &options.hook {
        hook(&HookConnection { connection, role })?;
    }
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(failed)?;
    expect("journal_mode", &mode, journal_mode)?;
    for (name, wanted) in settings {
        let value: i64 = connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(failed)?;
        expect(name, &value, &wanted)?;
    }
    if options.place != Place::Memory {
        connection.busy_timeout(SHORT_WAIT).map_err(failed)?;
    }
    Ok(())
}

/// SQLite does not wait for the lock that this takes, so the waiting is done here.
fn switch_to_wal(connection: &Connection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let switched = connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()));
        match switched {
            Ok(()) => return Ok(()),
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(SHORT_WAIT);
            }
            Err(error) => return Err(map(error, Phase::Open)),
        }
    }
}

fn expect<T: PartialEq<W> + fmt::Display + ?Sized, W: fmt::Display + ?Sized>(
    name: &str,
    found: &T,
    wanted: &W,
) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("the setting {name} is {found}, and the store relies on {wanted}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_libraries_are_refused() {
        assert!(check_library(3_051_003, "3.51.3").is_ok());
        let error = check_library(3_051_002, "3.51.2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("3.51.2"), "{error}");
    }
}
