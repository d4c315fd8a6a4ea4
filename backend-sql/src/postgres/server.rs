//! The server's side of a connection.

use sqlx_core::Error as Driver;
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnection, Postgres};

use crate::failure::Failure;
use crate::pool::{END_WAIT, Server};
use crate::scan::Scanned;

use super::login::Connector;

impl Server for Connector {
    type Connection = PgConnection;
    type Process = i32;

    async fn open(&self) -> Result<PgConnection, Failure> {
        self.connect().await
    }

    async fn process(connection: &mut PgConnection) -> Result<i32, Failure> {
        let process = query_scalar::<Postgres, i32>("SELECT pg_backend_pid()");
        Ok(process.fetch_one(connection).await?)
    }

    async fn end(&self, process: i32) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        let wait = i64::try_from(END_WAIT.as_millis()).unwrap_or(i64::MAX);
        query::<Postgres>("SELECT pg_terminate_backend($1, $2)")
            .bind(process)
            .bind(wait)
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}

impl Connector {
    /// What became of the transaction of this number: `None` if the server does not tell.
    pub(crate) async fn committed(&self, transaction: &str) -> Result<Option<bool>, Failure> {
        let mut connection = self.connect().await?;
        let status = query_scalar::<Postgres, Option<String>>("SELECT pg_xact_status($1::xid8)")
            .bind(transaction)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(match status.as_deref() {
            Some("committed") => Some(true),
            Some("aborted") => Some(false),
            _ => None,
        })
    }
}

impl Scanned for Connector {
    const SNAPSHOT: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

    async fn close(connection: PgConnection) -> Result<(), Driver> {
        connection.close().await
    }
}
