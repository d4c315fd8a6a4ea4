//! The server's side of a connection.

use std::time::{Duration, Instant};

use sqlx_core::Error as Driver;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnection};
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::{Model, WriteId};
use strongroom_core::store::ScanRequest;

use crate::failure::Failure;
use crate::pool::{END_WAIT, Server};
use crate::scan::{Pieces, Scanned};

use super::error::{answered, is_misled};
use super::login::Connector;
use super::shared::SNAPSHOT;

/// A process of the server's, known by a lock that it holds until its end, after what it did was
/// rolled back. Its number would not do: the server gives it again once it was started again, and
/// shows a user no processes of others.
#[derive(Debug)]
pub(crate) struct Process {
    lock: String,
}

/// The server answers that there is no such process.
const NO_SUCH_PROCESS: u16 = 1094;
/// How long to wait between two questions whether a process is gone.
const PAUSE: Duration = Duration::from_millis(2);

impl Server for Connector {
    type Connection = MySqlConnection;
    type Process = Process;
    type Left = Process;

    async fn open(&self) -> Result<MySqlConnection, Failure> {
        self.connect().await
    }

    async fn process(connection: &mut MySqlConnection) -> Result<Process, Failure> {
        let lock = format!("strongroom {}", WriteId::random());
        let got = query_scalar::<MySql, Option<i64>>("SELECT GET_LOCK(?, 0)");
        let got = got.bind(&lock).persistent(false);
        match got.fetch_one(connection).await? {
            Some(1) => Ok(Process { lock }),
            _ => Err(Error::new(ErrorKind::Unavailable, "the server gave no lock").into()),
        }
    }

    async fn ping(connection: &mut MySqlConnection) -> Result<(), Driver> {
        connection.ping().await
    }

    fn spoils(error: &Driver, model: Option<&Model>) -> bool {
        is_misled(error, model)
    }

    fn abandon(_: MySqlConnection, process: Process) -> Option<Process> {
        Some(process)
    }

    /// The server only marks a process that it is to end. It has done so when nobody holds the lock
    /// any more.
    async fn end(&self, process: Process, mut other: MySqlConnection) -> Result<(), Failure> {
        if let Some(id) = holder(&mut other, &process.lock).await? {
            kill(&mut other, id).await?;
            until_gone(&mut other, &process.lock).await?;
        }
        Ok(other.close().await?)
    }
}

/// The number of the process that holds a lock.
async fn holder(connection: &mut MySqlConnection, lock: &str) -> Result<Option<i64>, Failure> {
    let holder = query_scalar::<MySql, Option<i64>>("SELECT CAST(IS_USED_LOCK(?) AS INTEGER)");
    Ok(holder.bind(lock).fetch_one(connection).await?)
}

/// Waits until nobody holds a lock, [`END_WAIT`] at most.
async fn until_gone(connection: &mut MySqlConnection, lock: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + END_WAIT;
    while holder(connection, lock).await?.is_some() {
        if Instant::now() > deadline {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "an abandoned process did not end at the server",
            )
            .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Marks a process to be ended. One that ended meanwhile is no error.
async fn kill(connection: &mut MySqlConnection, id: i64) -> Result<(), Failure> {
    let kill = AssertSqlSafe(format!("KILL CONNECTION {id}"));
    match raw_sql(kill).execute(connection).await {
        Err(error) if answered(&error).is_some_and(|e| e.number() == NO_SUCH_PROCESS) => Ok(()),
        killed => Ok(killed.map(drop)?),
    }
}

impl Connector {
    /// Whether the transaction that wrote down this commit was committed.
    pub(crate) async fn committed(&self, commit: &WriteId) -> Result<bool, Failure> {
        let mut connection = self.connect().await?;
        let found = query::<MySql>("SELECT 1 FROM strongroom_commits WHERE id = ?")
            .bind(commit.as_bytes().to_vec())
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(!found.is_empty())
    }
}

impl Scanned for Connector {
    const SNAPSHOT: &'static str = SNAPSHOT;
    const STREAMS: bool = false;

    /// By pages: the server gives up a statement whose rows nobody reads for a minute.
    async fn read(
        connection: &mut MySqlConnection,
        request: ScanRequest,
        pieces: &Pieces,
    ) -> Result<(), Failure> {
        pieces.of_pages(connection, request).await
    }

    async fn close(connection: MySqlConnection) -> Result<(), Driver> {
        connection.close().await
    }
}
