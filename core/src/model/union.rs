//! Two models of one collection made one.

use std::sync::Arc;

use super::Model;
use crate::error::{Error, ErrorKind, Result};

impl Model {
    /// `self`, which is stored, with what `wanted` has more: nothing that is there is taken away.
    /// It is what an adapter stores after it extended a collection.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` if the fields of both do not go together, such as one below another that
    /// is no object. Whether the two agree on what both declare is for [`Model::extends`] to say.
    pub fn union(&self, wanted: &Self) -> Result<Arc<Self>> {
        let mut builder = Self::builder(wanted.name().as_str()).unknown(wanted.unknown_fields());
        if self.is_routed() {
            builder = builder.routed();
        }
        for there in self.fields() {
            let mut field = there.clone();
            if let Some(wanted) = wanted.field(there.path.as_str()) {
                field.indexed |= wanted.indexed;
                field.unique |= wanted.unique;
                field.secret |= wanted.secret;
            }
            builder = builder.field(field);
        }
        for field in wanted.fields() {
            if self.field(field.path.as_str()).is_none() {
                builder = builder.field(field.clone());
            }
        }
        if let Some(path) = self.created().or(wanted.created()) {
            builder = builder.created(path.as_str());
        }
        if let Some(path) = self.updated().or(wanted.updated()) {
            builder = builder.updated(path.as_str());
        }
        builder.build().map_err(|error| {
            Error::new(
                ErrorKind::SchemaMismatch,
                format!("model does not fit the stored one: {}", error.message()),
            )
            .with_collection(wanted.name().clone())
            .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};

    #[test]
    fn nothing_is_taken_away() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let stored = Model::builder("a")
            .field(field("x", Kind::Keyword).indexed())
            .field(field("y", Kind::Integer))
            .build()
            .unwrap();
        let wanted = Model::builder("a")
            .field(field("x", Kind::Keyword).unique())
            .field(field("z", Kind::Object))
            .build()
            .unwrap();
        let both = stored.union(&wanted).unwrap();
        assert!(both.field("x").is_some_and(|f| f.indexed && f.unique));
        assert_eq!(both.fields().count(), 3);
        assert_eq!(*both.union(&stored).unwrap(), *both);
        let under = Model::builder("a")
            .field(field("y.w", Kind::Keyword))
            .build()
            .unwrap();
        let error = stored.union(&under).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    }
}
