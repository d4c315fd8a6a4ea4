//! Transactions, as PostgreSQL has them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx_core::Error as Driver;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::{CollectionName, Model, RawDocument};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Isolation, Load, LoadRequest, MatchingReply,
    MatchingRequest, Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search,
    ServerInfo, Store, Transact, Transaction,
};

use crate::failure::{Phase, is_answer, map};
use crate::levels::{LevelId, cancelled};
use crate::outcomes::{self, Outcomes};
use crate::pages::{self, Place};
use crate::pool::END_WAIT;
use crate::session::{Engine, Leaves, Session, roll_back};
use crate::transaction::transaction;
use crate::work::Around;
use crate::{aggregate, group, matching, search};

use super::bulk::at_once;
use super::connection::{Connection, Number};
use super::error::{answered, is_serialization};
use super::login::Connector;
use super::shared::{Lease, Shared, Work};
use super::{bulk, explain, load, schema, write};

impl Engine for Connector {
    fn begin(isolation: Isolation) -> Result<&'static str> {
        Ok(match isolation {
            Isolation::Default => "BEGIN",
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
        match committed(lease, &number).await {
            Some(true) => Ok(()),
            Some(false) => Err(Error::new(
                ErrorKind::Unavailable,
                "the connection broke before the commit, so nothing was written",
            )
            .with_source(error)),
            None => Err(map(error, Phase::Write, None)),
        }
    }
}

/// What became of the transaction of this number, whose commit was sent on this connection and
/// not answered: `None` if the server does not tell.
async fn committed(lease: Lease, number: &Number) -> Option<bool> {
    let server = lease.end().await?;
    let told = tokio::time::timeout(2 * END_WAIT, server.committed(number)).await;
    told.ok()?.ok()?
}

/// Begins a transaction. A dropped future leaves none open.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    options: &BeginOptions,
) -> Result<Arc<dyn Transaction>> {
    let wait = options.wait.unwrap_or(shared.options.wait);
    let (session, level) = shared.sessions.begin(&shared.links, options, wait).await?;
    Ok(Arc::new(PostgresTransaction {
        shared: shared.clone(),
        session,
        level,
    }))
}

transaction!(PostgresTransaction, Connector);
