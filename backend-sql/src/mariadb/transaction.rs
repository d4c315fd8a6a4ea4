//! Transactions, as MariaDB has them.

use std::sync::atomic::Ordering;

use sqlx_core::Error as Driver;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::MySqlConnection;
use strongroom_core::model::WriteId;
use strongroom_core::store::Isolation;
use strongroom_sql::mariadb::NOW;

use crate::failure::{Phase, is_answer, map};
use crate::family::names::*;
use crate::levels::cancelled;
use crate::pool::END_WAIT;
use crate::session::{Engine, Leaves, roll_back, settled};
use crate::transaction::transaction;

use super::bulk::at_once;
use super::error::{answered, ends_transaction, is_violation};
use super::login::Connector;
use super::shared::{Lease, Shared, Work};
use super::{load, schema};

impl Engine for Connector {
    fn begin(isolation: Isolation) -> Result<&'static str> {
        Ok(match isolation {
            Isolation::Default => "START TRANSACTION; SAVEPOINT strongroom_begin",
            Isolation::Snapshot => {
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                 START TRANSACTION WITH CONSISTENT SNAPSHOT; SAVEPOINT strongroom_begin"
            }
            Isolation::Serializable => {
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION; \
                 SAVEPOINT strongroom_begin"
            }
            _ => return Err(Error::unsupported("this isolation")),
        })
    }

    async fn send_begin(connection: &mut MySqlConnection, sql: &'static str) -> Result<(), Driver> {
        Self::send(connection, sql).await
    }

    async fn send(connection: &mut MySqlConnection, sql: &str) -> Result<(), Driver> {
        // It holds names of savepoints and numbers of commits, and no value.
        let sent = raw_sql(AssertSqlSafe(sql)).execute(connection).await;
        sent.map(drop)
    }

    /// The driver takes the answer to a statement that was to be prepared for the one to the next.
    const SURVIVES_CUTS: bool = false;

    /// A statement that the server refuses undoes nothing but itself.
    fn needs_savepoint(around: Around) -> bool {
        around == Around::Transaction
    }

    fn check(around: Around) -> Result<()> {
        if around == Around::Schema {
            return Err(Error::unsupported(
                "a change of the schema within a transaction, which it would commit",
            ));
        }
        Ok(())
    }

    fn leaves(error: &Driver) -> Leaves {
        if ends_transaction(error) {
            Leaves::Nothing
        } else if is_violation(error) {
            Leaves::Doomed
        } else {
            Leaves::AllElse
        }
    }

    /// The transaction writes into a table that it is committed, which tells later what became of a
    /// commit whose own answer is lost. Where the server has rolled back by itself, statements take
    /// effect one by one; there the savepoint of the beginning is missing, and none follows.
    async fn commit(mut lease: Lease, wrote: bool) -> Result<()> {
        let commit = WriteId::random();
        let note = if wrote {
            let id: String = commit
                .as_bytes()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            format!("INSERT INTO strongroom_commits (id, committed_at) VALUES (x'{id}', {NOW}); ")
        } else {
            String::new()
        };
        let sql = format!("RELEASE SAVEPOINT strongroom_begin; {note}COMMIT");
        let Err(error) = Self::send(lease.connection()?, &sql).await else {
            if wrote && is_due(lease.server()) {
                // The commit is done, and nobody waits for this.
                tokio::spawn(async move {
                    if prune(&mut lease).await {
                        lease.give_back();
                    }
                });
            } else {
                lease.give_back();
            }
            return Ok(());
        };
        if is_answer(&error) {
            let lost = answered(&error).is_some_and(|e| e.number() == NO_SAVEPOINT);
            drop(roll_back(lease).await);
            return Err(if lost {
                cancelled("the server rolled the transaction back, so nothing was written")
            } else {
                map(error, Phase::Read, None)
            });
        }
        if !wrote {
            // Nothing can be missing.
            return Ok(());
        }
        settled(committed(lease, &commit).await, error)
    }
}

/// The server answers that there is no such savepoint.
const NO_SAVEPOINT: u16 = 1305;
/// After how many commits old ones are taken out of the table.
const PRUNE_EVERY: u64 = 256;
/// How long a commit stays in the table, in milliseconds: far longer than one is asked for.
const KEPT: u64 = 60 * 60 * 1_000;

/// Whether old commits had better be taken out of the table after this one.
fn is_due(server: &Connector) -> bool {
    let before = server.commits.fetch_add(1, Ordering::Relaxed);
    before.is_multiple_of(PRUNE_EVERY)
}

/// Takes old commits out of the table; `false` if the connection broke.
async fn prune(lease: &mut Lease) -> bool {
    let sql =
        format!("DELETE FROM strongroom_commits WHERE committed_at < {NOW} - {KEPT} LIMIT 10000");
    let Ok(connection) = lease.connection() else {
        return false;
    };
    match Connector::send(connection, &sql).await {
        Ok(()) => true,
        Err(error) => is_answer(&error),
    }
}

/// What became of the transaction that wrote down this commit: `None` if the server does not tell.
async fn committed(lease: Lease, commit: &WriteId) -> Option<bool> {
    let server = lease.end().await?;
    let told = tokio::time::timeout(2 * END_WAIT, server.committed(commit)).await;
    told.ok()?.ok()
}

transaction!(MariaDbTransaction, Connector);
