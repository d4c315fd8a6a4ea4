//! The server's side of a connection.

use std::time::Duration;

use sqlx_core::Error as Driver;
use sqlx_core::query_as::query_as;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row as _;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::Postgres;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::store::ScanRequest;

use crate::ask::Ask as _;
use crate::failure::Failure;
use crate::pool::{END_WAIT, Server};
use crate::scan::{Pieces, Scanned};

use super::connection::{CRASHED, Connection, Number};
use super::error::answered;
use super::login::Connector;
use super::row;

/// A process of the server's. Its number may come again once the server was started again.
#[derive(Debug)]
pub(crate) struct Process {
    id: i32,
    /// When the server was started, in seconds.
    since: String,
}

/// What may go on at the server behind a connection.
pub(crate) enum Left {
    Process(Process),
    /// Behind a pooler, a commit. What was not to be committed yet, the pooler rolls back.
    Commit(Number),
}

/// How often the server is asked whether a transaction is over.
const ASK_EVERY: Duration = Duration::from_millis(10);

impl Server for Connector {
    type Connection = Connection;
    /// Behind a pooler connections have no process of their own.
    type Process = Option<Process>;
    type Left = Left;

    async fn open(&self) -> Result<Connection, Failure> {
        self.connect().await
    }

    async fn process(connection: &mut Connection) -> Result<Option<Process>, Failure> {
        if connection.is_pooled() {
            return Ok(None);
        }
        let own = "SELECT pg_backend_pid(), extract(epoch FROM pg_postmaster_start_time())::text";
        let own = query_as::<Postgres, (i32, String)>(own);
        let (id, since) = own.fetch_one(connection).await?;
        Ok(Some(Process { id, since }))
    }

    async fn ping(connection: &mut Connection) -> Result<(), Driver> {
        connection.ping().await
    }

    fn abandon(connection: Connection, process: Option<Process>) -> Option<Left> {
        match process {
            Some(process) => Some(Left::Process(process)),
            None => connection.committing().cloned().map(Left::Commit),
        }
    }

    async fn end(&self, left: Left, mut other: Connection) -> Result<(), Failure> {
        match left {
            Left::Process(process) => end(&mut other, process).await?,
            Left::Commit(number) => self.until_over(&number).await?,
        }
        Ok(other.close().await?)
    }
}

/// Ends a process, unless the server was started again.
async fn end(other: &mut Connection, process: Process) -> Result<(), Failure> {
    let wait = i64::try_from(END_WAIT.as_millis()).unwrap_or(i64::MAX);
    let end = "SELECT pg_terminate_backend($1, $2) \
         WHERE extract(epoch FROM pg_postmaster_start_time())::text = $3";
    let end = query_scalar::<Postgres, bool>(end)
        .bind(process.id)
        .bind(wait);
    let ended = end.bind(process.since).fetch_optional(&mut *other).await?;
    // It may have come to its end by itself.
    if ended == Some(false) && is_there(other, process.id).await? {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "an abandoned process did not end at the server",
        )
        .into());
    }
    Ok(())
}

/// Whether the server has a process of this number.
async fn is_there(connection: &mut Connection, id: i32) -> Result<bool, Failure> {
    let there = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    let there = query_scalar::<Postgres, bool>(there).bind(id);
    Ok(there.fetch_one(connection).await?)
}

/// What is known of a transaction after the end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Committed,
    Undone,
    Untold,
}

impl Connector {
    /// What became of the transaction of this number: `None` if the server does not tell.
    pub(crate) async fn committed(&self, number: &Number) -> Result<Option<bool>, Failure> {
        Ok(match self.fate(number).await? {
            Fate::Committed => Some(true),
            Fate::Undone => Some(false),
            Fate::UnderWay | Fate::Untold => None,
        })
    }

    /// What became of the transaction of this number. Numbers that a crash kept from the disk are
    /// given again. So after one, a commit under the number may be that of another transaction; all
    /// else says that this one was undone, and so it is if no transaction has the number.
    async fn fate(&self, number: &Number) -> Result<Fate, Failure> {
        let id: u64 = number
            .id
            .parse()
            .map_err(|_| Error::internal("the number of a transaction is none"))?;
        let mut connection = self.connect().await?;
        // One message, which any process that a pooler lends can answer.
        let asked = format!("SELECT pg_xact_status('{id}'::xid8), {CRASHED}");
        let asked = raw_sql(AssertSqlSafe(asked));
        let told = match asked.fetch_one(&mut connection).await {
            Err(error) if is_of_none(&error) && !is_standby(&mut connection).await? => {
                return Ok(Fate::Undone);
            }
            told => told?,
        };
        let status: Option<String> = told.try_get(0)?;
        let crashed: String = told.try_get(1)?;
        let fate = match (status.as_deref(), crashed == number.crashed) {
            (Some("in progress"), true) => Fate::UnderWay,
            (Some("committed"), true) => Fate::Committed,
            (Some("committed"), false) if first_since(&mut connection).await? > Some(id) => {
                Fate::Committed
            }
            (Some("in progress"), false) | (Some("aborted"), _) => Fate::Undone,
            _ => Fate::Untold,
        };
        connection.close().await?;
        Ok(fate)
    }

    async fn until_over(&self, number: &Number) -> Result<(), Failure> {
        while self.fate(number).await? == Fate::UnderWay {
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }
}

/// Whether the server answers that no transaction has had the number.
fn is_of_none(error: &Driver) -> bool {
    answered(error).is_some_and(|answer| answer.code() == "22023")
}

/// Whether the server follows another one, and may not know yet what that does.
async fn is_standby(connection: &mut Connection) -> Result<bool, Failure> {
    let asked = raw_sql("SELECT pg_is_in_recovery()");
    Ok(asked.fetch_one(connection).await?.try_get(0)?)
}

/// The first number that was given since the server started, for as long as it tells: what it
/// wrote down when it did is told from what it wrote down later by where in its log that stands.
async fn first_since(connection: &mut Connection) -> Result<Option<u64>, Failure> {
    let asked = "SELECT split_part(next_xid, ':', 1), split_part(next_xid, ':', 2) \
         FROM pg_control_checkpoint() \
         WHERE checkpoint_lsn = redo_lsn AND current_setting('wal_level') <> 'minimal'";
    let Some(told) = raw_sql(asked).fetch_optional(connection).await? else {
        return Ok(None);
    };
    let part = |at: usize| {
        let part: String = told.try_get(at)?;
        let number = part.parse::<u32>();
        number.map_err(|_| Failure::from(Error::internal("the number of a transaction is none")))
    };
    Ok(Some(u64::from(part(0)?) << 32 | u64::from(part(1)?)))
}

impl Scanned for Connector {
    /// A scan is one statement, which lasts for as long as its rows are read.
    const SNAPSHOT: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                                    SET LOCAL statement_timeout = 0; \
                                    SET LOCAL transaction_timeout = 0";

    const STREAMS: bool = true;

    async fn read(
        connection: &mut Connection,
        request: ScanRequest,
        pieces: &Pieces,
    ) -> Result<(), Failure> {
        let statement = strongroom_sql::scan(Connection::dialect(), &request)?;
        let rows = row::query(&statement)?.fetch(connection);
        pieces.of_rows::<Connection>(rows, &request).await
    }

    async fn close(connection: Connection) -> Result<(), Driver> {
        connection.close().await
    }
}
