//! Transactions, as PostgreSQL has them.

use sqlx_core::Error as Driver;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use strongroom_core::store::Isolation;

use crate::failure::{Phase, is_answer, map};
use crate::family::names::*;
use crate::levels::cancelled;
use crate::pool::END_WAIT;
use crate::session::{Engine, Leaves, roll_back, settled};
use crate::transaction::transaction;

use super::bulk::at_once;
use super::connection::{Connection, Number};
use super::error::{answered, is_serialization};
use super::login::Connector;
use super::shared::{Lease, Shared, Work};
use super::{load, schema};

impl Engine for Connector {
    fn begin(isolation: Isolation) -> Result<&'static str> {
        Ok(match isolation {
            Isolation::Default => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Isolation::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            _ => return Err(Error::unsupported("this isolation")),
        })
    }

    async fn send_begin(connection: &mut Connection, sql: &'static str) -> Result<(), Driver> {
        connection.begin(sql, "").await
    }

    async fn send(connection: &mut Connection, sql: &str) -> Result<(), Driver> {
        // It holds names of savepoints, and no value.
        let sent = raw_sql(AssertSqlSafe(sql)).execute(connection).await;
        sent.map(drop)
    }

    fn check(_around: Around) -> Result<()> {
        Ok(())
    }

    const SURVIVES_CUTS: bool = true;

    /// A statement that the server refuses would doom all of the transaction.
    fn needs_savepoint(_around: Around) -> bool {
        true
    }

    fn leaves(error: &Driver) -> Leaves {
        let unique = answered(error).is_some_and(|answer| answer.code() == "23505");
        if unique || is_serialization(error) {
            Leaves::Doomed
        } else {
            Leaves::AllElse
        }
    }

    /// The server answers a commit after a failed statement as if all were well, and rolls back;
    /// the question before the commit it refuses then. What it answers tells later what became of
    /// a commit whose own answer is lost.
    async fn commit(mut lease: Lease, _wrote: bool) -> Result<()> {
        let number = match lease.connection()?.number().await {
            Ok(number) => number,
            Err(error) => {
                let told = match answered(&error).map(|e| e.code() == "25P02") {
                    Some(true) => cancelled("an earlier statement failed, so nothing was written"),
                    _ => map(error, Phase::Read, None),
                };
                drop(roll_back(lease).await);
                return Err(told);
            }
        };
        let Err(error) = lease.connection()?.commit(number.clone()).await else {
            lease.give_back();
            return Ok(());
        };
        if is_answer(&error) {
            drop(roll_back(lease).await);
            return Err(map(error, Phase::Write, None));
        }
        let Some(number) = number else {
            // It wrote nothing, so nothing can be missing.
            return Ok(());
        };
        settled(committed(lease, &number).await, error)
    }
}

/// What became of the transaction of this number, whose commit was sent on this connection and
/// not answered: `None` if the server does not tell.
async fn committed(lease: Lease, number: &Number) -> Option<bool> {
    let server = lease.end().await?;
    let told = tokio::time::timeout(2 * END_WAIT, server.committed(number)).await;
    told.ok()?.ok()?
}

transaction!(PostgresTransaction, Connector);
