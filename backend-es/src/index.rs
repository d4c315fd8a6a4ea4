//! Which concrete index a collection is, and its identity.
//!
//! A collection `users` is an index `users.<16 hex digits>`, drawn at random when it is created,
//! under two aliases: `users`, of which the engine allows one write index, so that of two creators
//! one wins; and `users.<digits>.pin`, by which every load and write addresses it. Sequence numbers
//! begin anew in each index, so a version carries the digits, and a guarded write reaches the very
//! index that made the version or none: writes demand that the name is an alias, which keeps the
//! engine from creating an index that was dropped meanwhile.

use serde_json::Value;
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::compile;

/// A concrete index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    name: String,
    pin: String,
    id: u64,
}

/// A collection as the engine holds it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The index.
    pub(crate) index: Index,
    /// The model it was made or extended for.
    pub(crate) model: Model,
}

impl Index {
    /// A new identity for a collection.
    pub(crate) fn draw(collection: &CollectionName) -> Self {
        let (a, b) = Uuid::new_v4().as_u64_pair();
        Self::of(collection, a ^ b)
    }

    fn of(collection: &CollectionName, id: u64) -> Self {
        let name = format!("{collection}.{id:016x}");
        let pin = format!("{name}.pin");
        Self { name, pin, id }
    }

    /// The index of this name, if it is one that this crate made for the collection.
    fn parse(collection: &CollectionName, name: &str) -> Option<Self> {
        let digits = name.strip_prefix(collection.as_str())?.strip_prefix('.')?;
        let id = u64::from_str_radix(digits, 16).ok()?;
        Some(Self::of(collection, id)).filter(|index| index.name == name)
    }

    /// The index's name. It is safe in a path: its parts are letters, digits, `_`, `-` and one dot.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The alias by which loads and writes address the index.
    pub(crate) fn pin(&self) -> &str {
        &self.pin
    }

    /// The number that versions carry.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Stored {
    /// Reads what the engine tells of everything that bears the collection's name.
    pub(crate) fn read(collection: &CollectionName, reply: &Value) -> Result<Self> {
        let foreign = |what: String| {
            Error::new(ErrorKind::SchemaMismatch, what).with_collection(collection.clone())
        };
        let mut indices = reply.as_object().into_iter().flatten();
        let (Some((name, described)), None) = (indices.next(), indices.next()) else {
            return Err(foreign(format!(
                "not exactly one index bears the name {collection}"
            )));
        };
        let model = described.get("mappings").and_then(compile::model_of);
        match (Index::parse(collection, name), model) {
            (Some(index), Some(model)) => Ok(Self { index, model }),
            _ => Err(foreign(format!("index {name} was not made by this store"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_strictly() {
        let users: CollectionName = "users".parse().unwrap();
        let index = Index::draw(&users);
        assert_eq!(Index::parse(&users, index.name()), Some(index));
        for bad in [
            "users",
            "users.",
            "users.1",
            "users.000000000000000G",
            "users.+00000000000000f",
            "users2.000000000000000f",
            "users.000000000000000f.pin",
        ] {
            assert_eq!(Index::parse(&users, bad), None, "{bad}");
        }
    }
}
