//! Stores that break a promise about transactions.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::{Alter, Form};
use strongroom_core::model::Expected;
use strongroom_core::store::{Capabilities, Receipt, SaveRequest, Store, Transaction};
use strongroom_core::{ErrorKind, Result};

use super::{rejected, rejected_in};

/// Commits a transaction that is dropped.
#[derive(Debug)]
struct CommitsOnDrop;

#[async_trait]
impl Alter for CommitsOnDrop {
    fn dropped(&self, inner: Arc<dyn Transaction>) {
        tokio::spawn(async move { inner.commit().await });
    }
}

#[test]
fn commits_on_drop() {
    rejected(|| CommitsOnDrop, "transactions::dropping_undoes_all", "");
}

/// Leaves a transaction open that is dropped.
#[derive(Debug)]
struct LeaksOnDrop;

#[async_trait]
impl Alter for LeaksOnDrop {
    fn dropped(&self, inner: Arc<dyn Transaction>) {
        std::mem::forget(inner);
    }
}

#[test]
fn leaves_a_dropped_transaction_open() {
    rejected_in(
        Form::Bare,
        || LeaksOnDrop,
        "transactions::dropping_undoes_all",
        "contended",
    );
}

/// Commits where it should roll back.
#[derive(Debug)]
struct RollbackCommits;

#[async_trait]
impl Alter for RollbackCommits {
    async fn rollback(&self, inner: &Arc<dyn Transaction>) -> Result<()> {
        match inner.commit().await {
            Err(error) if error.kind() == ErrorKind::Cancelled => Ok(()),
            other => other,
        }
    }
}

#[test]
fn commits_instead_of_rolling_back() {
    rejected(
        || RollbackCommits,
        "transactions::rollback_undoes_all",
        "after the rollback",
    );
    rejected(|| RollbackCommits, "savepoints::nest", "");
}

/// Says that it committed, and rolls back.
#[derive(Debug)]
struct CommitForgets;

#[async_trait]
impl Alter for CommitForgets {
    async fn commit(&self, inner: &Arc<dyn Transaction>) -> Result<()> {
        inner.rollback().await
    }
}

#[test]
fn forgets_what_it_committed() {
    rejected(
        || CommitForgets,
        "transactions::commit_makes_all_visible",
        "after the commit",
    );
}

/// Lets a transaction's writes go around it.
#[test]
fn leaks_uncommitted_writes() {
    use strongroom_conformance::{Setup, altered, outcome};
    use strongroom_core::memory::{MemoryOptions, MemoryStore};

    /// The transactions are those of another, empty store, so that nobody waits for them.
    #[derive(Debug)]
    struct Elsewhere(Arc<dyn Store>);

    #[async_trait]
    impl Alter for Elsewhere {
        async fn save(&self, _: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
            self.0.save(request).await
        }

        async fn load(
            &self,
            _: &Arc<dyn Store>,
            request: strongroom_core::store::LoadRequest,
        ) -> Result<Vec<Option<strongroom_core::model::RawDocument>>> {
            self.0.load(request).await
        }

        async fn bulk(
            &self,
            _: &Arc<dyn Store>,
            request: strongroom_core::store::BulkRequest,
        ) -> Result<strongroom_core::store::BulkReply> {
            self.0.bulk(request).await
        }

        async fn find(
            &self,
            _: &Arc<dyn Store>,
            request: strongroom_core::store::FindRequest,
        ) -> Result<strongroom_core::store::Page> {
            self.0.find(request).await
        }

        async fn count(
            &self,
            _: &Arc<dyn Store>,
            request: strongroom_core::store::CountRequest,
        ) -> Result<u64> {
            self.0.count(request).await
        }

        async fn ensure(
            &self,
            _: &Arc<dyn Store>,
            request: strongroom_core::store::EnsureRequest,
        ) -> Result<strongroom_core::store::EnsureReport> {
            self.0.ensure(request).await
        }
    }

    struct Leaky;
    impl Setup for Leaky {
        async fn store(&self) -> Arc<dyn Store> {
            let data = Arc::new(MemoryStore::with_options(MemoryOptions::new()));
            altered(Arc::new(MemoryStore::new()), Elsewhere(data))
        }
    }
    for (case, says) in [
        (
            "transactions::commit_makes_all_visible",
            "outside, before the commit",
        ),
        ("transactions::rollback_undoes_all", "after the rollback"),
        (
            "isolation::readers_outside_see_what_is_committed",
            "before the commit",
        ),
    ] {
        let failure = outcome(Leaky, Form::Bare, case).unwrap_err().to_string();
        assert!(failure.contains(says), "{case}: {failure}");
    }
}

/// Ignores versions within transactions.
#[derive(Debug)]
struct Unguarded;

#[async_trait]
impl Alter for Unguarded {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Expected::Exactly(_) = request.write.expected {
            request.write.expected = Expected::Any;
        }
        inner.save(request).await
    }
}

#[test]
fn ignores_versions_within_transactions() {
    rejected(
        || Unguarded,
        "transactions::refusals_doom_nothing",
        "conflict",
    );
}

/// Dooms a transaction whose write met a conflict.
#[derive(Debug)]
struct ConflictDooms;

#[async_trait]
impl Alter for ConflictDooms {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let outcome = inner.save(request).await;
        if outcome.as_ref().is_err_and(|e| e.is_conflict()) {
            inner.close().await?;
        }
        outcome
    }
}

#[test]
fn dooms_a_transaction_by_a_conflict() {
    rejected(
        || ConflictDooms,
        "transactions::refusals_doom_nothing",
        "cancelled",
    );
}

/// Grants transactions that it does not have.
#[derive(Debug)]
struct Boasts;

impl Alter for Boasts {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        let mut can = inner.clone();
        can.savepoints = true;
        can.transactions = !inner.transactions;
        can
    }
}

#[test]
fn says_wrongly_what_transactions_it_has() {
    rejected(|| Boasts, "capabilities::name_the_engine", "transactions");
}
