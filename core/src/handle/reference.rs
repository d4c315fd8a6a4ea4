//! References from one document to another: a key, with the document itself once it was loaded.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor, value};
use serde::ser::{Serialize, Serializer};

use super::document::Document;
use super::field::{Field, FieldType, kinds};
use super::key::IntoKey;
use super::loader::Links;
use super::output::{Output, is_shown};
use super::versioned::Versioned;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldDeclaration, Key, Kind, ModelBuilder};
use crate::query::Filter;

/// A reference to a document of the collection of `T`.
///
/// It is stored as the document's key: its id as text, or for a routed collection
/// `{"id": …, "routing": …}`. The document itself is there after
/// [`Collection::resolve`](super::Collection::resolve) has loaded it, is shown by
/// [`Output`], and is never stored. Nothing here touches a store.
///
/// A field may hold one, an `Option`, an array, or an object that derives `Object` and has some.
/// References within maps, or in fields that are `unmapped` or have another kind given, are not
/// found by `resolve`.
///
/// Two references are equal if they lead to the same key, whatever was loaded.
///
/// # Examples
///
/// ```
/// use serde::Deserialize;
/// use strongroom_core::handle::Ref;
///
/// #[derive(Deserialize)]
/// struct Team {
///     lead: Ref<Person>,
/// }
/// # struct Person;
///
/// let team: Team = serde_json::from_str(r#"{"lead":"ada"}"#).unwrap();
/// assert_eq!(team.lead, Ref::to("ada")?);
/// assert!(team.lead.get().is_none() && team.lead.require().is_err());
/// # Ok::<(), strongroom_core::Error>(())
/// ```
pub struct Ref<T> {
    key: Key,
    /// Empty until loaded; then the document, or `None` if there was none.
    slot: OnceLock<Option<Arc<Versioned<T>>>>,
}

impl<T> Ref<T> {
    /// A reference by what names a document: an id, a `(routing, id)` pair, a key, a document.
    /// It is not loaded.
    ///
    /// # Errors
    ///
    /// `Invalid` if that is no key.
    pub fn to(key: impl IntoKey) -> Result<Self> {
        key.into_key().map(Self::from)
    }

    /// The key of the document.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The document, if it was loaded.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.versioned().map(|document| &**document)
    }

    /// The document with its version, if it was loaded.
    #[must_use]
    pub fn versioned(&self) -> Option<&Versioned<T>> {
        self.slot.get()?.as_deref()
    }

    /// The document.
    ///
    /// # Errors
    ///
    /// `NotFound` if a load found no document; `Invalid` if none was made, which is a matter of
    /// the program: [`Collection::resolve`](super::Collection::resolve) loads references.
    pub fn require(&self) -> Result<&T> {
        match self.slot.get() {
            Some(Some(document)) => Ok(document),
            Some(None) => Err(Error::new(
                ErrorKind::NotFound,
                "the document that is referred to is missing",
            )
            .with_key(self.key.clone())),
            None => Err(Error::invalid(
                "the document that is referred to was not loaded: resolve the reference first",
            )
            .with_key(self.key.clone())),
        }
    }

    /// Whether the document was loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.versioned().is_some()
    }

    /// Whether a load found that there is no such document.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.slot.get(), Some(None))
    }

    /// Forgets what was loaded, so that the next load asks for it again.
    pub fn unload(&mut self) {
        self.slot.take();
    }

    /// Whether a load was made.
    pub(super) fn is_settled(&self) -> bool {
        self.slot.get().is_some()
    }

    /// Takes what a load found. What another load found first stays.
    pub(super) fn settle(&self, found: Option<Arc<Versioned<T>>>) {
        self.slot.get_or_init(|| found);
    }
}

impl<T> From<Key> for Ref<T> {
    /// A reference to the document of a key, not loaded.
    fn from(key: Key) -> Self {
        Self {
            key,
            slot: OnceLock::new(),
        }
    }
}

impl<T> From<&Versioned<T>> for Ref<T> {
    /// A reference to this document, not loaded.
    fn from(document: &Versioned<T>) -> Self {
        Self::from(document.key().clone())
    }
}

impl<T> IntoKey for &Ref<T> {
    fn into_key(self) -> Result<Key> {
        Ok(self.key.clone())
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            slot: self.slot.clone(),
        }
    }
}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Ref<T> {}

impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({})", self.key)
    }
}

impl<T: Document> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(document) if is_shown() => Output::new(document).serialize(serializer),
            _ if self.key.routing().is_none() => serializer.serialize_str(self.key.id().as_str()),
            _ => self.key.serialize(serializer),
        }
    }
}

impl<'de, T> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the key of a document: an id, or an object of id and routing")
            }

            fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<Key, E> {
                Key::new(id).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Key, A::Error> {
                Key::deserialize(value::MapAccessDeserializer::new(map)).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(KeyVisitor).map(Self::from)
    }
}

#[diagnostic::do_not_recommend]
impl<D: Document> FieldType for Ref<D> {
    type Kind = kinds::Reference;
    type Value = Self;
    type Handle<T, K, V> = Field<T, K, V>;
    const KIND: Kind = if D::ROUTED {
        Kind::Object
    } else {
        Kind::Keyword
    };
    const MANY: bool = false;
    // What is indexed of an object of id and routing is its two parts.
    const INDEXABLE: bool = true;

    fn declare(field: FieldDeclaration, model: ModelBuilder) -> Result<ModelBuilder> {
        if !D::ROUTED {
            return Ok(model.field(field));
        }
        let mut parts = Vec::with_capacity(2);
        for part in ["id", "routing"] {
            let mut declared = field.clone();
            declared.path = crate::__private::child_path(&field.path, part)?;
            declared.kind = Kind::Keyword;
            parts.push(declared);
        }
        let mut whole = field;
        whole.indexed = false;
        let model = model.field(whole);
        Ok(parts.into_iter().fold(model, ModelBuilder::field))
    }

    fn links(&self, links: &mut Links<'_>) {
        links.reference(self);
    }
}

/// What names the document that a reference is compared with.
pub trait RefersTo<D> {
    /// The key.
    fn referred(&self) -> &Key;
}

impl<D> RefersTo<D> for Key {
    fn referred(&self) -> &Key {
        self
    }
}

impl<D> RefersTo<D> for Ref<D> {
    fn referred(&self) -> &Key {
        &self.key
    }
}

impl<D> RefersTo<D> for Versioned<D> {
    fn referred(&self) -> &Key {
        self.key()
    }
}

/// A field that holds references: a [`Ref`] or an array of them.
pub trait ReferenceField {
    /// The documents that are referred to.
    type Target: Document;
}

impl<D: Document> ReferenceField for Ref<D> {
    type Target = D;
}

impl<R: ReferenceField> ReferenceField for Option<R> {
    type Target = R::Target;
}

impl<R: ReferenceField> ReferenceField for Vec<R> {
    type Target = R::Target;
}

impl<T, V: ReferenceField> Field<T, kinds::Reference, V> {
    /// The field of the ids that are referred to, to sort, group and aggregate by. In a routed
    /// collection they are ids without their routing.
    #[must_use]
    pub fn id(&self) -> Field<T, kinds::Keyword> {
        match V::Target::ROUTED {
            true => self.within("id"),
            false => Field::new(self.path().clone()),
        }
    }

    /// The field refers to this document, among others if it holds several references.
    ///
    /// In an array of references to a routed collection, id and routing are each looked for in the
    /// whole array, as with all fields of objects in arrays.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it builds a filter")]
    pub fn eq(&self, to: &impl RefersTo<V::Target>) -> Filter {
        let key = to.referred();
        let part = |field: Field<T, kinds::Keyword>, text: &str| field.eq(text);
        match (key.routing(), V::Target::ROUTED) {
            (None, false) => part(self.id(), key.id().as_str()),
            (Some(routing), true) => part(self.id(), key.id().as_str())
                .and(part(self.within("routing"), routing.as_str())),
            // No document of the collection has such a key.
            _ => Filter::Or(Vec::new()),
        }
    }

    /// The field refers to one of these documents.
    #[must_use]
    pub fn is_in<'a, R>(&self, to: impl IntoIterator<Item = &'a R>) -> Filter
    where
        R: RefersTo<V::Target> + 'a,
    {
        if V::Target::ROUTED {
            return Filter::Or(to.into_iter().map(|to| self.eq(to)).collect());
        }
        let ids = to.into_iter().map(RefersTo::referred);
        self.id()
            .is_in(ids.filter(|key| key.routing().is_none()).map(Key::id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unloaded;

    fn parse(json: &str) -> serde_json::Result<Ref<Unloaded>> {
        serde_json::from_str(json)
    }

    #[test]
    fn two_stored_forms() {
        let plain = parse(r#""ada""#).unwrap();
        assert_eq!(plain.key(), &Key::new("ada").unwrap());
        let routed = parse(r#"{"id":"ada","routing":"eu"}"#).unwrap();
        assert_eq!(routed.key(), &Key::routed("eu", "ada").unwrap());
        assert_ne!(plain, routed);
        for bad in [
            "\"\"",
            "7",
            "null",
            "[\"eu\",\"ada\"]",
            "{}",
            r#"{"id":""}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn says_what_was_loaded() {
        let mut reference = Ref::<Unloaded>::to("ada").unwrap();
        assert!(!reference.is_loaded() && !reference.is_missing());
        assert!(reference.get().is_none());
        let error = reference.require().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("not loaded"));
        reference.settle(None);
        assert!(reference.is_missing() && !reference.is_loaded());
        assert_eq!(
            reference.require().err().unwrap().kind(),
            ErrorKind::NotFound
        );
        reference.unload();
        assert!(!reference.is_missing());
        assert!(Ref::<Unloaded>::to("").is_err());
        assert_eq!(format!("{reference:?}"), r#"Ref("ada")"#);
    }
}
