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
use strongroom_core::model::WriteId;
use strongroom_core::store::ScanRequest;

use crate::failure::Failure;
use crate::pool::{END_WAIT, Server};
use crate::scan::{Pieces, Scanned};

use super::error::answered;
use super::login::Connector;
use super::shared::SNAPSHOT;

/// The server answers that there is no such process.
const NO_SUCH_PROCESS: u16 = 1094;
/// How long to wait between two questions whether a process is gone.
const PAUSE: Duration = Duration::from_millis(2);

impl Server for Connector {
    type Connection = MySqlConnection;
    type Process = i64;

    async fn open(&self) -> Result<MySqlConnection, Failure> {
        self.connect().await
    }

    async fn process(connection: &mut MySqlConnection) -> Result<i64, Failure> {
        let process = query_scalar::<MySql, i64>("SELECT CAST(CONNECTION_ID() AS INTEGER)");
        Ok(process.persistent(false).fetch_one(connection).await?)
    }

    /// The server only marks a process that it is to end. It has done so, and rolled back, when it
    /// is no longer among the processes.
    async fn end(&self, abandoned: MySqlConnection, process: i64) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        let kill = AssertSqlSafe(format!("KILL CONNECTION {process}"));
        match raw_sql(kill).execute(&mut connection).await {
            Err(error) if answered(&error).is_some_and(|e| e.number() == NO_SUCH_PROCESS) => {}
            killed => {
                killed?;
            }
        }
        let deadline = Instant::now() + END_WAIT;
        loop {
            let there = query_scalar::<MySql, i64>(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?",
            );
            if there.bind(process).fetch_one(&mut connection).await? == 0 {
                drop(abandoned);
                return Ok(connection.close().await?);
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
