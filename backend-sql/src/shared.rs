//! What a store and its transactions share, and how a call is carried out outside of one.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use sqlx_core::Error as Driver;
use strongroom_core::error::Result;
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::store::{Capabilities, Stamping};
use tokio::sync::Semaphore;

use crate::failure::{Phase, map};
use crate::options::Common;
use crate::pool::Links;
use crate::scan::Scanned;
use crate::session::{Sessions, Work};
use crate::work::{Around, Undo};

/// Most scans that are open at once: each has a connection of its own.
const MAX_SCANS: usize = 16;
/// Most collections whose statements are kept.
const MAX_STATEMENTS: usize = 1_000;

/// A server, as far as its store goes.
pub(crate) trait Backend: Scanned {
    /// What the user says of the server.
    type Options: fmt::Debug + Send + Sync;
    /// What the server says of itself when the store is opened.
    type Limits: fmt::Debug + Send + Sync;
    /// The statements of a collection.
    type Statements: fmt::Debug + Send + Sync;

    /// Makes the statements of a collection.
    fn statements(model: Arc<Model>, limits: &Self::Limits) -> Self::Statements;

    /// Begins the transaction that a call takes, and tells how the call goes back to there; `None`
    /// where it takes none.
    fn begin_call(
        connection: &mut Self::Connection,
        around: Around,
    ) -> impl Future<Output = Result<Option<Undo>, Driver>> + Send;

    /// Commits that transaction. An error comes with what was under way.
    fn commit_call(
        connection: &mut Self::Connection,
        around: Around,
    ) -> impl Future<Output = Result<(), (Driver, Phase)>> + Send;
}

/// What a store and its transactions share.
#[derive(Debug)]
pub(crate) struct Shared<B: Backend> {
    pub(crate) options: B::Options,
    pub(crate) links: Arc<Links<B>>,
    limits: B::Limits,
    pub(crate) capabilities: Capabilities,
    pub(crate) scans: Arc<Semaphore>,
    statements: RwLock<HashMap<CollectionName, Kept<B::Statements>>>,
    pub(crate) sessions: Sessions<B>,
}

/// The statements of a collection, and the model that they were made for.
type Kept<S> = (Arc<Model>, Arc<S>);

/// What all servers can do.
pub(crate) fn capabilities(name: &'static str, common: &Common) -> Capabilities {
    let mut capabilities = Capabilities::new(name);
    capabilities.transactions = true;
    capabilities.savepoints = true;
    capabilities.atomic_bulk = true;
    capabilities.unique_fields = true;
    capabilities.backward_pages = true;
    capabilities.text_search = true;
    capabilities.nested_filters = true;
    capabilities.functions = common.functions.clone();
    capabilities.native_filters = true;
    capabilities.aggregations = true;
    capabilities.groups = true;
    capabilities.scans = true;
    capabilities.matching_writes = true;
    capabilities.gains_by_coalescing = true;
    capabilities.durable = true;
    capabilities.stamping = Stamping::Store;
    capabilities
}

impl<B: Backend> Shared<B> {
    pub(crate) fn new(
        options: B::Options,
        links: Arc<Links<B>>,
        limits: B::Limits,
        capabilities: Capabilities,
    ) -> Self {
        Self {
            options,
            links,
            limits,
            capabilities,
            scans: Arc::new(Semaphore::new(MAX_SCANS)),
            statements: RwLock::default(),
            sessions: Sessions::default(),
        }
    }

    /// The statements of a collection.
    pub(crate) fn statements(&self, model: &Arc<Model>) -> Arc<B::Statements> {
        let fits = |(of, _): &&Kept<B::Statements>| Arc::ptr_eq(of, model) || **of == **model;
        let known = self
            .statements
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, there)) = known.get(model.name()).filter(fits) {
            return there.clone();
        }
        drop(known);
        let made = Arc::new(B::statements(model.clone(), &self.limits));
        let mut known = self
            .statements
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_STATEMENTS {
            known.clear();
        }
        known.insert(model.name().clone(), (model.clone(), made.clone()));
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
        work: Work<B::Connection, T>,
    ) -> Result<T> {
        let mut lease = self.links.lease().await?;
        let connection = lease.connection()?;
        let begun = B::begin_call(connection, around).await;
        let begun = begun.inspect_err(|e| lease.note_loss(e));
        let Some(undo) = begun.map_err(|e| map(e, Phase::Read, model))? else {
            if around.writes() {
                lease.will_write();
            }
            let outcome = work(lease.connection()?, Undo::Alone).await;
            let phase = Phase::of(around);
            lease.heed(&outcome, model);
            return lease.after(outcome).map_err(|f| f.told(phase, model));
        };
        let outcome = work(lease.connection()?, undo).await;
        lease.heed(&outcome, model);
        if around.writes() && outcome.is_ok() {
            lease.will_write();
        }
        let connection = lease.connection()?;
        let ended = match &outcome {
            Ok(_) => B::commit_call(connection, around).await,
            // The connection is gone, and with it the transaction.
            Err(failure) if failure.is_loss() => {
                drop(lease);
                return outcome.map_err(|f| f.told(Phase::Read, model));
            }
            Err(_) => {
                let undone = B::send(connection, "ROLLBACK").await;
                undone.map_err(|e| (e, Phase::Read))
            }
        };
        match (outcome, ended) {
            (outcome, Ok(())) => {
                lease.give_back();
                outcome.map_err(|f| f.told(Phase::Read, model))
            }
            (Ok(_), Err((error, phase))) => Err(map(error, phase, model)),
            (Err(failure), Err(_)) => Err(failure.told(Phase::Read, model)),
        }
    }
}
