//! The table of writes as one pure function.
//!
//! It stands between a request and an engine's step: an adapter that reads the version under its
//! own guard asks here what the write comes to, and an adapter whose engine decides by itself asks
//! here afterwards which error to tell. So every engine gives the same answer.

use std::fmt;

use super::{Action, BulkItem, Effect};
use crate::error::{Error, Result};
use crate::model::{Expected, Key, Version};

/// What a write is about to do, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Create the document or replace its whole body.
    Put,
    /// Change parts of the body.
    Patch,
    /// Delete the document.
    Delete,
    /// Write nothing, and fail as a write would.
    Check,
}

impl Intent {
    /// The intent's name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Check => "check",
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&Action> for Intent {
    fn from(action: &Action) -> Self {
        match action {
            Action::Put(_) => Self::Put,
            Action::Patch(_) => Self::Patch,
            Action::Delete => Self::Delete,
        }
    }
}

impl From<&BulkItem> for Intent {
    fn from(item: &BulkItem) -> Self {
        match item {
            BulkItem::Write(write) => Self::from(&write.action),
            BulkItem::Check { .. } => Self::Check,
        }
    }
}

impl Expected {
    /// Checks what can be checked before the document is looked at.
    ///
    /// # Errors
    ///
    /// `Invalid` if a patch or a delete expects no document.
    pub fn check(self, intent: Intent, key: &Key) -> Result<()> {
        match (self, intent) {
            (Self::Absent, Intent::Patch | Intent::Delete) => Err(Error::invalid(format!(
                "a {intent} cannot expect that there is no document"
            ))
            .with_key(key.clone())),
            _ => Ok(()),
        }
    }

    /// Decides a write by the table at [`Expected`]: what it comes to when the document under
    /// `key` is at the version `actual`, or is not there.
    ///
    /// [`Effect::Absent`] and [`Effect::Checked`] leave everything as it is.
    ///
    /// # Errors
    ///
    /// `NotFound`, `AlreadyExists`, `Conflict` and `Invalid` by the table.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::ErrorKind;
    /// use strongroom_core::model::{Expected, Key, Version};
    /// use strongroom_core::store::{Effect, Intent};
    ///
    /// let (key, version) = (Key::new("ada")?, Version::first(1));
    /// let guard = Expected::Exactly(version);
    /// assert_eq!(guard.decide(Intent::Put, &key, Some(version))?, Effect::Replaced);
    /// let stale = guard.decide(Intent::Put, &key, Some(version.next()?));
    /// assert_eq!(stale.map_err(|e| e.kind()), Err(ErrorKind::Conflict));
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    pub fn decide(self, intent: Intent, key: &Key, actual: Option<Version>) -> Result<Effect> {
        self.check(intent, key)?;
        match (self, actual) {
            (Self::Present | Self::Exactly(_), None) => Err(Error::not_found(key.clone())),
            (Self::Any, None) if intent == Intent::Patch => Err(Error::not_found(key.clone())),
            (Self::Absent, Some(_)) => Err(Error::already_exists(key.clone(), actual)),
            (Self::Exactly(version), Some(there)) if version != there => {
                Err(Error::conflict(key.clone(), self, actual))
            }
            _ => Ok(match (intent, actual) {
                (Intent::Put, None) => Effect::Created,
                (Intent::Put, Some(_)) => Effect::Replaced,
                (Intent::Patch, _) => Effect::Patched,
                (Intent::Delete, None) => Effect::Absent,
                (Intent::Delete, Some(_)) => Effect::Deleted,
                (Intent::Check, _) => Effect::Checked,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind::{AlreadyExists, Conflict, Invalid, NotFound};

    #[test]
    fn the_whole_table() {
        let key = Key::new("a").unwrap();
        let there = Version::first(1);
        let other = Version::first(2);
        let guards = [
            Expected::Any,
            Expected::Absent,
            Expected::Present,
            Expected::Exactly(there),
            Expected::Exactly(other),
        ];
        let rows = [
            (
                Intent::Put,
                None,
                [
                    Ok(Effect::Created),
                    Ok(Effect::Created),
                    Err(NotFound),
                    Err(NotFound),
                    Err(NotFound),
                ],
            ),
            (
                Intent::Put,
                Some(there),
                [
                    Ok(Effect::Replaced),
                    Err(AlreadyExists),
                    Ok(Effect::Replaced),
                    Ok(Effect::Replaced),
                    Err(Conflict),
                ],
            ),
            (
                Intent::Patch,
                None,
                [
                    Err(NotFound),
                    Err(Invalid),
                    Err(NotFound),
                    Err(NotFound),
                    Err(NotFound),
                ],
            ),
            (
                Intent::Patch,
                Some(there),
                [
                    Ok(Effect::Patched),
                    Err(Invalid),
                    Ok(Effect::Patched),
                    Ok(Effect::Patched),
                    Err(Conflict),
                ],
            ),
            (
                Intent::Delete,
                None,
                [
                    Ok(Effect::Absent),
                    Err(Invalid),
                    Err(NotFound),
                    Err(NotFound),
                    Err(NotFound),
                ],
            ),
            (
                Intent::Delete,
                Some(there),
                [
                    Ok(Effect::Deleted),
                    Err(Invalid),
                    Ok(Effect::Deleted),
                    Ok(Effect::Deleted),
                    Err(Conflict),
                ],
            ),
            (
                Intent::Check,
                None,
                [
                    Ok(Effect::Checked),
                    Ok(Effect::Checked),
                    Err(NotFound),
                    Err(NotFound),
                    Err(NotFound),
                ],
            ),
            (
                Intent::Check,
                Some(there),
                [
                    Ok(Effect::Checked),
                    Err(AlreadyExists),
                    Ok(Effect::Checked),
                    Ok(Effect::Checked),
                    Err(Conflict),
                ],
            ),
        ];
        for (intent, actual, outcomes) in rows {
            for (guard, wanted) in guards.into_iter().zip(outcomes) {
                let outcome = guard.decide(intent, &key, actual);
                let said = format!("{intent} expecting {guard} with {actual:?}");
                match &outcome {
                    Err(e) if matches!(e.kind(), Conflict | AlreadyExists) => {
                        assert_eq!(e.actual_version(), actual, "{said}");
                        assert_eq!(e.conflict_detail().unwrap().expected, guard, "{said}");
                    }
                    Err(e) => assert!(e.conflict_detail().is_none(), "{said}"),
                    Ok(_) => {}
                }
                if let Err(e) = &outcome {
                    assert_eq!(e.key(), Some(&key), "{said}");
                }
                assert_eq!(outcome.map_err(|e| e.kind()), wanted, "{said}");
            }
        }
    }
}
