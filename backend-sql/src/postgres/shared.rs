//! How a store on PostgreSQL is opened, and what a call takes.

use std::sync::Arc;

use sqlx_core::Error as Driver;
use strongroom_core::error::Result;
use strongroom_core::model::Model;

use crate::failure::Phase;
use crate::pool::Links;
use crate::shared::{self, Backend, capabilities};
use crate::work::{Around, Undo};
use crate::{pool, session};

use super::connection::Connection;
use super::login::Connector;
use super::options::PostgresOptions;
use super::statements::Statements;

/// A connection in use.
pub(crate) type Lease = pool::Lease<Connector>;
/// What a call does with a connection.
pub(crate) type Work<T> = session::Work<Connection, T>;
/// What a store and its transactions share.
pub(crate) type Shared = shared::Shared<Connector>;

/// Makes a pool, without I/O.
pub(crate) fn open(options: PostgresOptions) -> Result<Shared> {
    let common = &options.common;
    let links = Links::new(options.connector(), common.connections, common.wait)?;
    let capabilities = capabilities("postgresql", common);
    Ok(Shared::new(options, links, (), capabilities))
}

impl Backend for Connector {
    type Options = PostgresOptions;
    type Limits = ();
    type Statements = Statements;

    fn statements(model: Arc<Model>, (): &()) -> Statements {
        Statements::new(model)
    }

    async fn begin_call(
        connection: &mut Connection,
        around: Around,
    ) -> Result<Option<Undo>, Driver> {
        let pooled = connection.is_pooled();
        let begin = match around {
            Around::Read | Around::Write if !pooled => return Ok(None),
            Around::Read => "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
            Around::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Around::Write | Around::Transaction | Around::Schema => {
                "BEGIN ISOLATION LEVEL READ COMMITTED"
            }
        };
        // What a transaction behind a pooler was set to would go with it.
        let (then, undo) = match pooled && around.writes() {
            true => ("; SAVEPOINT strongroom_call", Undo::Call),
            false => ("", Undo::Own),
        };
        connection.begin(begin, then).await?;
        Ok(Some(undo))
    }

    async fn commit_call(
        connection: &mut Connection,
        around: Around,
    ) -> Result<(), (Driver, Phase)> {
        let number = match connection.is_pooled() && around.writes() {
            // Nothing is to be committed yet.
            true => connection.number().await.map_err(|e| (e, Phase::Read))?,
            false => None,
        };
        let committed = connection.commit(number).await;
        committed.map_err(|e| (e, Phase::of(around)))
    }
}
