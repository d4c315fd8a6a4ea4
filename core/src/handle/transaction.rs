//! Transactions: several documents changed as one.

use std::sync::Arc;

use super::collection::Collection;
use super::context::{Context, Scope};
use super::database::Database;
use super::document::Document;
use super::retry::RetryPolicy;
use crate::error::{Error, Operation, Result};
use crate::store::{BeginOptions, Isolation, Store, Transaction};

/// How a transaction begins and how it is run again.
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    begin: BeginOptions,
    retry: Option<RetryPolicy>,
}

impl TransactionOptions {
    /// The engine's default isolation, the store's own patience, the database's retry policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an isolation.
    #[must_use]
    pub fn with_isolation(mut self, isolation: Isolation) -> Self {
        self.begin = self.begin.isolation(isolation);
        self
    }

    /// Waits at most this long for the right to begin, where writers wait for each other, and on
    /// SQL servers for a free connection.
    #[must_use]
    pub fn with_wait(mut self, wait: std::time::Duration) -> Self {
        self.begin = self.begin.wait(wait);
        self
    }

    /// Sets how it is run again after a conflict.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }
}

impl From<BeginOptions> for TransactionOptions {
    fn from(begin: BeginOptions) -> Self {
        Self { begin, retry: None }
    }
}

/// An open transaction. Cheap to clone; it is over when it is committed or rolled back, or when
/// the last clone is dropped, which rolls it back without waiting.
///
/// Collections made from it are part of it and do not keep it open.
#[derive(Clone, Debug)]
pub struct Tx {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    transaction: Arc<dyn Transaction>,
    context: Arc<Context>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Nothing happens to one that is over. Collections may still hold the store, so letting
        // go of this reference would not be enough.
        self.transaction.abandon();
    }
}

impl Database {
    /// Begins a transaction, to be committed by [`Tx::commit`]. Dropping the future leaves none
    /// open.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the store has no transactions or not the isolation; `Contended` if the
    /// wait ran out; `Unavailable`, `Timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |db, users| {
    /// let tx = db.begin(Default::default()).await?;
    /// tx.collection::<User>().insert(User::new("ada")).await?;
    /// assert!(!users.exists("ada").await?, "not committed yet");
    /// tx.commit().await?;
    /// assert!(users.exists("ada").await?);
    /// # Ok(()) }) }
    /// ```
    pub async fn begin(&self, options: BeginOptions) -> Result<Tx> {
        begin(self.context(), options).await
    }

    /// Runs `work` in a transaction: commits it when the work succeeds, rolls it back when it
    /// fails, and runs it again as a whole when it or the commit fails with `Conflict` or
    /// `Contended`, by the retry policy.
    ///
    /// The work may run several times: what it does besides calls of the transaction is done
    /// again. Dropping the future rolls back, unless the commit was under way, which then takes
    /// place entirely or not at all.
    ///
    /// # Errors
    ///
    /// What the work fails with; `Contended`, with the last failure as its source, when attempts
    /// or time run out; `Indeterminate` if it is not known whether the commit took place;
    /// otherwise as for [`begin`](Self::begin).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |db, users| {
    /// users.insert_many(["ada", "bob"].map(User::new)).await?;
    /// db.transaction(TransactionOptions::new(), |tx| async move {
    ///     let users = tx.collection::<User>();
    ///     users.update("ada", |user| user.logins += 1).await?;
    ///     users.delete("bob", Expected::Present).await
    /// })
    /// .await?;
    /// assert!(!users.exists("bob").await?);
    /// # Ok(()) }) }
    /// ```
    pub async fn transaction<R, F>(
        &self,
        options: impl Into<TransactionOptions>,
        mut work: impl FnMut(Tx) -> F,
    ) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let options = options.into();
        let retry = options.retry.as_ref();
        let mut attempts = retry.unwrap_or(&self.context().shared.retry).start();
        loop {
            match run(self.context(), options.begin, &mut work).await {
                Ok(done) => return Ok(done),
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }
}

impl Tx {
    /// The typed handle of the collection of `T` within the transaction.
    #[must_use]
    pub fn collection<T: Document>(&self) -> Collection<T> {
        Collection::new(self.open.context.clone())
    }

    /// Begins a savepoint, whose changes can be undone alone. Until it is committed or rolled
    /// back, every other call of this transaction is refused as `Invalid`. Dropping the future
    /// leaves none open.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the store has no savepoints; `Cancelled` if the transaction is doomed or
    /// over.
    pub async fn savepoint(&self) -> Result<Self> {
        begin(&self.open.context, BeginOptions::new()).await
    }

    /// Runs `work` in a savepoint: keeps what it did when it succeeds, undoes it when it fails.
    /// It is run once; conflicts are for the outermost transaction to retry. Dropping the future
    /// undoes it.
    ///
    /// # Errors
    ///
    /// What the work fails with; otherwise as for [`savepoint`](Self::savepoint).
    pub async fn transaction<R, F>(&self, work: impl FnOnce(Self) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        run(&self.open.context, BeginOptions::new(), work).await
    }

    /// Makes all changes take effect at once; afterwards every call of any clone is refused as
    /// `Cancelled`. Dropping the future leaves the transaction committed or rolled back.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the transaction is doomed or over, `Contended` or `Unavailable`: nothing was
    /// written. `Indeterminate` if that is not known.
    pub async fn commit(self) -> Result<()> {
        let answer = self.open.transaction.commit().await;
        answer.map_err(|error| error.with_operation(Operation::Commit))
    }

    /// Undoes all changes; afterwards every call of any clone is refused as `Cancelled`. Dropping
    /// the future undoes them as well.
    ///
    /// # Errors
    ///
    /// `Unavailable`; the changes are undone all the same.
    pub async fn rollback(self) -> Result<()> {
        let answer = self.open.transaction.rollback().await;
        answer.map_err(|error| error.with_operation(Operation::Rollback))
    }

    /// The transaction as a store, for calls that know no type.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.open.context.store
    }
}

async fn begin(context: &Arc<Context>, options: BeginOptions) -> Result<Tx> {
    let transact = context.store.transact();
    let transact = transact
        .ok_or_else(|| Error::unsupported("transactions").with_operation(Operation::Begin))?;
    let transaction = transact.begin(options).await;
    let transaction = transaction.map_err(|error| error.with_operation(Operation::Begin))?;
    Ok(Tx {
        open: Arc::new(Open {
            context: Arc::new(Context {
                store: transaction.clone(),
                shared: context.shared.clone(),
                scope: Scope::Transaction,
            }),
            transaction,
        }),
    })
}

/// Runs the work once in a transaction of its own.
async fn run<R, F>(
    context: &Arc<Context>,
    options: BeginOptions,
    work: impl FnOnce(Tx) -> F,
) -> Result<R>
where
    F: Future<Output = Result<R>>,
{
    let tx = begin(context, options).await?;
    // The work may leave clones behind; the transaction ends here all the same.
    let _end = Abandon(tx.open.transaction.clone());
    match work(tx.clone()).await {
        Ok(done) => tx.commit().await.map(|()| done),
        Err(failure) => {
            // The work's own error says more than a rollback that failed, which undoes it too.
            let _ = tx.rollback().await;
            Err(failure)
        }
    }
}

struct Abandon(Arc<dyn Transaction>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
