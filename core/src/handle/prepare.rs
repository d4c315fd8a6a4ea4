//! Making a write of a value, and what the value becomes when the write succeeds. No I/O is done
//! here, and nothing that would have to be undone when the write fails.

use super::codec::same_encoding;
use super::collection::Collection;
use super::computed::take_over;
use super::document::Document;
use super::partial::changes;
use super::save::{Saved, saved_as, version_of};
use super::stamps;
use super::unknown::carry_over;
use super::versioned::{Origin, Versioned};
use crate::error::{Error, Result};
use crate::model::{Body, Expected, FieldPath, Key, Model, UnknownFields};
use crate::patch::{Change, Patch};
use crate::store::{Receipt, Stamping, Stamps, Write};

/// What a value becomes when its write succeeds.
pub(crate) struct Pending {
    /// The body as the store will hold it, or the selected part of it.
    pub(super) stored: Body,
    /// What the value encodes to with the stamps.
    pub(super) known: Body,
    pub(super) stamps: Stamps,
}

impl<T: Document> Collection<T> {
    /// Encodes a value that is to be put without a load.
    pub(crate) fn prepare_put(
        &self,
        model: &Model,
        value: &mut T,
        expected: Expected,
    ) -> Result<(Write, Pending)> {
        if matches!(expected, Expected::Absent | Expected::Any) {
            value.assign_id(&*self.context.shared.ids);
        }
        let key = value.key()?;
        model.check_key(&key)?;
        let clock = &*self.context.shared.clock;
        let stamps = stamps::of_put(model, self.context.stamping(), clock, value, expected, None);
        let body = stamps::encode_with(value, stamps)?;
        let pending = Pending {
            stored: body.clone(),
            known: body.clone(),
            stamps,
        };
        let write = self.computing(model, Write::put(key, body, expected))?;
        Ok((write, pending))
    }

    /// Makes a write of a body that comes from elsewhere, with the stamps that it has.
    #[cfg(feature = "transfer")]
    pub(crate) fn prepare_import(
        &self,
        model: &Model,
        body: &Body,
        expected: Expected,
    ) -> Result<Write> {
        let mut value: T = super::codec::decode(model, body, None)?;
        let known = Body::encode(&value)?;
        value.assign_id(&*self.context.shared.ids);
        let key = value.key()?;
        model.check_key(&key)?;
        let clock = &*self.context.shared.clock;
        // Those that are there are kept wherever it is imported to, so the handle sets the others.
        let by = Stamping::Handle;
        let mut stamps = stamps::of_put(model, by, clock, &value, Expected::Absent, None);
        stamps.created = stamps.created.filter(|_| value.created().is_none());
        stamps.updated = stamps.updated.filter(|_| value.updated().is_none());
        let encoded = stamps::encode_with(&mut value, stamps)?;
        let stored = match model.unknown_fields() {
            UnknownFields::Keep => carry_over::<T>(body, &known, encoded)?,
            UnknownFields::Drop | UnknownFields::Deny => encoded,
        };
        self.computing(model, Write::put(key, stored, expected).keep_stamps())
    }

    /// Encodes the changes of a loaded document; `None` if there are none.
    pub(crate) fn prepare_save(
        &self,
        model: &Model,
        document: &mut Versioned<T>,
    ) -> Result<Option<(Write, Pending)>> {
        match document.origin().selection.is_some() {
            true => self.prepare_part(model, document),
            false => self.prepare_whole(model, document),
        }
    }

    fn prepare_whole(
        &self,
        model: &Model,
        document: &mut Versioned<T>,
    ) -> Result<Option<(Write, Pending)>> {
        let (key, expected) = (document.key().clone(), document.version().into());
        let created = document.origin().created;
        let clock = &*self.context.shared.clock;
        let stamping = self.context.stamping();
        let stamps = stamps::of_put(model, stamping, clock, &**document, expected, created);
        // Most documents that are saved were changed, and most changes show in the stamped text:
        // then the value is encoded once.
        let before = stamps::of(&**document);
        let known = stamps::encode_with(&mut **document, stamps)?;
        let origin = document.origin();
        let changed = !stamps::is_none(stamps)
            && stamps::differs_besides(origin.known::<T>()?, &known, before, stamps);
        if !changed {
            let encoded = match stamps::is_none(stamps) {
                true => known.clone(),
                false => Body::encode(&**document)?,
            };
            if origin.is::<T>(&encoded)? && self.computed.is_empty() {
                return Ok(None);
            }
        }
        check_same_key(&key, &T::key(document)?)?;
        let stored = stored_form::<T>(model, origin, known.clone())?;
        let write = self.computing(model, Write::put(key, stored.clone(), expected))?;
        let pending = Pending {
            stored,
            known,
            stamps,
        };
        Ok(Some((write, pending)))
    }

    fn prepare_part(
        &self,
        model: &Model,
        document: &mut Versioned<T>,
    ) -> Result<Option<(Write, Pending)>> {
        let encoded = Body::encode(&**document)?;
        let origin = document.origin();
        let Some(selection) = origin.selection.as_deref() else {
            return Ok(None);
        };
        if origin.is::<T>(&encoded)? && self.computed.is_empty() {
            return Ok(None);
        }
        let patch = changes(origin.known::<T>()?, &encoded, selection)?;
        if patch.is_empty() && self.computed.is_empty() {
            return Ok(None);
        }
        // A computed key may need what was not loaded: what counts is that it did not change.
        let before = origin.stored.decode::<T>().and_then(|value| value.key());
        if let (Ok(before), Ok(now)) = (before, T::key(document)) {
            check_same_key(&before, &now)?;
        }
        let clock = &*self.context.shared.clock;
        let stamps = stamps::of_patch(model, self.context.stamping(), clock);
        let patch = stamps::onto_patch(patch, model, stamps);
        let known = stamps::encode_with(&mut **document, stamps)?;
        let stored = stored_form::<T>(model, document.origin(), known.clone())?;
        let write = Write::patch(document.key().clone(), patch, document.version());
        let write = self.computing(model, write)?;
        let pending = Pending {
            stored,
            known,
            stamps,
        };
        Ok(Some((write, pending)))
    }

    pub(crate) fn prepare_patch(
        &self,
        model: &Model,
        key: Key,
        patch: Patch,
        expected: Expected,
    ) -> Result<Write> {
        model.check_key(&key)?;
        if self.computed.is_empty() {
            patch.check()?;
        }
        let patch = self.stamped_patch(model, patch)?;
        self.computing(model, Write::patch(key, patch, expected))
    }

    /// A patch with the time of the change, where the handle stamps.
    pub(crate) fn stamped_patch(&self, model: &Model, patch: Patch) -> Result<Patch> {
        check_key_fields::<T>(&patch)?;
        let clock = &*self.context.shared.clock;
        let stamps = stamps::of_patch(model, self.context.stamping(), clock);
        Ok(stamps::onto_patch(patch, model, stamps))
    }

    /// Makes of a saved document what the store made of it.
    pub(crate) fn settle_document(
        &self,
        document: &mut Versioned<T>,
        pending: Pending,
        receipt: &Receipt,
    ) -> Result<Saved> {
        let version = version_of(receipt).map_err(|e| e.with_key(document.key().clone()))?;
        let selection = document.origin().selection.clone();
        let created = document.origin().created;
        let pending = take_over(&mut **document, pending, receipt, selection.as_ref());
        let mut origin = self.stamped(&mut **document, pending, receipt);
        origin.created = origin.created.or(created);
        origin.selection = selection;
        document.settle(version, origin);
        Ok(saved_as(receipt, version))
    }

    /// Writes what a successful put made, by functions and stamps, into its value, and tells what
    /// it is saved as.
    pub(crate) fn settle(&self, value: &mut T, pending: Pending, receipt: &Receipt) -> Origin {
        let pending = take_over(value, pending, receipt, None);
        self.stamped(value, pending, receipt)
    }

    fn stamped(&self, value: &mut T, pending: Pending, receipt: &Receipt) -> Origin {
        let Pending {
            stored,
            known,
            stamps,
        } = pending;
        if self.context.stamping() == Stamping::Handle {
            stamps::take_over(value, stamps);
            return Origin::written(stored, known, value.created());
        }
        stamps::take_over(value, receipt.stamps);
        // The store's stamps are part of what is stored now. The write has succeeded, so nothing
        // here may fail: without them the document only looks changed.
        let stamped = Body::encode(value).unwrap_or_else(|_| known.clone());
        let stored = match same_encoding(&stored, &known) {
            true => stamped.clone(),
            false => carry_over::<T>(&stored, &known, stamped.clone()).unwrap_or(stored),
        };
        Origin::written(stored, stamped, value.created())
    }
}

/// The body to store for a loaded document: with what the type does not know of it, where that is
/// kept.
fn stored_form<T: Document>(model: &Model, origin: &Origin, encoded: Body) -> Result<Body> {
    match model.unknown_fields() {
        UnknownFields::Keep => carry_over::<T>(&origin.stored, origin.known::<T>()?, encoded),
        UnknownFields::Drop | UnknownFields::Deny => Ok(encoded),
    }
}

fn check_same_key(loaded: &Key, now: &Key) -> Result<()> {
    if loaded == now {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the document was loaded as {loaded} and would be saved as {now}: to move it, insert it anew and delete the old one"
    )))
}

/// The fields that the key is made of.
fn fields_of_key<T: Document>() -> impl Iterator<Item = FieldPath> {
    T::key_fields()
        .iter()
        .filter_map(|name| FieldPath::new(name).ok())
}

/// Whether the key is made of this field, or of one above or below it.
pub(super) fn is_of_key<T: Document>(path: &FieldPath) -> bool {
    fields_of_key::<T>().any(|field| field.overlaps(path))
}

fn check_key_fields<T: Document>(patch: &Patch) -> Result<()> {
    for change in patch.changes() {
        let touched = match change {
            Change::Set(path, _)
            | Change::Unset(path)
            | Change::Increment(path, _)
            | Change::Min(path, _)
            | Change::Max(path, _)
            | Change::Append(path, _)
            | Change::Remove(path, _)
            | Change::Merge(Some(path), _) => is_of_key::<T>(path),
            Change::Rename(from, to) => is_of_key::<T>(from) || is_of_key::<T>(to),
            Change::Merge(None, object) => {
                fields_of_key::<T>().any(|field| object.contains_key(field.head()))
            }
        };
        if touched {
            return Err(Error::invalid(format!(
                "the patch changes a field of the key, {}",
                T::key_fields().join(" or ")
            )));
        }
    }
    Ok(())
}
