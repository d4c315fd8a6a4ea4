//! Bulks that are decided in memory, on documents that nobody else writes meanwhile.

use std::collections::BTreeMap;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Body, Key, Model, Version, WriteId};
use strongroom_core::store::{Action, BulkItem, Intent, Receipt};

use crate::outcomes::Outcomes;

/// What the items make of one document.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// What was there.
    pub(crate) before: Option<Version>,
    now: Option<Version>,
    body: Option<Body>,
    write_id: Option<WriteId>,
}

/// The documents of a bulk.
#[derive(Debug)]
pub(crate) struct Slots<'i> {
    items: &'i [BulkItem],
    slots: BTreeMap<&'i Key, Slot>,
}

/// A document to write.
#[derive(Debug)]
pub(crate) struct Settled<'s> {
    pub(crate) key: &'s Key,
    pub(crate) version: Version,
    pub(crate) write_id: &'s WriteId,
    pub(crate) body: &'s Body,
}

/// What the items come to.
#[derive(Debug, Default)]
pub(crate) struct Changes<'s> {
    pub(crate) created: Vec<Settled<'s>>,
    pub(crate) replaced: Vec<Settled<'s>>,
    pub(crate) deleted: Vec<&'s Key>,
}

impl<'i> Slots<'i> {
    /// A slot for the document of each item whose key fits.
    pub(crate) fn new(model: &Model, items: &'i [BulkItem]) -> Self {
        let mut slots: BTreeMap<&Key, Slot> = BTreeMap::new();
        for item in items {
            if model.check_key(item.key()).is_ok() {
                slots.entry(item.key()).or_default();
            }
        }
        Self { items, slots }
    }

    /// The keys, in their order.
    pub(crate) fn keys(&self) -> Vec<&'i Key> {
        self.slots.keys().copied().collect()
    }

    /// Says that a document is there.
    ///
    /// # Errors
    ///
    /// `Internal` if there is no slot for it.
    pub(crate) fn found(&mut self, key: &Key, version: Version) -> Result<()> {
        let Some(slot) = self.slots.get_mut(key) else {
            return Err(Error::internal("a document came that was not asked for"));
        };
        slot.before = Some(version);
        slot.now = slot.before;
        Ok(())
    }

    /// The documents that are there and have patches, which need their bodies.
    pub(crate) fn to_read(&self) -> Vec<&'i Key> {
        let patched = self.items.iter().filter_map(|item| match item {
            BulkItem::Write(write) if matches!(write.action, Action::Patch(_)) => Some(&write.key),
            _ => None,
        });
        patched
            .filter(|key| self.slots.get(key).is_some_and(|s| s.before.is_some()))
            .collect()
    }

    /// Says what is in a document.
    pub(crate) fn read(&mut self, key: &Key, body: Body) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.body = Some(body);
        }
    }

    /// Decides all items, one after another.
    pub(crate) fn decide(&mut self, model: &Model) -> Outcomes {
        let items = self.items;
        items
            .iter()
            .map(|item| self.decide_one(model, item))
            .collect()
    }

    fn decide_one(&mut self, model: &Model, item: &BulkItem) -> Result<Receipt> {
        let key = item.key();
        model.check_key(key)?;
        let Some(slot) = self.slots.get_mut(key) else {
            return Err(Error::internal("a document was not looked for"));
        };
        let effect = item.expected().decide(Intent::from(item), key, slot.now)?;
        let BulkItem::Write(write) = item else {
            return Ok(Receipt::without_version(effect));
        };
        let body = match &write.action {
            Action::Put(body) => body.clone(),
            Action::Patch(patch) => match &slot.body {
                Some(body) => patch.apply(body)?,
                None => return Err(Error::internal("a body was not read")),
            },
            Action::Delete => {
                slot.now = None;
                slot.body = None;
                return Ok(Receipt::without_version(effect));
            }
        };
        let version = match slot.now {
            Some(version) => version.next()?,
            None => Version::created(),
        };
        slot.now = Some(version);
        slot.body = Some(body);
        slot.write_id = Some(write.write_id);
        Ok(Receipt::written(effect, version))
    }

    /// What is to be written, in the order of the keys.
    pub(crate) fn changes(&self) -> Changes<'_> {
        let mut changes = Changes::default();
        for (&key, slot) in &self.slots {
            match (slot.before, slot.now, &slot.write_id, &slot.body) {
                (before, Some(version), Some(write_id), Some(body)) => {
                    let settled = Settled {
                        key,
                        version,
                        write_id,
                        body,
                    };
                    match before {
                        None => changes.created.push(settled),
                        Some(_) => changes.replaced.push(settled),
                    }
                }
                (Some(_), None, _, _) => changes.deleted.push(key),
                _ => {}
            }
        }
        changes
    }
}
