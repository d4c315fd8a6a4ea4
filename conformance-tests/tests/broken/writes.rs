//! Stores that break a promise about writes.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::{Alter, Form};
use strongroom_core::model::{Body, Expected, Key, RawDocument, Version, WriteId};
use strongroom_core::store::{Action, Effect, LoadRequest, Receipt, SaveRequest, Store, Write};
use strongroom_core::{Error, Result};

use super::{rejected, rejected_in};

/// Writes whatever was expected.
#[derive(Debug)]
struct IgnoresExpected;

#[async_trait]
impl Alter for IgnoresExpected {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Expected::Exactly(_) = request.write.expected {
            request.write.expected = Expected::Any;
        }
        inner.save(request).await
    }
}

#[test]
fn ignores_the_expected_version() {
    rejected(|| IgnoresExpected, "writes::put_at_stale", "conflict");
    rejected(|| IgnoresExpected, "writes::delete_at_stale", "conflict");
    rejected(
        || IgnoresExpected,
        "writes::put_absent_exactly",
        "not found",
    );
    rejected_in(
        Form::Bare,
        || IgnoresExpected,
        "races::savers_at_one_version_have_one_winner",
        "one winner",
    );
    rejected_in(
        Form::Bare,
        || IgnoresExpected,
        "linear::saves_loads_and_deletes",
        "one after another",
    );
}

/// Decides by a load, and writes without a guard.
#[derive(Debug)]
struct LooksThenWrites;

#[async_trait]
impl Alter for LooksThenWrites {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Expected::Exactly(version) = request.write.expected {
            let keys = vec![request.write.key.clone()];
            let found = inner
                .load(LoadRequest::new(request.model.clone(), keys))
                .await?;
            if found
                .first()
                .and_then(Option::as_ref)
                .is_some_and(|d| d.version == version)
            {
                tokio::task::yield_now().await;
                request.write.expected = Expected::Any;
            }
        }
        inner.save(request).await
    }
}

#[test]
fn looks_before_it_writes() {
    rejected_in(
        Form::Bare,
        || LooksThenWrites,
        "races::increments",
        "counted",
    );
}

/// Replaces documents that are to be created.
#[derive(Debug)]
struct CreatesOver;

#[async_trait]
impl Alter for CreatesOver {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if request.write.expected == Expected::Absent {
            request.write.expected = Expected::Any;
        }
        inner.save(request).await
    }
}

#[test]
fn creates_over_what_is_there() {
    rejected(|| CreatesOver, "writes::put_at_absent", "already exists");
    rejected_in(
        Form::Bare,
        || CreatesOver,
        "races::creates_have_one_winner",
        "one winner",
    );
}

/// Hands out the version from before a patch.
#[derive(Debug)]
struct LosesVersionAfterPatch;

#[async_trait]
impl Alter for LosesVersionAfterPatch {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let old = match (&request.write.action, request.write.expected) {
            (Action::Patch(_), Expected::Exactly(version)) => Some(version),
            _ => None,
        };
        let mut receipt = inner.save(request).await?;
        receipt.version = old.or(receipt.version);
        Ok(receipt)
    }
}

#[test]
fn loses_the_version_after_a_patch() {
    rejected(
        || LosesVersionAfterPatch,
        "writes::patch_at_exactly",
        "version",
    );
    rejected(
        || LosesVersionAfterPatch,
        "loads::realtime_after_each_write",
        "version",
    );
}

/// Tells a conflict as a missing document.
#[derive(Debug)]
struct ConflictAsNotFound;

#[async_trait]
impl Alter for ConflictAsNotFound {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let key = request.write.key.clone();
        inner.save(request).await.map_err(|error| {
            if error.is_conflict() {
                Error::not_found(key)
            } else {
                error
            }
        })
    }
}

#[test]
fn reports_a_conflict_as_not_found() {
    rejected(|| ConflictAsNotFound, "writes::put_at_stale", "Conflict");
}

/// Tells a conflict with the version that was expected, not the one that is there.
#[derive(Debug)]
struct ConflictTellsWrong;

#[async_trait]
impl Alter for ConflictTellsWrong {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let (key, expected) = (request.write.key.clone(), request.write.expected);
        inner.save(request).await.map_err(|error| match expected {
            Expected::Exactly(version) if error.is_conflict() => {
                Error::conflict(key, expected, Some(version))
            }
            _ => error,
        })
    }
}

#[test]
fn tells_the_wrong_version_of_a_conflict() {
    rejected(
        || ConflictTellsWrong,
        "writes::patch_at_predecessor",
        "was there",
    );
    rejected_in(
        Form::Bare,
        || ConflictTellsWrong,
        "linear::saves_loads_and_deletes",
        "one after another",
    );
}

/// Leaves a part of a write that loses.
#[derive(Debug)]
struct WritesThenRefuses;

#[async_trait]
impl Alter for WritesThenRefuses {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let mut anyway = request.clone();
        let outcome = inner.save(request).await;
        if outcome.as_ref().is_err_and(Error::is_conflict) {
            anyway.write.expected = Expected::Any;
            inner.save(anyway).await?;
        }
        outcome
    }
}

#[test]
fn leaves_what_a_losing_write_wrote() {
    rejected(
        || WritesThenRefuses,
        "writes::put_at_stale",
        "after the refusal",
    );
    rejected(
        || WritesThenRefuses,
        "writes::delete_at_predecessor",
        "after the refusal",
    );
}

/// Stores another write id than the one it was given.
#[derive(Debug)]
struct ForgetsWriteId;

#[async_trait]
impl Alter for ForgetsWriteId {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        request.write.write_id = WriteId::random();
        inner.save(request).await
    }
}

#[test]
fn forgets_the_write_id() {
    rejected(|| ForgetsWriteId, "writes::put_absent_any", "write id");
    rejected(|| ForgetsWriteId, "loads::write_ids_and_ages", "write id");
}

/// Writes a second time what it was not told the outcome of at once.
#[derive(Debug)]
struct Resends;

#[async_trait]
impl Alter for Resends {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let guarded = matches!(
            request.write.expected,
            Expected::Exactly(_) | Expected::Absent
        );
        if !guarded {
            inner.save(request.clone()).await?;
        }
        inner.save(request).await
    }
}

#[test]
fn sends_an_unguarded_write_twice() {
    rejected(|| Resends, "writes::put_absent_any", "effect");
    rejected(|| Resends, "writes::patch_at_any", "body");
    rejected(|| Resends, "patches::unguarded_patches_all_count", "sum");
}

/// Sends a guarded write again, and believes the conflict with itself.
#[derive(Debug)]
struct ConflictsWithItself;

#[async_trait]
impl Alter for ConflictsWithItself {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let first = inner.save(request.clone()).await;
        match (&first, request.write.expected) {
            (Ok(_), Expected::Exactly(_)) => inner.save(request).await,
            _ => first,
        }
    }
}

#[test]
fn conflicts_with_itself_after_a_resend() {
    rejected(|| ConflictsWithItself, "writes::put_at_exactly", "conflict");
    rejected_in(
        Form::Bare,
        || ConflictsWithItself,
        "races::increments",
        "had answered with a conflict",
    );
}

/// Counts versions from 1 again when a document is created again.
#[derive(Debug)]
struct ReusesVersions;

impl ReusesVersions {
    fn shown(&self, version: Version) -> Version {
        let Some(Ok(shown)) = version
            .revision()
            .and_then(|revision| i64::try_from(revision).ok())
            .map(Version::from_counter)
        else {
            return version;
        };
        shown
    }
}

#[async_trait]
impl Alter for ReusesVersions {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Expected::Exactly(version) = request.write.expected {
            let keys = vec![request.write.key.clone()];
            let found = inner
                .load(LoadRequest::new(request.model.clone(), keys))
                .await?;
            let found = found.first().and_then(Option::as_ref);
            if let Some(found) = found.filter(|d| self.shown(d.version) == version) {
                request.write.expected = found.version.into();
            }
        }
        let mut receipt = inner.save(request).await?;
        receipt.version = receipt.version.map(|v| self.shown(v));
        Ok(receipt)
    }

    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        let mut found = inner.load(request).await?;
        for document in found.iter_mut().flatten() {
            document.version = self.shown(document.version);
        }
        Ok(found)
    }
}

#[test]
fn reuses_versions_after_a_delete() {
    rejected(
        || ReusesVersions,
        "versions::do_not_return_after_delete",
        "conflict",
    );
    rejected(
        || ReusesVersions,
        "versions::differ_after_each_write",
        "twice",
    );
    rejected(
        || ReusesVersions,
        "versions::do_not_return_after_drop",
        "before the drop",
    );
}

/// Cuts ids that are longer than 255 bytes, or otherwise takes some ids for others.
#[derive(Debug)]
struct Mangles(fn(&str) -> String);

impl Mangles {
    fn key(&self, key: &Key) -> Key {
        Key::new((self.0)(key.id().as_str())).unwrap_or_else(|_| key.clone())
    }
}

#[async_trait]
impl Alter for Mangles {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        request.write.key = self.key(&request.write.key);
        inner.save(request).await
    }

    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        mut request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        let asked = request.keys.clone();
        request.keys = asked.iter().map(|key| self.key(key)).collect();
        let mut found = inner.load(request).await?;
        for (document, key) in found.iter_mut().zip(asked) {
            if let Some(document) = document {
                document.key = key;
            }
        }
        Ok(found)
    }
}

#[test]
fn takes_some_ids_for_others() {
    let case = "ids::are_stored_apart";
    let truncates = || Mangles(|id| id.chars().take(255).collect());
    rejected(truncates, case, "already exists");
    rejected(
        || Mangles(|id| id.trim_end().to_owned()),
        case,
        "already exists",
    );
    rejected(
        || Mangles(|id| id.to_ascii_lowercase()),
        case,
        "already exists",
    );
    rejected(
        || Mangles(|id| id.replace("a\u{308}", "ä")),
        case,
        "already exists",
    );
    rejected(
        || Mangles(|id| id.replace('/', "_")),
        case,
        "already exists",
    );
}

/// Drops members of the body that the model does not declare.
#[derive(Debug)]
struct DropsUnknownFields;

#[async_trait]
impl Alter for DropsUnknownFields {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Action::Put(body) = &request.write.action {
            let mut object = body.to_object()?;
            let heads: Vec<String> = request
                .model
                .fields()
                .map(|f| f.path.head().to_owned())
                .collect();
            object.retain(|name, _| heads.contains(name));
            request.write.action = Action::Put(Body::encode(&object)?);
        }
        inner.save(request).await
    }
}

#[test]
fn drops_unknown_fields() {
    rejected(|| DropsUnknownFields, "bodies::shapes", "another value");
    rejected(
        || DropsUnknownFields,
        "bodies::text_of_any_script",
        "another value",
    );
}

/// Keeps numbers as floats.
#[derive(Debug)]
struct RoundsNumbers;

#[async_trait]
impl Alter for RoundsNumbers {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        if let Action::Put(body) = &request.write.action {
            let mut object = body.to_object()?;
            for value in object.values_mut() {
                if let Some(number) = value.as_i64().filter(|n| n.unsigned_abs() > 1 << 53) {
                    #[allow(clippy::cast_precision_loss, reason = "the loss is the point")]
                    let float = number as f64;
                    *value = float.into();
                }
            }
            request.write.action = Action::Put(Body::encode(&object)?);
        }
        inner.save(request).await
    }
}

#[test]
fn rounds_large_integers() {
    rejected(
        || RoundsNumbers,
        "bodies::numbers_at_their_edges",
        "another value",
    );
}

/// Writes on a task of its own, and lets the reply of a save that is cut off go astray: half of a
/// save is made when its caller is gone.
#[derive(Debug)]
struct HalfWhenCut;

#[async_trait]
impl Alter for HalfWhenCut {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let replaces = matches!(request.write.expected, Expected::Exactly(_));
        if let (Action::Put(_), true) = (&request.write.action, replaces) {
            let mut half = request.clone();
            half.write = Write::put(half.write.key, Body::parse("{}")?, half.write.expected);
            let version = inner.save(half).await?.version;
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let mut rest = request;
            rest.write.expected = version.map_or(Expected::Present, Expected::Exactly);
            return inner.save(rest).await;
        }
        inner.save(request).await
    }
}

#[test]
fn leaves_half_a_save_that_is_cut_off() {
    rejected(
        || HalfWhenCut,
        "cancel::replacements",
        "neither as before nor",
    );
}

/// Says that a delete of what is not there deleted it.
#[derive(Debug)]
struct DeletesNothing;

#[async_trait]
impl Alter for DeletesNothing {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let mut receipt = inner.save(request).await?;
        if receipt.effect == Effect::Absent {
            receipt.effect = Effect::Deleted;
        }
        Ok(receipt)
    }
}

#[test]
fn says_that_it_deleted_what_was_not_there() {
    rejected(|| DeletesNothing, "writes::delete_absent_any", "effect");
}
