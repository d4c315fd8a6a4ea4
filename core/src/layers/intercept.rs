//! The family, implemented once for all layers that only look at calls.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};

use super::{Call, Layer, Reply, Request};
use crate::error::{Error, Operation, Result};
use crate::model::{CollectionName, RawDocument};
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

/// A layer that looks at calls and their outcomes, the same way for every operation.
///
/// # Examples
///
/// A layer that counts calls:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use futures_util::future::BoxFuture;
/// use strongroom_core::Result;
/// use strongroom_core::layers::{Call, Enter, Intercept, Reply};
///
/// #[derive(Debug, Default)]
/// struct CountLayer(AtomicU64);
///
/// impl Intercept for CountLayer {
///     type Scope = ();
///
///     fn enter(&self, _: &Call<'_>) -> Enter<()> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         Enter::Pass
///     }
///
///     async fn around<T: Reply>(&self, _: (), inner: BoxFuture<'_, Result<T>>) -> Result<T> {
///         inner.await
///     }
/// }
/// ```
pub trait Intercept: Debug + Send + Sync + 'static {
    /// What is kept while the call is under way.
    type Scope: Send;

    /// Looks at a call before it goes down, and decides whether the layer has to do with it.
    fn enter(&self, call: &Call<'_>) -> Enter<Self::Scope>;

    /// Carries the call out. `inner` is the call below; it has not been polled yet, and nothing
    /// was done if it is dropped before it is.
    fn around<T: Reply>(
        &self,
        scope: Self::Scope,
        inner: BoxFuture<'_, Result<T>>,
    ) -> impl Future<Output = Result<T>> + Send;
}

/// What an [`Intercept`] does with a call.
#[derive(Debug)]
pub enum Enter<S> {
    /// Nothing: the call goes down as if the layer was not there.
    Pass,
    /// Calls [`Intercept::around`] with this.
    Around(S),
    /// Refuses it, without anything below being called.
    Refuse(Error),
}

/// A store, or a transaction, under an [`Intercept`].
pub struct Layered<L, S: ?Sized> {
    layer: Arc<L>,
    inner: Arc<S>,
    /// Those of the inner store, so that asking for them does not walk down the whole stack.
    capabilities: Capabilities,
    in_transaction: bool,
}

impl<L: Intercept> Layer for L {
    fn wrap(self, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Layered {
            layer: Arc::new(self),
            capabilities: inner.capabilities().clone(),
            inner,
            in_transaction: false,
        })
    }
}

impl<L: Debug, S: Debug + ?Sized> Debug for Layered<L, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layered")
            .field("layer", &self.layer)
            .field("inner", &&*self.inner)
            .finish()
    }
}

impl<L: Intercept, S: Store + ?Sized> Layered<L, S> {
    fn run<'a, T: Reply + 'a>(
        &'a self,
        entered: Enter<L::Scope>,
        inner: impl FnOnce() -> BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        match entered {
            Enter::Pass => inner(),
            Enter::Around(scope) => Box::pin(self.layer.around(scope, inner())),
            Enter::Refuse(error) => Box::pin(ready(Err(error))),
        }
    }

    fn enter(&self, operation: Operation, request: Request<'_>) -> Enter<L::Scope> {
        self.layer.enter(&Call {
            operation,
            request,
            capabilities: &self.capabilities,
            in_transaction: self.in_transaction,
        })
    }
}

impl<L: Intercept> Layered<L, dyn Transaction> {
    /// A transaction, and its savepoints, under a layer of its own.
    pub(super) fn around(layer: L, transaction: Arc<dyn Transaction>) -> Arc<dyn Transaction> {
        Arc::new(Self {
            layer: Arc::new(layer),
            capabilities: transaction.capabilities().clone(),
            inner: transaction,
            in_transaction: true,
        })
    }
}

/// Writes a method of the family as `async_trait` would, except that a call that the layer passes
/// on gets no future of its own.
macro_rules! forward {
    ($name:ident, $operation:ident, ($($arg:ident: $type:ty)?), $request:expr, $reply:ty) => {
        fn $name<'s, 'f>(
            &'s self,
            $($arg: $type,)?
        ) -> Pin<Box<dyn Future<Output = Result<$reply>> + Send + 'f>>
        where
            's: 'f,
            Self: 'f,
        {
            let entered = self.enter(Operation::$operation, $request);
            self.run(entered, || self.inner.$name($($arg)?))
        }
    };
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Load for Layered<L, S> {
    forward!(load, Load, (request: LoadRequest), Request::Load(&request), Vec<Option<RawDocument>>);
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Save for Layered<L, S> {
    forward!(save, Save, (request: SaveRequest), Request::Save(&request), Receipt);
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Bulk for Layered<L, S> {
    forward!(bulk, Bulk, (request: BulkRequest), Request::Bulk(&request), BulkReply);
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Search for Layered<L, S> {
    forward!(find, Find, (request: FindRequest), Request::Find(&request), Page);
    forward!(count, Count, (request: CountRequest), Request::Count(&request), u64);
    forward!(
        aggregate, Aggregate, (request: AggregateRequest),
        Request::Aggregate(&request), AggregateReply
    );
    forward!(group, Group, (request: GroupRequest), Request::Group(&request), Groups);
    forward!(
        explain, Explain, (request: ExplainRequest), Request::Explain(&request), Explanation
    );

    fn write_matching<'s, 'f>(
        &'s self,
        request: MatchingRequest,
    ) -> BoxFuture<'f, Result<MatchingReply>>
    where
        's: 'f,
        Self: 'f,
    {
        let operation = request.action.operation();
        let entered = self.enter(operation, Request::Matching(&request));
        self.run(entered, || self.inner.write_matching(request))
    }

    /// The scan goes on under the layer: each piece is a call of its own.
    fn scan<'s, 'f>(&'s self, request: ScanRequest) -> BoxFuture<'f, Result<Box<dyn Scan>>>
    where
        's: 'f,
        Self: 'f,
    {
        let collection = request.model.name().clone();
        let entered = self.enter(Operation::Scan, Request::Scan(&request));
        let opened = self.run(entered, || self.inner.scan(request));
        Box::pin(async move {
            let scan: Box<dyn Scan> = Box::new(LayeredScan {
                layer: Arc::clone(&self.layer),
                inner: opened.await?,
                capabilities: self.capabilities.clone(),
                in_transaction: self.in_transaction,
                collection,
            });
            Ok(scan)
        })
    }
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Schema for Layered<L, S> {
    forward!(ensure, Ensure, (request: EnsureRequest), Request::Ensure(&request), EnsureReport);
    forward!(
        describe, Describe, (collection: CollectionName),
        Request::Collection(&collection), Option<CollectionDescription>
    );
    forward!(
        drop_collection, DropCollection, (collection: CollectionName),
        Request::Collection(&collection), bool
    );
    forward!(
        refresh, Refresh, (collection: CollectionName),
        Request::Collection(&collection), ()
    );
    forward!(ready, Ready, (timeout: Duration), Request::Ready(timeout), Health);
    forward!(server_info, ServerInfo, (), Request::Nothing, ServerInfo);
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Store + ?Sized> Store for Layered<L, S> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(LayeredTransact {
            layer: Arc::clone(&self.layer),
            inner: self.inner.transact()?,
            capabilities: self.capabilities.clone(),
            in_transaction: self.in_transaction,
        }))
    }

    forward!(close, Close, (), Request::Nothing, ());
}

#[deny(clippy::missing_trait_methods)]
impl<L: Intercept, S: Transaction + ?Sized> Transaction for Layered<L, S> {
    forward!(commit, Commit, (), Request::Nothing, ());
    forward!(rollback, Rollback, (), Request::Nothing, ());

    fn abandon(&self) {
        self.inner.abandon();
    }
}

/// An open scan under an [`Intercept`].
#[derive(Debug)]
struct LayeredScan<L> {
    layer: Arc<L>,
    inner: Box<dyn Scan>,
    capabilities: Capabilities,
    in_transaction: bool,
    collection: CollectionName,
}

impl<L: Intercept> LayeredScan<L> {
    fn enter(&self, operation: Operation) -> Enter<L::Scope> {
        self.layer.enter(&Call {
            operation,
            request: Request::Collection(&self.collection),
            capabilities: &self.capabilities,
            in_transaction: self.in_transaction,
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait::async_trait]
impl<L: Intercept> Scan for LayeredScan<L> {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        match self.enter(Operation::ScanNext) {
            Enter::Pass => self.inner.next().await,
            Enter::Around(scope) => self.layer.around(scope, self.inner.next()).await,
            Enter::Refuse(error) => Err(error),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match self.enter(Operation::ScanClose) {
            Enter::Pass => self.inner.close().await,
            Enter::Around(scope) => self.layer.around(scope, self.inner.close()).await,
            Enter::Refuse(error) => Err(error),
        }
    }
}

/// The transactions of a store, or the savepoints of a transaction, under an [`Intercept`].
#[derive(Debug)]
struct LayeredTransact<L> {
    layer: Arc<L>,
    inner: Arc<dyn Transact>,
    capabilities: Capabilities,
    in_transaction: bool,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait::async_trait]
impl<L: Intercept> Transact for LayeredTransact<L> {
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        let entered = self.layer.enter(&Call {
            operation: Operation::Begin,
            request: Request::Begin(&options),
            capabilities: &self.capabilities,
            in_transaction: self.in_transaction,
        });
        let transaction = match entered {
            Enter::Pass => self.inner.begin(options).await?,
            Enter::Around(scope) => self.layer.around(scope, self.inner.begin(options)).await?,
            Enter::Refuse(error) => return Err(error),
        };
        Ok(Arc::new(Layered {
            layer: Arc::clone(&self.layer),
            capabilities: transaction.capabilities().clone(),
            inner: transaction,
            in_transaction: true,
        }))
    }
}
