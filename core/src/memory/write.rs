//! Saves and bulks: the table of writes, carried out.

use std::sync::Arc;

use super::collection::{Collection, Stored};
use super::shared::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Body, Key, Version};
use crate::store::{Action, BulkItem, Effect, Intent, Made, Receipt, Write};

/// What stood under a key before a write, so that an atomic bulk can put it back.
struct Undo<'a> {
    key: &'a Key,
    before: Option<Arc<Stored>>,
}

impl Collection {
    /// Carries out one write, or fails and leaves everything as it was.
    pub(super) fn save(&mut self, write: &Write, moment: &Moment) -> Result<Receipt> {
        self.write(write, moment).map(|(receipt, _)| receipt)
    }

    fn write<'a>(
        &mut self,
        write: &'a Write,
        moment: &Moment,
    ) -> Result<(Receipt, Option<Undo<'a>>)> {
        let key = &write.key;
        self.model.check_key(key)?;
        let stored = self.documents.get(key);
        let actual = stored.map(|stored| stored.version);
        let effect = write
            .expected
            .decide(Intent::from(&write.action), key, actual)?;
        let body: Option<Body> = match (&write.action, stored) {
            (Action::Put(body), _) => Some(body.clone()),
            (Action::Patch(patch), Some(stored)) => Some(patch.apply(&stored.body)?),
            // A patch of nothing was refused above.
            (Action::Patch(_) | Action::Delete, _) => None,
        };
        if effect == Effect::Absent {
            return Ok((Receipt::without_version(effect), None));
        }
        let Some(body) = body else {
            let before = self.replace(key, None)?;
            let undo = Undo { key, before };
            return Ok((Receipt::without_version(effect), Some(undo)));
        };
        let (body, made) = if write.computed.is_empty() {
            (body, Made::new())
        } else {
            let mut write = write.clone();
            write.make_ready(moment.functions(), &self.model)?;
            write.computed_onto(body)?
        };
        let version = match actual {
            Some(actual) => actual.next()?,
            None => Version::created(),
        };
        let after = Stored::new(version, body, write.write_id, moment.now());
        let before = self.replace(key, Some(Arc::new(after)))?;
        let undo = Undo { key, before };
        Ok((
            Receipt::written(effect, version).with_made(made),
            Some(undo),
        ))
    }

    fn item<'a>(
        &mut self,
        item: &'a BulkItem,
        moment: &Moment,
    ) -> Result<(Receipt, Option<Undo<'a>>)> {
        match item {
            BulkItem::Write(write) => self.write(write, moment),
            BulkItem::Check { key, expected } => {
                self.model.check_key(key)?;
                let actual = self.documents.get(key).map(|stored| stored.version);
                let effect = expected.decide(Intent::Check, key, actual)?;
                Ok((Receipt::without_version(effect), None))
            }
        }
    }

    /// Carries out the items one after another, each for itself.
    pub(super) fn bulk(&mut self, items: &[BulkItem], moment: &Moment) -> Vec<Result<Receipt>> {
        let outcomes = items
            .iter()
            .map(|item| self.item(item, moment).map(|(receipt, _)| receipt));
        outcomes.collect()
    }

    /// Carries out all items or none. Those after a failed one are tried all the same, so that
    /// each that fails tells its own error.
    pub(super) fn bulk_atomic(
        &mut self,
        items: &[BulkItem],
        moment: &Moment,
    ) -> Vec<Result<Receipt>> {
        let mut undo = Vec::new();
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            outcomes.push(self.item(item, moment).map(|(receipt, undone)| {
                undo.extend(undone);
                receipt
            }));
        }
        if outcomes.iter().all(Result::is_ok) {
            return outcomes;
        }
        let undone = undo
            .into_iter()
            .rev()
            // Going back the way that led here passes only through states that were allowed.
            .try_for_each(|Undo { key, before }| self.replace(key, before).map(drop));
        for outcome in &mut outcomes {
            if outcome.is_ok() {
                *outcome = Err(cancelled(undone.as_ref().err()));
            }
        }
        outcomes
    }
}

#[cold]
fn cancelled(broken: Option<&Error>) -> Error {
    match broken {
        None => Error::new(
            ErrorKind::Cancelled,
            "another item of the atomic bulk failed, so this one was undone",
        ),
        Some(error) => Error::internal(format!(
            "an atomic bulk failed and could not be undone: {}",
            error.message()
        )),
    }
}
