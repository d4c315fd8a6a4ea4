//! The server's side of a connection.

use std::time::{Duration, Instant};

use sqlx_core::Error as Driver;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::query_as::query_as;
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

/// A process of the server's. Numbers come again once the server was started again; the client's
/// address, with its port, tells whether it is the same one.
#[derive(Debug)]
pub(crate) struct Process {
    id: i64,
    host: String,
}

/// The server answers that there is no such process.
const NO_SUCH_PROCESS: u16 = 1094;
/// How long to wait between two questions whether a process is gone.
const PAUSE: Duration = Duration::from_millis(2);

impl Server for Connector {
    type Connection = MySqlConnection;
    type Process = Process;

    async fn open(&self) -> Result<MySqlConnection, Failure> {
        self.connect().await
    }

    async fn process(connection: &mut MySqlConnection) -> Result<Process, Failure> {
        let own = "SELECT CAST(id AS INTEGER), host FROM information_schema.processlist \
             WHERE id = CONNECTION_ID()";
        let own = query_as::<MySql, (i64, String)>(own).persistent(false);
        let (id, host) = own.fetch_one(connection).await?;
        Ok(Process { id, host })
    }

    fn spoils(error: &Driver, model: Option<&Model>) -> bool {
        is_misled(error, model)
    }

    /// The server only marks a process that it is to end. It has done so, and rolled back, when it
    /// is no longer among the processes.
    async fn end(&self, abandoned: MySqlConnection, process: Process) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        // A process that is about to end may have no address any more.
        let there = "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE id = ? AND host IN (?, '')";
        let there = query_scalar::<MySql, i64>(there)
            .bind(process.id)
            .bind(process.host);
        if there.fetch_one(&mut connection).await? > 0 {
            kill(&mut connection, process.id).await?;
            until_gone(&mut connection, process.id).await?;
        }
        drop(abandoned);
        Ok(connection.close().await?)
    }
}

/// Waits until a process is no longer among those of the server, [`END_WAIT`] at most.
async fn until_gone(connection: &mut MySqlConnection, id: i64) -> Result<(), Failure> {
    let deadline = Instant::now() + END_WAIT;
    loop {
        let there = query_scalar::<MySql, i64>(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?",
        );
        if there.bind(id).fetch_one(&mut *connection).await? == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "an abandoned process did not end at the server",
            )
            .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
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
