//! How a store on MariaDB is opened, and what a call takes.

use std::sync::Arc;

use sqlx_core::Error as Driver;
use sqlx_mysql::MySqlConnection;
use strongroom_core::error::Result;
use strongroom_core::model::Model;

use crate::failure::Phase;
use crate::pool::Links;
use crate::session::Engine;
use crate::shared::{self, Backend, capabilities};
use crate::work::{Around, Undo};
use crate::{pool, session};

use super::body;
use super::login::Connector;
use super::options::MariaDbOptions;
use super::schema;
use super::statements::Statements;

/// Begins to read one state of the data.
pub(crate) const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A connection in use.
pub(crate) type Lease = pool::Lease<Connector>;
/// What a call does with a connection.
pub(crate) type Work<T> = session::Work<MySqlConnection, T>;
/// What a store and its transactions share.
pub(crate) type Shared = shared::Shared<Connector>;

/// Takes a connection, and asks what the server takes.
pub(crate) async fn connect(options: MariaDbOptions) -> Result<Shared> {
    let common = &options.common;
    let links = Links::new(options.connector(), common.connections, common.wait)?;
    let mut lease = links.lease().await?;
    let asked = schema::limits(lease.connection()?).await;
    let asked = lease.after(asked);
    let max_packet = asked.map_err(|f| f.told(Phase::Read, None))?;
    let mut capabilities = capabilities("mariadb", common);
    capabilities.max_body_bytes = capabilities
        .max_body_bytes
        .min(max_packet.saturating_sub(body::BESIDE));
    Ok(Shared::new(options, links, max_packet, capabilities))
}

impl Backend for Connector {
    type Options = MariaDbOptions;
    /// Longest message that the server takes, in bytes.
    type Limits = usize;
    type Statements = Statements;

    fn statements(model: Arc<Model>, max_packet: &usize) -> Statements {
        Statements::new(model, *max_packet)
    }

    async fn begin_call(
        connection: &mut MySqlConnection,
        around: Around,
    ) -> Result<Option<Undo>, Driver> {
        let begin = match around {
            // What changes the schema commits by itself.
            Around::Read | Around::Write | Around::Schema => return Ok(None),
            Around::Snapshot => SNAPSHOT,
            Around::Transaction => "BEGIN",
        };
        Self::send_begin(connection, begin).await?;
        Ok(Some(Undo::Own))
    }

    async fn commit_call(
        connection: &mut MySqlConnection,
        around: Around,
    ) -> Result<(), (Driver, Phase)> {
        let committed = Self::send(connection, "COMMIT").await;
        committed.map_err(|e| (e, Phase::of(around)))
    }
}
