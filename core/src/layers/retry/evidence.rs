//! What a loaded document proves about a write whose fate is unknown.
//!
//! Let `w` be the write's id. The document found under the key, or its absence, proves:
//!
//! | found | proof |
//! | --- | --- |
//! | a document made by `w` | the write took effect |
//! | a document at the version that the write expected | it did not: a version never comes back |
//! | a document one revision after that version, not made by `w` | it did not: another write took its place |
//! | for a delete: a document of the same incarnation | it did not: nothing was deleted |
//! | a document older than the write, or at a version acknowledged to this process before it | it did not: nobody wrote since |
//! | no document, after a put or a patch | it did not, see below |
//! | no document, after a delete | nothing: someone else may have deleted it; a store that can prove its deletes is asked by sending it again |
//! | any other document | nothing: someone else wrote since |
//!
//! *No document after a put or a patch.* Either the write did not take effect, or it did and
//! someone else deleted the document since. These cannot be told apart, and the law that a write
//! without competitors is always resolved decides: it counts as not applied. What then comes is
//! harmless: the outcome is `NotFound`, or the write goes out again as a create, which in the rare
//! second case makes a document again that was deleted a moment ago.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::recent::Recent;
use crate::model::{CollectionName, Expected, RawDocument, Version};
use crate::store::{Action, Write};

/// A moment by two clocks: the one that never goes back stands still while a machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) steady: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time since, by the clock that says more.
    fn elapsed(self) -> Duration {
        self.steady
            .elapsed()
            .max(self.wall.elapsed().unwrap_or_default())
    }
}

/// What is known of the sends of a write whose fate is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unknown {
    /// When the first of them left; or the last moment when it was proved that none had taken
    /// effect.
    pub(super) since: Moment,
    /// The version at which the document was when the first of them could take effect, if known.
    pub(super) base: Option<Version>,
}

impl Unknown {
    pub(super) fn sent(expected: Expected, since: Moment) -> Self {
        let base = match expected {
            Expected::Exactly(version) => Some(version),
            Expected::Any | Expected::Absent | Expected::Present => None,
        };
        Self { since, base }
    }
}

/// What was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The write took effect and made this version.
    Applied(Version),
    /// The write did not take effect.
    NotApplied,
    /// There is no document. For a put or a patch this counts as not applied; alone it proves
    /// nothing of the other items of an atomic bulk.
    Gone,
    /// Nothing; someone else wrote since.
    Nothing,
}

/// What the evidence is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) collection: &'a CollectionName,
    pub(super) recent: &'a Recent,
    pub(super) margin: Duration,
}

impl Judge<'_> {
    /// Judges a document that was loaded just now.
    pub(super) fn judge(
        &self,
        write: &Write,
        unknown: &Unknown,
        found: Option<&RawDocument>,
    ) -> Proof {
        let Some(found) = found else {
            return Proof::Gone;
        };
        if found.write_id == Some(write.write_id) {
            return Proof::Applied(found.version);
        }
        if let Some(base) = unknown.base {
            let is_delete = matches!(write.action, Action::Delete);
            // A document that carries no write id may be ours after all.
            let by_another = found.write_id.is_some();
            if found.version == base
                || (by_another && base.next().is_ok_and(|next| found.version == next))
                || (is_delete && same_incarnation(base, found.version))
            {
                return Proof::NotApplied;
            }
        }
        if self.is_untouched(unknown.since, found) {
            return Proof::NotApplied;
        }
        Proof::Nothing
    }

    /// Whether nobody wrote the document since the moment.
    fn is_untouched(&self, since: Moment, found: &RawDocument) -> bool {
        let older = found.age.is_some_and(|age| {
            let elapsed = since.elapsed();
            age > elapsed + elapsed / 1_000 + self.margin
        });
        let version = found.version;
        older
            || self
                .recent
                .was_there(self.collection, &found.key, version, since.steady)
    }
}

/// Whether two counted versions are of one life of a document, from its creation to its deletion.
fn same_incarnation(a: Version, b: Version) -> bool {
    let incarnation = |v: Version| Some(v.counter()? - i64::try_from(v.revision()?).ok()?);
    incarnation(a).is_some() && incarnation(a) == incarnation(b)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{counter, key, model};
    use super::*;
    use crate::model::WriteId;
    use crate::patch::Patch;

    fn document(version: Version) -> RawDocument {
        RawDocument::new(key("a"), version, counter(0)).with_write_id(WriteId::random())
    }

    fn judge(write: &Write, found: Option<&RawDocument>) -> Proof {
        let recent = Recent::new();
        let model = model();
        let judge = Judge {
            collection: model.name(),
            recent: &recent,
            margin: Duration::from_millis(20),
        };
        let unknown = Unknown::sent(write.expected, Moment::now());
        judge.judge(write, &unknown, found)
    }

    #[test]
    fn the_table_holds() {
        let v = Version::first(1);
        let (next, later) = (v.next().unwrap(), v.next().unwrap().next().unwrap());
        let other = Version::first(2);
        let patch = || Patch::new().unset("a".parse().unwrap());
        let put = |e| Write::put(key("a"), counter(0), e);
        let writes = [
            put(Expected::Any),
            put(Expected::Absent),
            put(Expected::Present),
            put(Expected::Exactly(v)),
            Write::patch(key("a"), patch(), Expected::Any),
            Write::patch(key("a"), patch(), v),
            Write::delete(key("a"), Expected::Any),
            Write::delete(key("a"), v),
        ];
        for write in &writes {
            let own = document(later).with_write_id(write.write_id);
            assert_eq!(judge(write, Some(&own)), Proof::Applied(later));
            assert_eq!(judge(write, None), Proof::Gone);
            assert_eq!(judge(write, Some(&document(other))), Proof::Nothing);
            let old = document(other).with_age(Duration::from_secs(9));
            assert_eq!(judge(write, Some(&old)), Proof::NotApplied);
            let young = document(other).with_age(Duration::from_millis(19));
            assert_eq!(judge(write, Some(&young)), Proof::Nothing);
            let guarded = matches!(write.expected, Expected::Exactly(_));
            let is_delete = matches!(write.action, Action::Delete);
            let proves = |is| {
                if is {
                    Proof::NotApplied
                } else {
                    Proof::Nothing
                }
            };
            assert_eq!(judge(write, Some(&document(v))), proves(guarded));
            assert_eq!(judge(write, Some(&document(next))), proves(guarded));
            let found = judge(write, Some(&document(later)));
            assert_eq!(found, proves(guarded && is_delete));
        }
    }

    #[test]
    fn versions_that_are_not_counted_prove_less() {
        let v = Version::from_sequence(7, 1, 9);
        let after = document(Version::from_sequence(8, 1, 9));
        let write = Write::delete(key("a"), v);
        assert_eq!(judge(&write, Some(&document(v))), Proof::NotApplied);
        assert_eq!(judge(&write, Some(&after)), Proof::Nothing);
    }

    #[test]
    fn a_document_without_write_id_proves_nothing_by_it() {
        let write = Write::put(key("a"), counter(0), Expected::Absent);
        let foreign = RawDocument::new(key("a"), Version::first(1), counter(0));
        assert_eq!(judge(&write, Some(&foreign)), Proof::Nothing);
        let v = Version::first(1);
        let write = Write::put(key("a"), counter(0), v);
        let foreign = RawDocument::new(key("a"), v.next().unwrap(), counter(0));
        assert_eq!(judge(&write, Some(&foreign)), Proof::Nothing);
    }

    #[test]
    fn what_this_process_wrote_before_is_untouched() {
        let recent = Recent::new();
        let model = model();
        let judge = Judge {
            collection: model.name(),
            recent: &recent,
            margin: Duration::from_millis(20),
        };
        let found = document(Version::first(5)).with_age(Duration::ZERO);
        let write = Write::put(key("a"), counter(0), Expected::Any);
        let early = Unknown::sent(write.expected, Moment::now());
        assert_eq!(judge.judge(&write, &early, Some(&found)), Proof::Nothing);
        recent.note(model.name(), &key("a"), found.version);
        let late = Unknown::sent(write.expected, Moment::now());
        assert_eq!(judge.judge(&write, &late, Some(&found)), Proof::NotApplied);
    }
}
