//! What a store and its transactions share, and how a call is carried out outside of one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlx_core::raw_sql::raw_sql;
use sqlx_mysql::MySqlConnection;
use strongroom_core::error::Result;
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{Capabilities, Stamping};
use tokio::sync::Semaphore;

use crate::failure::{Phase, map};
use crate::pool;
use crate::session::{self, Sessions};
use crate::work::{Around, Undo};

use super::body;
use super::login::Connector;
use super::options::MariaDbOptions;
use super::schema;
use super::statements::Statements;

/// Begins to read one state of the data.
pub(crate) const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
/// Most scans that are open at once: each has a connection of its own.
const MAX_SCANS: usize = 16;
/// Most collections whose statements are kept.
const MAX_STATEMENTS: usize = 1_000;

/// The pool.
pub(crate) type Links = pool::Links<Connector>;
/// A connection in use.
pub(crate) type Lease = pool::Lease<Connector>;

/// What a call does with a connection.
pub(crate) type Work<T> = session::Work<MySqlConnection, T>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: MariaDbOptions,
    pub(crate) links: Arc<Links>,
    /// Longest message that the server takes, in bytes.
    max_packet: usize,
    pub(crate) capabilities: Capabilities,
    pub(crate) scans: Arc<Semaphore>,
    statements: RwLock<HashMap<CollectionName, Arc<Statements>>>,
    pub(crate) sessions: Sessions<Connector>,
}

impl Shared {
    /// Takes a connection, and asks what the server takes.
    pub(crate) async fn connect(options: MariaDbOptions) -> Result<Self> {
        let links = Links::new(
            options.connector(),
            options.common.connections,
            options.common.wait,
        )?;
        let mut lease = links.lease().await?;
        let asked = schema::limits(lease.connection()?).await;
        let asked = lease.after(asked);
        let max_packet = asked.map_err(|f| f.told(Phase::Read, None))?;
        let mut capabilities = Capabilities::new("mariadb");
        capabilities.transactions = true;
        capabilities.savepoints = true;
        capabilities.atomic_bulk = true;
        capabilities.unique_fields = true;
        capabilities.backward_pages = true;
        capabilities.text_search = true;
        capabilities.nested_filters = true;
        capabilities.functions = options.common.functions.clone();
        capabilities.native_filters = true;
        capabilities.aggregations = true;
        capabilities.groups = true;
        capabilities.scans = true;
        capabilities.matching_writes = true;
        capabilities.gains_by_coalescing = true;
        capabilities.durable = true;
        capabilities.stamping = Stamping::Store;
        capabilities.max_body_bytes = capabilities
            .max_body_bytes
            .min(max_packet.saturating_sub(body::BESIDE));
        Ok(Self {
            links,
            options,
            max_packet,
            capabilities,
            scans: Arc::new(Semaphore::new(MAX_SCANS)),
            statements: RwLock::default(),
            sessions: Sessions::default(),
        })
    }

    /// The statements of a collection.
    pub(crate) fn statements(&self, model: &Arc<Model>) -> Arc<Statements> {
        let fits =
            |there: &&Arc<Statements>| Arc::ptr_eq(&there.model, model) || *there.model == **model;
        let known = self
            .statements
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = known.get(model.name()).filter(fits) {
            return there.clone();
        }
        drop(known);
        let made = Arc::new(Statements::new(model.clone(), self.max_packet));
        let mut known = self
            .statements
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_STATEMENTS {
            known.clear();
        }
        known.insert(model.name().clone(), made.clone());
        made
    }

    /// Refuses further calls, gives up open transactions, and waits for the calls under way.
    pub(crate) async fn close(&self) {
        self.sessions.close(&self.links).await;
    }

    /// Carries out a call on a connection of the pool.
    pub(crate) async fn run<T: Send>(
        &self,
        around: Around,
        model: Option<&Model>,
        work: Work<T>,
    ) -> Result<T> {
        let writes = around.writes();
        let mut lease = if writes {
            self.links.lease_to_write().await?
        } else {
            self.links.lease().await?
        };
        let begin = match around {
            // What changes the schema commits by itself.
            Around::Read | Around::Write | Around::Schema => {
                let outcome = work(lease.connection()?, Undo::Nothing).await;
                let phase = if writes { Phase::Write } else { Phase::Read };
                return lease.after(outcome).map_err(|f| f.told(phase, model));
            }
            Around::Snapshot => SNAPSHOT,
            Around::Transaction => "BEGIN",
        };
        let connection = lease.connection()?;
        let begun = raw_sql(begin).execute(&mut *connection).await;
        begun.map_err(|e| map(e, Phase::Read, model))?;
        let outcome = work(&mut *connection, Undo::Own).await;
        let end = match &outcome {
            Ok(_) => "COMMIT",
            // The connection is gone, and with it the transaction.
            Err(failure) if failure.is_loss() => "",
            Err(_) => "ROLLBACK",
        };
        if end.is_empty() {
            drop(lease);
            return outcome.map_err(|f| f.told(Phase::Read, model));
        }
        let ended = raw_sql(end).execute(connection).await;
        match (outcome, ended) {
            (outcome, Ok(_)) => {
                lease.give_back();
                outcome.map_err(|f| f.told(Phase::Read, model))
            }
            (Ok(_), Err(error)) => {
                let phase = if writes { Phase::Write } else { Phase::Read };
                Err(map(error, phase, model))
            }
            (Err(failure), Err(_)) => Err(failure.told(Phase::Read, model)),
        }
    }
}
