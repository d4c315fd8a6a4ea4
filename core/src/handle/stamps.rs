//! Created and updated stamps, where it is the handle that writes them.
//!
//! A value is stamped only while it is encoded and put back at once; it takes the stamps over when
//! the write has succeeded. So nothing has to be undone when a write fails or its future is
//! dropped.

use super::document::Document;
use crate::clock::Clock;
use crate::error::Result;
use crate::model::{Body, Expected, Model, Timestamp};
use crate::patch::Patch;
use crate::store::{Stamping, Stamps};

/// The stamps to write into a value that creates or replaces a document.
pub(crate) fn of_put<T: Document>(
    model: &Model,
    stamping: Stamping,
    clock: &dyn Clock,
    value: &T,
    expected: Expected,
    loaded: Option<Timestamp>,
) -> Stamps {
    if stamping != Stamping::Handle || (model.created().is_none() && model.updated().is_none()) {
        return Stamps::default();
    }
    let now = clock.now();
    let created = match expected {
        Expected::Absent => Some(now),
        // It may create or replace; a value that was loaded before tells its own.
        Expected::Any => value.created().or(Some(now)),
        Expected::Present | Expected::Exactly(_) => loaded.or_else(|| value.created()),
    };
    Stamps {
        created: created.filter(|_| model.created().is_some()),
        updated: Some(now).filter(|_| model.updated().is_some()),
    }
}

/// Encodes a value as it will be with these stamps; the value itself is left as it was.
pub(crate) fn encode_with<T: Document>(value: &mut T, stamps: Stamps) -> Result<Body> {
    let before = Stamps {
        created: value.created(),
        updated: value.updated(),
    };
    take_over(value, stamps);
    let body = Body::encode(value);
    value.restore_stamps(before);
    body
}

/// Writes the stamps of a successful write into its value.
pub(crate) fn take_over<T: Document>(value: &mut T, stamps: Stamps) {
    if let Some(created) = stamps.created {
        value.set_created(created);
    }
    if let Some(updated) = stamps.updated {
        value.set_updated(updated);
    }
}

/// Whether there is anything to write.
pub(crate) fn is_none(stamps: Stamps) -> bool {
    stamps == Stamps::default()
}

/// The stamps to write with a patch.
pub(crate) fn of_patch(model: &Model, stamping: Stamping, clock: &dyn Clock) -> Stamps {
    let stamped = stamping == Stamping::Handle && model.updated().is_some();
    Stamps {
        created: None,
        updated: stamped.then(|| clock.now()),
    }
}

/// Adds the stamp of a change to a patch.
pub(crate) fn onto_patch(patch: Patch, model: &Model, stamps: Stamps) -> Patch {
    match (model.updated(), stamps.updated) {
        (Some(path), Some(updated)) => patch.set(path.clone(), updated.as_millis()),
        _ => patch,
    }
}
