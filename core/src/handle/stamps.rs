//! Created and updated stamps, where it is the handle that writes them.
//!
//! A value is stamped only while it is encoded and put back at once; it takes the stamps over when
//! the write has succeeded. So nothing has to be undone when a write fails or its future is
//! dropped.

use super::codec::{byte_sum, without_common_ends};
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

/// The stamps that a value holds.
pub(crate) fn of<T: Document>(value: &T) -> Stamps {
    Stamps {
        created: value.created(),
        updated: value.updated(),
    }
}

/// Whether the value that was stamped before it was encoded to `stamped` surely encodes to
/// something else than `known` without the new stamps. `false` means that only its plain encoding
/// can tell.
///
/// The plain text is not made: its length and the sum of its bytes follow from those of the
/// stamped text, where one number stands for another. Only what lies between the first and the last
/// difference is summed up.
pub(crate) fn differs_besides(known: &Body, stamped: &Body, before: Stamps, now: Stamps) -> bool {
    let (known, stamped) = without_common_ends(known.as_bytes(), stamped.as_bytes());
    let mut plain = Sum::of_bytes(stamped);
    for (before, now) in [(before.created, now.created), (before.updated, now.updated)] {
        let Some(now) = now else { continue };
        // Without a stamp the member is null or missing: there is no telling.
        let Some(before) = before else { return false };
        let (before, now) = (Sum::of_number(before), Sum::of_number(now));
        plain.length = plain.length - now.length + before.length;
        plain.bytes = plain
            .bytes
            .wrapping_sub(now.bytes)
            .wrapping_add(before.bytes);
    }
    plain != Sum::of_bytes(known)
}

#[derive(PartialEq)]
struct Sum {
    length: i64,
    /// Modulo 2^32: only equality counts.
    bytes: u32,
}

impl Sum {
    fn of_bytes(text: &[u8]) -> Self {
        Self {
            length: i64::try_from(text.len()).unwrap_or(i64::MAX),
            bytes: byte_sum(text),
        }
    }

    fn of_number(timestamp: Timestamp) -> Self {
        let mut rest = timestamp.as_millis().unsigned_abs();
        let negative = timestamp.as_millis() < 0;
        let mut sum = Self {
            length: i64::from(negative),
            bytes: if negative { u32::from(b'-') } else { 0 },
        };
        loop {
            sum.length += 1;
            sum.bytes += u32::from(b'0') + u32::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                return sum;
            }
        }
    }
}

/// Encodes a value as it will be with these stamps; the value itself is left as it was.
pub(crate) fn encode_with<T: Document>(value: &mut T, stamps: Stamps) -> Result<Body> {
    let before = of(value);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_each_other() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        for millis in [0, -1, 9, 10, -100, 1_517_966_773_840] {
            let text = at(millis).as_millis().to_string();
            assert!(
                Sum::of_number(at(millis)) == Sum::of_bytes(text.as_bytes()),
                "{text}"
            );
        }
        let body = |text: &str| Body::parse(text.to_owned()).unwrap();
        let stamps = |updated| Stamps {
            created: None,
            updated,
        };
        let check = |known: &str, stamped: &str, before| {
            let now = stamps(Some(at(1_000)));
            differs_besides(&body(known), &body(stamped), stamps(before), now)
        };
        let (known, before) = (r#"{"n":12,"u":-5}"#, Some(at(-5)));
        assert!(!check(known, r#"{"n":12,"u":1000}"#, before));
        assert!(check(known, r#"{"n":13,"u":1000}"#, before));
        assert!(check(known, r#"{"n":122,"u":1000}"#, before));
        // The sum cannot tell, so the plain encoding has to.
        assert!(!check(known, r#"{"n":21,"u":1000}"#, before));
        assert!(!check(r#"{"n":12}"#, r#"{"n":13,"u":1000}"#, None));
    }
}
