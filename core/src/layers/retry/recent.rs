//! Which versions this process itself made of late.
//!
//! A document found at a version that was acknowledged to this process before some moment has not
//! been written since that moment: versions never come back. This proves without any clock what
//! the age of a document can prove only with a margin, in the case that matters most: a process
//! that writes one document twice in quick succession.
//!
//! It is a table of fixed size. A place holds the newest acknowledgements of a few documents, so
//! that two busy documents that fall to one place do not push each other out. What is lost is only
//! evidence.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::model::{CollectionName, Key, Version};

const PLACES: usize = 256;
/// How many documents one place remembers.
const WAYS: usize = 4;

/// The newest acknowledgements of one place, the newest first.
type Place = Mutex<[Option<Seen>; WAYS]>;

#[derive(Debug)]
pub(super) struct Recent {
    hasher: RandomState,
    places: Box<[Place]>,
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
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whether a bulk of so many items is worth noting: a larger one would overwrite itself.
    pub(super) fn is_worth(items: usize) -> bool {
        items <= PLACES * WAYS / 2
    }

    fn place(&self, collection: &CollectionName, key: &Key) -> (u64, Option<&Place>) {
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
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |seen: &Option<Seen>| seen.is_none_or(|s| s.hash == hash);
        // What the document's own entry, an empty one, or else the oldest one leaves free.
        let free = place.iter().position(same).unwrap_or(WAYS - 1);
        if let Some(newest) = place.get_mut(..=free) {
            newest.rotate_right(1);
            if let Some(first) = newest.first_mut() {
                *first = Some(Seen { hash, version, at });
            }
        }
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
        let place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = place.iter().flatten();
        seen.any(|s| s.hash == hash && s.version == version && s.at <= moment)
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

    #[test]
    fn documents_of_one_place_do_not_push_each_other_out() {
        let recent = Recent::new();
        let users: CollectionName = "users".parse().unwrap();
        let all = (0..10_000).map(|n| Key::new(n.to_string()).unwrap());
        let at = |key: &Key| recent.place(&users, key).0 % PLACES as u64;
        let keys: Vec<Key> = all.filter(|key| at(key) == 0).take(WAYS + 1).collect();
        let version = Version::first(1);
        let later = || Instant::now() + Duration::from_secs(1);
        let known = |key| recent.was_there(&users, key, version, later());
        for key in &keys[..WAYS] {
            recent.note(&users, key, version);
        }
        recent.note(&users, &keys[0], version);
        assert!(keys[..WAYS].iter().all(known));
        recent.note(&users, &keys[WAYS], version);
        // The second one is the one that was not acknowledged for longest.
        assert!(!known(&keys[1]));
        assert!([0, 2, 3, 4].iter().all(|n| known(&keys[*n])));
    }
}
