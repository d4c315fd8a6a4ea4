//! Where one write stands: what was sent, what is known of it, what to do next.
//!
//! This is the decision table of the retry layer, without any I/O. The caller does what a [`Step`]
//! says and tells what came of it:
//!
//! | reply to a send | next |
//! | --- | --- |
//! | success | done |
//! | a failure that is retryable, so surely not applied | pause and send again; when attempts or time are used up: done, after a last look at the document if an earlier send is unknown |
//! | `Indeterminate` | look at the document |
//! | any other failure of the only send | done: it is true |
//! | any other failure after another send | look at the document: an earlier send may have caused it |
//!
//! | proof (see [`evidence`](super::evidence)) | next |
//! | --- | --- |
//! | applied | done, with a receipt made from the document |
//! | not applied | as the table of writes says for the document found: done with `NotFound`, `Conflict` or `AlreadyExists`, or send again, guarded by what was found |
//! | nothing | done: `Indeterminate` |
//!
//! A write that may have left is only ever sent again with `Exactly` or `Absent`, whatever it
//! expected at first. Where that guard fails, the document is looked at again; the write is still
//! known not to have taken effect before, so no competitor can make it take effect twice.

use super::evidence::{Judge, Moment, Proof, Unknown};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Expected, Model, RawDocument, Version};
use crate::store::{Action, Capabilities, Effect, Receipt, Stamping, Stamps, Write};

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing more.
    Done(Result<Receipt>),
    /// Pause, then send [`Progress::to_send`].
    Send,
    /// Load the document and tell [`Progress::found`].
    Look,
}

/// Whether other items of a bulk have the document of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Siblings {
    /// There is no other item with its key.
    #[default]
    None,
    /// There are.
    Some,
}

#[derive(Debug)]
pub(super) struct Progress {
    /// The write as the caller gave it.
    write: Write,
    /// What it is sent with next.
    guard: Expected,
    sends: u32,
    /// There since a send's fate was unknown.
    unknown: Option<Unknown>,
    /// What made the last look necessary.
    cause: Option<Error>,
    /// No more sends: attempts or time are used up.
    last: bool,
    /// If other items of the bulk have the same document, it is never sent again: it would come
    /// after them.
    siblings: Siblings,
}

impl Progress {
    pub(super) fn new(write: Write) -> Self {
        Self {
            guard: write.expected,
            write,
            sends: 0,
            unknown: None,
            cause: None,
            last: false,
            siblings: Siblings::None,
        }
    }

    /// Says whether other items of the bulk have the document.
    pub(super) fn siblings(mut self, siblings: Siblings) -> Self {
        self.siblings = siblings;
        self
    }

    /// Marks a write that was sent before, surely without effect.
    pub(super) fn sent_before(mut self, times: u32) -> Self {
        self.sends = times;
        self
    }

    pub(super) fn write(&self) -> &Write {
        &self.write
    }

    /// The write as it is to be sent now.
    pub(super) fn to_send(&self) -> Write {
        Write {
            expected: self.guard,
            ..self.write.clone()
        }
    }

    /// Tells the reply to a send that left at `sent`. `may_send` is false when attempts or time
    /// are used up.
    pub(super) fn replied(&mut self, reply: Result<Receipt>, sent: Moment, may_send: bool) -> Step {
        self.sends += 1;
        self.last = !may_send || self.siblings != Siblings::None;
        let error = match reply {
            Ok(receipt) => return Step::Done(Ok(receipt)),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Indeterminate {
            self.unknown
                .get_or_insert_with(|| Unknown::sent(self.guard, sent));
        } else if error.is_retryable() {
            if !self.last {
                return Step::Send;
            }
            if self.unknown.is_none() {
                return Step::Done(Err(error));
            }
        } else if self.sends == 1 {
            return Step::Done(Err(error));
        }
        self.cause = Some(error);
        Step::Look
    }

    /// Tells the document that was found by a load that left at `looked`.
    pub(super) fn found(
        &mut self,
        found: Option<&RawDocument>,
        looked: Moment,
        judge: &Judge<'_>,
        model: &Model,
        can: &Capabilities,
    ) -> Step {
        let cause = self
            .cause
            .take()
            .unwrap_or_else(|| Error::internal("looked at a document without a cause"));
        let Some(unknown) = self.unknown else {
            // Every send was surely not applied, as the store said; but if the id is there after
            // all, the failure is of the write's own making.
            return Step::Done(match found {
                Some(found) if found.write_id == Some(self.write.write_id) => {
                    Ok(self.receipt(found, model, can))
                }
                _ => Err(cause),
            });
        };
        match judge.judge(&self.write, &unknown, found) {
            Proof::Applied(_) => match found {
                Some(found) => Step::Done(Ok(self.receipt(found, model, can))),
                None => self.give_up("the document is gone", cause),
            },
            Proof::NotApplied => self.not_applied(found, looked, cause),
            Proof::Gone if matches!(self.write.action, Action::Delete) => self.deleted(cause, can),
            Proof::Gone if self.siblings == Siblings::Some => self.give_up(
                "the document is gone, and it was written by other items of the bulk too",
                cause,
            ),
            Proof::Gone => self.not_applied(None, looked, cause),
            Proof::Nothing => self.give_up("someone else wrote the document since", cause),
        }
    }

    /// Goes on with a delete whose document is gone, which says nothing of who deleted it.
    ///
    /// Only a store that can prove its deletes can tell: it knows the write id of one that is sent
    /// again, and answers it as it did the first time. Without a version that cannot be asked, as
    /// the delete could hit a document that was created since.
    fn deleted(&self, cause: Error, can: &Capabilities) -> Step {
        let can_ask = can.provable_deletes
            && self.siblings == Siblings::None
            && matches!(self.guard, Expected::Exactly(_));
        if can_ask && cause.is_not_found() {
            return Step::Done(match self.write.expected {
                Expected::Any => Ok(Receipt::without_version(Effect::Absent)),
                _ => Err(cause),
            });
        }
        if can_ask && !self.last {
            return Step::Send;
        }
        self.give_up(
            "the document is gone, and nothing tells who deleted it",
            cause,
        )
    }

    /// Tells that the document could not be loaded.
    pub(super) fn not_found_out(&mut self, error: Error) -> Step {
        match (self.cause.take(), self.unknown) {
            // The store said that nothing was applied, and nothing speaks against it.
            (Some(cause), None) => Step::Done(Err(cause)),
            _ => Step::Done(Err(Error::indeterminate(
                "the write may or may not have taken place: the document could not be loaded to find out",
            )
            .with_source(error))),
        }
    }

    #[cold]
    fn give_up(&self, why: &str, cause: Error) -> Step {
        Step::Done(Err(Error::indeterminate(format!(
            "the write may or may not have taken place: {why}"
        ))
        .with_key(self.write.key.clone())
        .with_source(cause)))
    }

    /// Goes on after a proof that no send has taken effect, with the document as it was found.
    fn not_applied(&mut self, found: Option<&RawDocument>, looked: Moment, cause: Error) -> Step {
        if self.siblings != Siblings::None {
            // What the document is now may be the work of the bulk's later items, so it tells
            // nothing of how this one would have been decided.
            return self.not_sent_again(
                ErrorKind::Unavailable,
                "the write did not take place, and other writes of the bulk came after it",
                cause,
            );
        }
        let version = found.map(|document| document.version);
        let guard = match guard_for(&self.write, version) {
            Ok(guard) => guard,
            Err(error) => return Step::Done(Err(error)),
        };
        // What has nothing to do with the guard stays true whatever the document's version.
        let by_guard = is_by_guard(&cause);
        if !by_guard && cause.kind() != ErrorKind::Indeterminate {
            return Step::Done(Err(cause));
        }
        if self.last {
            return if by_guard {
                let why = "the write did not take place: others changed the document each time";
                self.not_sent_again(ErrorKind::Contended, why, cause)
            } else {
                let why = "the write did not take place, however often it was sent";
                self.not_sent_again(ErrorKind::Unavailable, why, cause)
            };
        }
        self.guard = guard;
        self.unknown = Some(Unknown {
            since: looked,
            base: version,
        });
        Step::Send
    }

    #[cold]
    fn not_sent_again(&self, kind: ErrorKind, why: &str, cause: Error) -> Step {
        Step::Done(Err(Error::new(kind, why)
            .with_key(self.write.key.clone())
            .with_source(cause)))
    }

    /// The receipt of a write that took effect, made from the document that it left.
    fn receipt(&self, document: &RawDocument, model: &Model, can: &Capabilities) -> Receipt {
        receipt(&self.write, document, model, can.stamping)
    }
}

/// Whether an error says that the write found something else than it expected.
pub(super) fn is_by_guard(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict | ErrorKind::AlreadyExists | ErrorKind::NotFound
    )
}

/// What a write that was not applied is sent again with, now that the document is at `version`;
/// or its true outcome.
pub(super) fn guard_for(write: &Write, version: Option<Version>) -> Result<Expected> {
    let key = || write.key.clone();
    match (write.expected, version) {
        (Expected::Exactly(wanted), Some(actual)) if wanted != actual => {
            Err(Error::conflict(key(), write.expected, Some(actual)))
        }
        (Expected::Absent, Some(actual)) => Err(Error::already_exists(key(), Some(actual))),
        (_, Some(actual)) => Ok(Expected::Exactly(actual)),
        (Expected::Absent, None) => Ok(Expected::Absent),
        (Expected::Any, None) if matches!(write.action, Action::Put(_)) => Ok(Expected::Absent),
        (_, None) => Err(Error::not_found(key())),
    }
}

/// The receipt of a write that made `document`.
///
/// An unguarded put created the document if it is the first of its life. Where the engine does
/// not count revisions, it is said to have replaced one.
pub(super) fn receipt(
    write: &Write,
    document: &RawDocument,
    model: &Model,
    stamping: Stamping,
) -> Receipt {
    let effect = match (&write.action, write.expected) {
        (Action::Patch(_), _) => Effect::Patched,
        (Action::Delete, _) => Effect::Deleted,
        (Action::Put(_), Expected::Absent) => Effect::Created,
        (Action::Put(_), Expected::Any) if document.version.revision() == Some(1) => {
            Effect::Created
        }
        (Action::Put(_), _) => Effect::Replaced,
    };
    let receipt = Receipt::written(effect, document.version).with_made(write.made_in(document));
    if stamping == Stamping::Handle || !write.sets_stamps(model) {
        return receipt;
    }
    let body = document.body.to_object().unwrap_or_default();
    receipt.with_stamps(Stamps::of(&body, model))
}
