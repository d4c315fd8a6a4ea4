//! Which versions this process itself made of late.
//!
//! A document found at a version that was acknowledged to this process before some moment has not
//! been written since that moment: versions never come back. This proves without any clock what
//! the age of a document can prove only with a margin, in the case that matters most: a process
//! that writes one document twice in quick succession.
//!
//! It is a table of fixed size in which a newer acknowledgement replaces an older one of the same
//! place. What is lost is only evidence, and only of a moment ago.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::model::{CollectionName, Key, Version};

const PLACES: usize = 1_024;

#[derive(Debug)]
pub(super) struct Recent {
    hasher: RandomState,
    places: Box<[Mutex<Option<Seen>>]>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    hash: u64,
    version: Version,
    at: Instant,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Whether a bulk of so many items is worth noting: a larger one would overwrite itself.
    pub(super) fn is_worth(items: usize) -> bool {
        items <= PLACES / 2
    }

    fn place(&self, collection: &CollectionName, key: &Key) -> (u64, Option<&Mutex<Option<Seen>>>) {
        let hash = self.hasher.hash_one((collection, key));
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the remainder is less than the number of places"
        )]
        let place = (hash % PLACES as u64) as usize;
        (hash, self.places.get(place))
    }

    /// Remembers that the version was acknowledged just now.
    pub(super) fn note(&self, collection: &CollectionName, key: &Key, version: Version) {
        let (hash, Some(place)) = self.place(collection, key) else {
            return;
        };
        let at = Instant::now();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { hash, version, at });
    }

    /// Whether the version was acknowledged to this process by `moment`.
    pub(super) fn was_there(
        &self,
        collection: &CollectionName,
        key: &Key,
        version: Version,
        moment: Instant,
    ) -> bool {
        let (hash, Some(place)) = self.place(collection, key) else {
            return false;
        };
        let seen = *place.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|s| s.hash == hash && s.version == version && s.at <= moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn knows_the_last_acknowledged_version_and_when() {
        let recent = Recent::new();
        let users: CollectionName = "users".parse().unwrap();
        let other: CollectionName = "others".parse().unwrap();
        let key = Key::new("a").unwrap();
        let (old, new) = (Version::first(1), Version::first(2));
        let start = Instant::now();
        recent.note(&users, &key, old);
        recent.note(&users, &key, new);
        let later = Instant::now() + Duration::from_secs(1);
        assert!(recent.was_there(&users, &key, new, later));
        assert!(!recent.was_there(&users, &key, old, later));
        assert!(!recent.was_there(&other, &key, new, later));
        assert!(!recent.was_there(&users, &key, new, start - Duration::from_secs(1)));
    }
}
