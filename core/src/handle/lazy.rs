//! Properties of a document that are computed when asked for, and never stored.

use std::fmt;
use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::ser::{Serialize, Serializer};

use super::database::Database;
use super::output::is_shown;
use crate::error::{Error, Result};

/// A property that a resolver computes for documents in hand.
///
/// It is empty until [`Collection::resolve`](super::Collection::resolve) has run the resolver that
/// `#[document(lazy = …)]` names, is shown by [`Output`](super::Output), and is never stored.
/// Nothing here touches a store.
///
/// It is no part of the document's value: any two are equal, and resolving changes nothing that
/// would have to be saved.
pub struct Lazy<V> {
    slot: OnceLock<V>,
}

impl<V> Lazy<V> {
    /// A property that was not computed yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slot: OnceLock::new(),
        }
    }

    /// The value, if it was computed.
    #[must_use]
    pub fn get(&self) -> Option<&V> {
        self.slot.get()
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// `Invalid` if it was not computed, which is a matter of the program:
    /// [`Collection::resolve`](super::Collection::resolve) computes lazy properties.
    pub fn require(&self) -> Result<&V> {
        self.get().ok_or_else(|| {
            Error::invalid("the lazy property was not computed: resolve the document first")
        })
    }

    /// Whether the value was computed.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.get().is_some()
    }

    /// Takes the value out, so that the next call computes it again.
    pub fn take(&mut self) -> Option<V> {
        self.slot.take()
    }

    /// Whether serialisation leaves the property out: always where a document is stored, and
    /// where it is shown as long as there is no value. For serde's `skip_serializing_if`.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        !is_shown() || self.get().is_none()
    }

    /// Takes the value that was computed. What another call computed first stays.
    pub(super) fn settle(&self, value: V) {
        self.slot.get_or_init(|| value);
    }
}

impl<V> Default for Lazy<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Clone> Clone for Lazy<V> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot.clone(),
        }
    }
}

impl<V> PartialEq for Lazy<V> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<V> Eq for Lazy<V> {}

impl<V: fmt::Debug> fmt::Debug for Lazy<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("Lazy").field(value).finish(),
            None => f.write_str("Lazy(not loaded)"),
        }
    }
}

impl<V: Serialize> Serialize for Lazy<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(value) if is_shown() => value.serialize(serializer),
            _ => serializer.serialize_none(),
        }
    }
}

impl<'de, V> Deserialize<'de> for Lazy<V> {
    /// Whatever is there is ignored: a value is computed, never read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self::new())
    }
}

/// A lazy property of the documents `T`, as the derive tells of it.
pub struct LazyProperty<T: 'static> {
    /// The property's name in JSON.
    pub name: &'static str,
    /// Whether the property of a document was computed already.
    pub is_loaded: fn(&T) -> bool,
    /// What computes it.
    pub resolver: Resolver<T>,
    /// Takes secrets out of the property's value in JSON, before it is shown.
    pub strip: fn(&mut serde_json::Value),
}

/// What computes a lazy property and puts the values where they belong.
pub enum Resolver<T: 'static> {
    /// For many documents at once.
    Page(for<'a> fn(&'a Database, &'a [&'a T]) -> BoxFuture<'a, Result<()>>),
    /// For one document.
    Each(for<'a> fn(&'a Database, &'a T) -> BoxFuture<'a, Result<()>>),
}

impl<T> fmt::Debug for LazyProperty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LazyProperty({})", self.name)
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page(_) => "Page",
            Self::Each(_) => "Each",
        })
    }
}

/// Puts the values that a resolver gave into the properties, one for each in order.
///
/// # Errors
///
/// `Invalid`, naming the property, if there are not as many values as properties.
pub fn settle_all<'a, V: 'a>(
    name: &str,
    properties: impl ExactSizeIterator<Item = &'a Lazy<V>>,
    values: Vec<V>,
) -> Result<()> {
    if properties.len() != values.len() {
        return Err(Error::invalid(format!(
            "the resolver of property {name} gave {} values for {} documents: it must give one for each, in order",
            values.len(),
            properties.len()
        )));
    }
    for (property, value) in properties.zip(values) {
        property.settle(value);
    }
    Ok(())
}

/// Puts the value that a resolver gave into the property.
pub fn settle_one<V>(property: &Lazy<V>, value: V) {
    property.settle(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_where_it_is_stored() {
        let lazy = Lazy::new();
        assert!(lazy.get().is_none() && lazy.require().is_err() && lazy.is_hidden());
        lazy.settle(7);
        lazy.settle(8);
        assert_eq!(lazy.require().unwrap(), &7);
        assert!(lazy.is_hidden());
        assert_eq!(serde_json::to_string(&lazy).unwrap(), "null");
        let read: Lazy<i32> = serde_json::from_str("[1,2]").unwrap();
        assert!(!read.is_loaded());
        assert_eq!(read, lazy);
    }

    #[test]
    fn a_value_for_each() {
        let lazies = [Lazy::new(), Lazy::new()];
        let error = settle_all("near", lazies.iter(), vec![1]).unwrap_err();
        assert!(
            error
                .message()
                .contains("property near gave 1 values for 2")
        );
        assert!(!lazies[0].is_loaded());
        settle_all("near", lazies.iter(), vec![1, 2]).unwrap();
        assert_eq!(lazies[1].get(), Some(&2));
    }
}
