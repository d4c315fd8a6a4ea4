//! Calls of functions from handles, and filters of what they make.

use super::Field;
use super::kinds::Comparable;
use crate::error::{Error, Result};
use crate::handle::key::IntoKey;
use crate::model::Scalar;
use crate::query::{Call, Filter};

impl Call {
    /// Adds the value of a field by its handle; a field of many values is refused by the query.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, _| {
    /// use strongroom_core::memory::MemoryOptions;
    /// use strongroom_core::model::Scalar;
    /// use strongroom_core::query::{Call, Functions};
    ///
    /// let functions = Functions::new().with("shorter", |of| match of {
    ///     [Some(Scalar::Text(a)), Some(Scalar::Text(b))] => Ok(Some((a.len() < b.len()).into())),
    ///     _ => Ok(None),
    /// })?;
    /// let options = MemoryOptions::new().functions(functions);
    /// let db = Database::new(Arc::new(MemoryStore::with_options(options)));
    /// let users = db.collection::<User>();
    /// users.ensure().await?;
    /// users.insert_many(["al", "barbara"].map(User::new)).await?;
    ///
    /// let f = User::fields();
    /// let shorter = Call::new("shorter")?.value("four").of_field(f.name());
    /// let long = users.find(shorter.is_true()).one().await?.expect("one is longer");
    /// assert_eq!(long.name, "barbara");
    /// # Ok(()) }) }
    /// ```
    #[must_use]
    pub fn of_field<T, K: Comparable, V>(self, field: Field<T, K, V>) -> Self {
        self.field(field.into())
    }

    /// The function makes this value of the document.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it builds a filter")]
    pub fn eq(self, value: impl Into<Scalar>) -> Filter {
        Filter::call_eq(self, value)
    }

    /// The function does not make this value of the document: the opposite of [`eq`](Self::eq).
    /// Documents that it makes nothing of are among them.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it builds a filter")]
    pub fn ne(self, value: impl Into<Scalar>) -> Filter {
        !self.eq(value)
    }

    /// The function makes `true` of the document.
    #[must_use]
    pub fn is_true(self) -> Filter {
        self.eq(true)
    }

    /// The function makes `false` of the document. Documents that it makes nothing of are not
    /// among them.
    #[must_use]
    pub fn is_false(self) -> Filter {
        self.eq(false)
    }
}

impl Filter {
    /// The document is one of these, named as for a load: `Filter::keys([&ada, &bob])`. Of none,
    /// none; at most 1,000.
    ///
    /// # Errors
    ///
    /// `Invalid` for a key that is not allowed, and for one with a routing: in a routed collection
    /// ask by [`Filter::ids`] and [`Find::routing`](crate::handle::Find::routing).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert_many(["ada", "bob", "cy"].map(User::new)).await?;
    /// let f = User::fields();
    /// let some = Filter::keys(["ada", "bob", "nobody"])?.and(f.name().ne("ada"));
    /// assert_eq!(users.find(some).one().await?.expect("one is left").name, "bob");
    /// # Ok(()) }) }
    /// ```
    pub fn keys<K: IntoKey>(keys: impl IntoIterator<Item = K>) -> Result<Self> {
        let ids = keys.into_iter().map(|key| {
            let key = key.into_key()?;
            match key.routing() {
                None => Ok(key.id().clone()),
                Some(routing) => Err(Error::invalid(format!(
                    "filter by keys names {:?} with the routing {routing:?}: ask by ids, and by the routing of the question",
                    key.id()
                ))),
            }
        });
        ids.collect::<Result<_>>().map(Self::Ids)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;
    use crate::ErrorKind;
    use crate::model::Key;

    #[test]
    fn typed_and_untyped_calls_are_the_same() {
        let field = Field::<(), kinds::Keyword, String>::new("a.b".parse().unwrap());
        let call = || Call::new("f").unwrap().value(1);
        let inner = || call().of_field(field.clone());
        let untyped = || call().field("a.b".parse().unwrap());
        assert_eq!(inner().is_true(), Filter::call(untyped()));
        assert_eq!(inner().is_false(), Filter::call_eq(untyped(), false));
        assert_eq!(inner().eq("x"), Filter::call_eq(untyped(), "x"));
        assert_eq!(inner().ne("x"), !Filter::call_eq(untyped(), "x"));
    }

    #[test]
    fn keys_are_ids_where_there_is_no_routing() {
        let keys = [Key::new("a").unwrap(), Key::new("*").unwrap()];
        assert_eq!(
            Filter::keys(&keys).unwrap(),
            Filter::ids(["a", "*"]).unwrap()
        );
        let none: [Key; 0] = [];
        assert_eq!(Filter::keys(none).unwrap(), Filter::Ids(Vec::new()));
        for bad in [Filter::keys([""]), Filter::keys([("eu", "a")])] {
            assert_eq!(bad.unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
