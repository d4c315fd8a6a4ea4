//! The one connection that writes, and the way to it.
//!
//! - `desk`: who has the connection, and who waits for it.
//! - `lead`: the way of a save: alone, as one of a round, or as the leader of one.
//! - `round`: writes carried out together, in one transaction.
//! - `run`: where work on the connection blocks.
//!
//! Invariant: a connection that changes hands is outside any transaction. A [`Lease`] that is
//! dropped inside one is rolled back before the next holder gets the connection.

mod desk;
mod lead;
mod round;
mod run;

use std::sync::Arc;

use rusqlite::Connection;
use strongroom_core::error::Result;

use crate::connection::{self, Role};
use crate::error::{Phase, map};
use crate::options::{Place, SqliteOptions};

pub(crate) use desk::{Desk, Lease, closed};
pub(crate) use lead::save;
pub(crate) use round::{begin, commit};
pub(crate) use run::{Attempt, run};

/// The connection that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` after a failure that the connection did not survive, until it is opened again.
    connection: Option<Connection>,
    options: Arc<SqliteOptions>,
}

impl Writer {
    pub(crate) fn new(connection: Connection, options: Arc<SqliteOptions>) -> Self {
        Self {
            connection: Some(connection),
            options,
        }
    }

    /// The connection, opened again if it was given up.
    ///
    /// # Errors
    ///
    /// Those of opening the file.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::open(&self.options, Role::Writer)?,
        };
        Ok(self.connection.insert(connection))
    }

    fn is_settled(&self) -> bool {
        self.connection
            .as_ref()
            .is_none_or(Connection::is_autocommit)
    }

    /// Leaves the transaction that the connection is in, if any. A connection that cannot is
    /// closed, which makes SQLite roll it back.
    pub(crate) fn settle(&mut self) {
        if self.is_settled() {
            return;
        }
        let rolled_back = self
            .connection
            .as_ref()
            .is_none_or(|c| c.execute_batch("ROLLBACK").is_ok() || c.is_autocommit());
        // The documents of a store in memory go with their connection.
        if !rolled_back && self.options.place != Place::Memory {
            tracing::warn!("the writing connection did not roll back and is opened anew");
            self.connection = None;
        }
    }

    /// Writes the log back into the file and closes the connection.
    fn close(mut self) -> Result<()> {
        self.settle();
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        if self.options.place != Place::Memory {
            // Another process may be reading the log; then it is written back by a later one.
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let checkpointed = connection.query_row(checkpoint, [], |_| Ok(()));
            if let Err(error) = checkpointed {
                tracing::debug!(%error, "the log was not written back on close");
            }
        }
        connection
            .close()
            .map_err(|(_, error)| map(error, Phase::Before))
    }
}
