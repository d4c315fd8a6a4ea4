//! What a store and its transactions share, and how a call is carried out outside of one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sqlx_core::raw_sql::raw_sql;
use strongroom_core::error::Result;
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{Capabilities, Stamping};
use tokio::sync::Semaphore;

use crate::failure::{Phase, map};
use crate::pool;
use crate::session::{self, Sessions};
use crate::work::{Around, Undo};

use super::connection::Connection;
use super::login::Connector;
use super::options::PostgresOptions;
use super::statements::Statements;

/// Most scans that are open at once: each has a connection of its own.
const MAX_SCANS: usize = 16;
/// Most collections whose statements are kept.
const MAX_STATEMENTS: usize = 1_000;

/// The pool.
pub(crate) type Links = pool::Links<Connector>;
/// A connection in use.
pub(crate) type Lease = pool::Lease<Connector>;

/// What a call does with a connection.
pub(crate) type Work<T> = session::Work<Connection, T>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: PostgresOptions,
    pub(crate) links: Arc<Links>,
    pub(crate) capabilities: Capabilities,
    pub(crate) scans: Arc<Semaphore>,
    statements: RwLock<HashMap<CollectionName, Arc<Statements>>>,
    pub(crate) sessions: Sessions<Connector>,
}

impl Shared {
    pub(crate) fn new(options: PostgresOptions) -> Result<Self> {
        let mut capabilities = Capabilities::new("postgresql");
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
        Ok(Self {
            links: Links::new(
                options.connector(),
                options.common.connections,
                options.common.wait,
            )?,
            options,
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
        let made = Arc::new(Statements::new(model.clone()));
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
        let pooled = lease.connection()?.is_pooled();
        let begin = match around {
            Around::Read | Around::Write if !pooled => {
                let outcome = work(lease.connection()?, Undo::Nothing).await;
                let phase = if writes { Phase::Write } else { Phase::Read };
                return lease.after(outcome).map_err(|f| f.told(phase, model));
            }
            Around::Read => "BEGIN READ ONLY",
            Around::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Around::Write | Around::Transaction | Around::Schema => "BEGIN",
        };
        // What a transaction behind a pooler was set to would go with it.
        let (then, undo) = match pooled && writes {
            true => ("; SAVEPOINT strongroom_call", Undo::Call),
            false => ("", Undo::Own),
        };
        let connection = lease.connection()?;
        let begun = connection.begin(begin, then).await;
        begun.map_err(|e| map(e, Phase::Read, model))?;
        let outcome = work(&mut *connection, undo).await;
        let ended = match &outcome {
            Ok(_) if pooled && writes => match connection.number().await {
                Ok(number) => connection.commit(number).await,
                // Nothing was to be committed yet.
                Err(error) => return Err(map(error, Phase::Read, model)),
            },
            Ok(_) => connection.commit(None).await,
            // The connection is gone, and with it the transaction.
            Err(failure) if failure.is_loss() => {
                drop(lease);
                return outcome.map_err(|f| f.told(Phase::Read, model));
            }
            Err(_) => raw_sql("ROLLBACK").execute(connection).await.map(drop),
        };
        match (outcome, ended) {
            (outcome, Ok(())) => {
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
