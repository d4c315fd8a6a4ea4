//! Stores that break a promise about schemas, unique fields and capabilities.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::Alter;
use strongroom_core::model::{CollectionName, FieldDeclaration, Model};
use strongroom_core::store::{
    BulkReply, BulkRequest, Capabilities, CollectionDescription, EnsureReport, EnsureRequest, Store,
};
use strongroom_core::{Error, ErrorKind, Result};

use super::rejected;

fn rebuilt(model: &Model, change: impl Fn(FieldDeclaration) -> FieldDeclaration) -> Arc<Model> {
    let mut builder = Model::builder(model.name().as_str());
    if model.is_routed() {
        builder = builder.routed();
    }
    for field in model.fields() {
        builder = builder.field(change(field.clone()));
    }
    builder.build().unwrap()
}

/// Takes a model that contradicts the stored one by making the collection anew.
#[derive(Debug)]
struct ChangesTypes;

#[async_trait]
impl Alter for ChangesTypes {
    async fn ensure(&self, inner: &Arc<dyn Store>, request: EnsureRequest) -> Result<EnsureReport> {
        match inner.ensure(request.clone()).await {
            Err(error) if error.kind() == ErrorKind::SchemaMismatch => {
                inner.drop_collection(request.model.name().clone()).await?;
                inner.ensure(request).await
            }
            other => other,
        }
    }
}

#[test]
fn changes_a_type_in_silence() {
    rejected(
        || ChangesTypes,
        "schema::ensure_refuses_to_change",
        "schema mismatch",
    );
}

/// Does not enforce unique fields.
#[derive(Debug)]
struct UniqueInName;

#[async_trait]
impl Alter for UniqueInName {
    async fn ensure(
        &self,
        inner: &Arc<dyn Store>,
        mut request: EnsureRequest,
    ) -> Result<EnsureReport> {
        request.model = rebuilt(&request.model, |mut field| {
            field.unique = false;
            field
        });
        inner.ensure(request).await
    }

    async fn save(
        &self,
        inner: &Arc<dyn Store>,
        mut request: strongroom_core::store::SaveRequest,
    ) -> Result<strongroom_core::store::Receipt> {
        request.model = rebuilt(&request.model, |mut field| {
            field.unique = false;
            field
        });
        inner.save(request).await
    }
}

#[test]
fn does_not_enforce_unique_fields() {
    rejected(
        || UniqueInName,
        "unique::one_holder_of_a_value",
        "unique violation",
    );
    rejected(
        || UniqueInName,
        "unique::one_winner_of_a_race",
        "unique value",
    );
}

/// Says of each ensure that it created the collection.
#[derive(Debug)]
struct AlwaysCreated;

#[async_trait]
impl Alter for AlwaysCreated {
    async fn ensure(&self, inner: &Arc<dyn Store>, request: EnsureRequest) -> Result<EnsureReport> {
        inner.ensure(request).await.map(|_| EnsureReport::created())
    }
}

#[test]
fn says_that_it_created_what_was_there() {
    rejected(
        || AlwaysCreated,
        "schema::ensure_twice_changes_nothing",
        "second ensure",
    );
    rejected(|| AlwaysCreated, "schema::ensure_raced", "created");
}

/// Fails all but the first of those who ensure one collection at once.
#[derive(Debug, Default)]
struct EnsureRaces(std::sync::atomic::AtomicUsize);

#[async_trait]
impl Alter for EnsureRaces {
    async fn ensure(&self, inner: &Arc<dyn Store>, request: EnsureRequest) -> Result<EnsureReport> {
        use std::sync::atomic::Ordering::SeqCst;
        let name = request.model.name().clone();
        let there = inner.describe(name).await?.is_some();
        let others = self.0.fetch_add(1, SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let outcome = if others > 0 && !there {
            Err(Error::new(ErrorKind::AlreadyExists, "table exists"))
        } else {
            inner.ensure(request).await
        };
        self.0.fetch_sub(1, SeqCst);
        outcome
    }
}

#[test]
fn fails_when_ensured_at_once() {
    rejected(EnsureRaces::default, "schema::ensure_raced", "at once");
}

/// Leaves unique fields out of its descriptions.
#[derive(Debug)]
struct DescribesLess;

#[async_trait]
impl Alter for DescribesLess {
    async fn describe(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<Option<CollectionDescription>> {
        let described = inner.describe(collection).await?;
        Ok(described.map(|mut described| {
            described.model = rebuilt(&described.model, |mut field| {
                field.unique = false;
                field
            });
            described
        }))
    }
}

#[test]
fn describes_less_than_it_keeps() {
    rejected(
        || DescribesLess,
        "schema::describe_tells_what_is_kept",
        "unique",
    );
}

/// Keeps the documents of a dropped collection.
#[derive(Debug)]
struct DropsNothing;

#[async_trait]
impl Alter for DropsNothing {
    async fn drop_collection(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<bool> {
        Ok(inner.describe(collection).await?.is_some())
    }
}

#[test]
fn keeps_what_was_dropped() {
    rejected(|| DropsNothing, "schema::drop_takes_all", "");
    rejected(|| DropsNothing, "versions::do_not_return_after_drop", "");
}

/// Does not grant atomic bulks, and carries them out all the same, one item after another.
#[derive(Debug)]
struct ModestAndWrong;

#[async_trait]
impl Alter for ModestAndWrong {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        let mut can = inner.clone();
        can.atomic_bulk = false;
        can
    }

    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        request.atomic = false;
        inner.bulk(request).await
    }
}

#[test]
fn ignores_that_a_bulk_is_to_be_atomic() {
    use strongroom_conformance::{Form, outcome};
    // Under the layers the request never arrives, so only the store itself can be wrong.
    let case = "bulk::atomic_is_refused_where_not_granted";
    let failure = outcome(super::Broken(|| ModestAndWrong), Form::Bare, case).unwrap_err();
    assert!(failure.to_string().contains("unsupported"), "{failure}");
    outcome(super::Broken(|| ModestAndWrong), Form::Layered, case).unwrap();
}

/// Says that what it keeps survives the process, though nothing can be opened again.
#[derive(Debug)]
struct ClaimsDurability;

impl Alter for ClaimsDurability {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        let mut can = inner.clone();
        can.durable = true;
        can
    }
}

#[test]
fn claims_to_be_durable() {
    rejected(
        || ClaimsDurability,
        "capabilities::durable_means_it_is_there_again",
        "reopen",
    );
}

/// Works on after it was closed.
#[derive(Debug)]
struct NeverCloses;

#[async_trait]
impl Alter for NeverCloses {
    async fn close(&self, _: &Arc<dyn Store>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn works_on_after_it_was_closed() {
    rejected(
        || NeverCloses,
        "capabilities::closed_stores_say_so",
        "after the store was closed",
    );
}
