//! Which concrete index a collection is, and its identity.
//!
//! A collection `users` is an index `users.<16 hex digits>`, drawn at random when it is created,
//! under two aliases: `users`, of which the engine allows one write index, so that of two creators
//! one wins; and `users.<digits>.pin.<16 more>`, by which every load and write addresses it. When
//! fields are added, the pin is replaced: whoever still writes by the former model is refused and
//! looks the index up anew. Sequence numbers
//! begin anew in each index, so a version carries the digits, and a guarded write reaches the very
//! index that made the version or none: writes demand that the name is an alias, which keeps the
//! engine from creating an index that was dropped meanwhile.

use std::sync::Arc;

use serde_json::Value;
use strongroom_core::model::{CollectionName, Kind, Model};
use strongroom_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::analysis::TextAnalysis;
use crate::compile::{self, Place};

/// A concrete index, as it was looked up.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    name: String,
    pin: String,
    id: u64,
    model: Arc<Model>,
    texts: Arc<TextAnalysis>,
}

/// A collection as the engine holds it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The index.
    pub(crate) index: Index,
    /// The marks of extensions that were begun and not finished.
    pub(crate) unfinished: Vec<String>,
}

impl Index {
    /// A new identity for a collection.
    pub(crate) fn draw(model: Arc<Model>) -> Self {
        let id = random();
        let name = name_of(model.name(), id);
        let pin = format!("{name}.pin.{:016x}", random());
        Self {
            name,
            pin,
            id,
            model,
            texts: Arc::default(),
        }
    }

    /// The same index under another pin, which those who looked it up before do not know.
    pub(crate) fn pinned_anew(&self) -> Self {
        Self {
            pin: format!("{}.pin.{:016x}", self.name, random()),
            ..self.clone()
        }
    }

    /// A name for an extension of the index, while it is under way.
    pub(crate) fn draw_mark(&self) -> String {
        format!("{}.extending.{:016x}", self.name, random())
    }

    /// What all pins of the index are named like.
    pub(crate) fn any_pin(&self) -> String {
        format!("{}.pin.*", self.name)
    }

    /// The model that the index was made or extended for, by which documents are written.
    pub(crate) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// How it reads texts.
    pub(crate) fn texts(&self) -> &TextAnalysis {
        &self.texts
    }

    /// Whether it was looked up when it had all texts of this model.
    pub(crate) fn knows_texts_of(&self, model: &Model) -> bool {
        let mut texts = model.fields().filter(|field| field.kind == Kind::Text);
        texts.all(|field| self.model.field(field.path.as_str()).is_some())
    }

    /// Where its documents keep what is searched.
    pub(crate) fn place(&self) -> Place<'_> {
        Place::documents(&self.model).read_by(&self.texts)
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

fn random() -> u64 {
    let (a, b) = Uuid::new_v4().as_u64_pair();
    a ^ b
}

fn name_of(collection: &CollectionName, id: u64) -> String {
    format!("{collection}.{id:016x}")
}

/// The number in the name of an index, if it is one that this crate made for the collection.
fn parse(collection: &CollectionName, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(collection.as_str())?.strip_prefix('.')?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    Some(id).filter(|id| name_of(collection, *id) == name)
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
        let aliases = described.get("aliases").and_then(Value::as_object);
        let aliases: Vec<&String> = aliases
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .collect();
        let begins = |with: &str| {
            let beginning = format!("{name}.{with}.");
            let mut found = aliases.iter().filter(|alias| alias.starts_with(&beginning));
            std::iter::from_fn(move || found.next().map(|alias| (*alias).clone()))
                .collect::<Vec<_>>()
        };
        let pin = begins("pin").into_iter().next();
        match (parse(collection, name), model, pin) {
            (Some(id), Some((model, texts)), Some(pin)) => Ok(Self {
                index: Index {
                    name: name.clone(),
                    pin,
                    id,
                    model: Arc::new(model),
                    texts: Arc::new(texts),
                },
                unfinished: begins("extending"),
            }),
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
        let index = Index::draw(Model::builder("users").build().unwrap());
        assert_eq!(parse(&users, index.name()), Some(index.id()));
        for bad in [
            "users",
            "users.",
            "users.1",
            "users.000000000000000G",
            "users.+00000000000000f",
            "users2.000000000000000f",
            "users.000000000000000f.pin",
        ] {
            assert_eq!(parse(&users, bad), None, "{bad}");
        }
    }
}
