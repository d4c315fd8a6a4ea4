//! Fields that functions make while a document is written.

use std::sync::Arc;

use super::collection::Collection;
use super::document::Document;
use super::prepare::{Pending, is_of_key};
use crate::error::{Error, Result};
use crate::model::{Body, FieldPath, Model};
use crate::patch::Patch;
use crate::query::{Call, SourceFilter};
use crate::store::{Computed, Receipt, Write};

impl<T: Document> Collection<T> {
    /// A handle whose puts and patches let a function make the value of a field: one that was
    /// registered with the store, or that the server has.
    ///
    /// The arguments of the call are values, and fields of the document as it is written; see
    /// [`Computed`]. The value in hand holds what the function made after the write; to put it in,
    /// the value is decoded anew, so what it holds besides its stored fields is as after a load.
    /// A document without changes of its own is written too. Deletes compute nothing.
    ///
    /// A write fails with `Unsupported` if the store has no such function, and with `Invalid` if
    /// the field is one of the key's or a stamp, does not hold one value, or the function fails or
    /// makes a value of another kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::memory::MemoryOptions;
    /// use strongroom_core::model::{FieldPath, Scalar};
    /// use strongroom_core::query::{Call, Functions};
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, _| {
    /// let functions = Functions::new().with("shout", |arguments| match arguments {
    ///     [Some(Scalar::Text(text))] => Ok(Some(Scalar::from(text.to_uppercase()))),
    ///     _ => Ok(None),
    /// })?;
    /// let store = MemoryStore::with_options(MemoryOptions::new().functions(functions));
    /// let users = Database::new(Arc::new(store)).collection::<User>();
    /// users.ensure().await?;
    ///
    /// let region = Call::new("shout")?.value("eu");
    /// let ada = users
    ///     .with_computed("region".parse::<FieldPath>()?, region)
    ///     .insert(User::new("ada"))
    ///     .await?;
    /// assert_eq!(ada.region.as_deref(), Some("EU"));
    /// # Ok(()) }) }
    /// ```
    #[must_use]
    pub fn with_computed(&self, field: impl Into<FieldPath>, call: Call) -> Self {
        let mut computing = self.clone();
        let computed = Computed::new(field.into(), call);
        computing.computed = self.computed.iter().cloned().chain([computed]).collect();
        computing
    }

    /// Adds the computed fields of the handle to a put or a patch.
    pub(super) fn computing(&self, model: &Model, mut write: Write) -> Result<Write> {
        for computed in self.computed.iter() {
            let field = computed.field();
            let stamps = [model.created(), model.updated()];
            if is_of_key::<T>(field) || stamps.contains(&Some(field)) {
                return Err(Error::invalid(format!(
                    "field {field} is part of the key or a stamp, which no function makes"
                )));
            }
            write.computed.push(computed.clone());
        }
        Ok(write)
    }
}

/// Puts what functions made into a value that was just written. The write has succeeded, so
/// nothing here may fail: a value that cannot take it over stays as it was sent.
pub(super) fn take_over<T: Document>(
    value: &mut T,
    pending: Pending,
    receipt: &Receipt,
    selection: Option<&Arc<SourceFilter>>,
) -> Pending {
    let made = receipt.made.iter();
    let made = made.filter(|(field, _)| selection.is_none_or(|s| s.covers(field)));
    let patch = made.fold(Patch::new(), |patch, (field, value)| {
        patch.set(field.clone(), value.clone())
    });
    if patch.is_empty() {
        return pending;
    }
    let taken = || -> Result<(T, Body, Body)> {
        let known = patch.apply(&pending.known)?;
        let value = known.decode::<T>()?;
        // Members that the type leaves out when they hold nothing are missing again.
        let known = Body::encode(&value)?;
        Ok((value, known, patch.apply(&pending.stored)?))
    };
    match taken() {
        Ok((made, known, stored)) => {
            *value = made;
            Pending {
                known,
                stored,
                ..pending
            }
        }
        Err(_) => pending,
    }
}
