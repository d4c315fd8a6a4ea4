//! Writing one document.

use std::sync::Arc;

use super::collection::{Collection, UnchangedSave};
use super::context::Annotate as _;
use super::document::Document;
use super::key::IntoKey;
use super::versioned::{Origin, Versioned};
use crate::error::{Error, Operation, Result};
use crate::model::{Expected, Key, Model, Version};
use crate::patch::Patch;
use crate::store::{Effect, Receipt, SaveRequest, Write};

/// What a save did, with the version that the document has after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saved {
    /// There was no document; now there is.
    Created(Version),
    /// The document was changed.
    Updated(Version),
    /// The document in hand had no changes: nothing was written, and nothing was verified.
    Unchanged(Version),
}

impl Saved {
    /// The version that the document has after the save; of an unchanged one, the version that it
    /// was loaded at.
    #[must_use]
    pub fn version(self) -> Version {
        match self {
            Self::Created(version) | Self::Updated(version) | Self::Unchanged(version) => version,
        }
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deleted {
    /// The document was there and is gone.
    Removed,
    /// There was no document, and any state was expected.
    Absent,
}

impl<T: Document> Collection<T> {
    /// Creates a document: draws its id if it is to be generated, stamps it and stores it.
    ///
    /// Dropping the future leaves the document created or not.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is one under its key; `UniqueViolation`; `Invalid` if the key or
    /// the body breaks a limit; `Codec` if the value does not encode; `Unavailable`, `Timeout`,
    /// `Contended` if nothing was written; `Indeterminate` if that is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let ada = users.insert(User::new("ada")).await?;
    /// assert_eq!(ada.version().revision(), Some(1));
    /// let error = users.insert(User::new("ada")).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # Ok(()) }) }
    /// ```
    pub async fn insert(&self, value: T) -> Result<Versioned<T>> {
        self.save_with(value, Expected::Absent).await
    }

    /// Stores a value under what the caller expects to be there, without a load: a version that
    /// came with a web form, [`Expected::Any`], or another expectation.
    ///
    /// The whole body is replaced, with what the type does not know of the old one. Where the
    /// handle stamps, the time of creation is the value's own. Dropping the future leaves the
    /// document written or not.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let version = users.insert(User::new("ada")).await?.version();
    /// // The version goes to a client and comes back with a changed value.
    /// let changed = User { logins: 7, ..User::new("ada") };
    /// let ada = users.save_with(changed.clone(), version).await?;
    /// let error = users.save_with(changed, version).await.unwrap_err();
    /// assert_eq!(error.actual_version(), Some(ada.version()));
    /// # Ok(()) }) }
    /// ```
    pub async fn save_with(
        &self,
        mut value: T,
        expected: impl Into<Expected>,
    ) -> Result<Versioned<T>> {
        let (_, origin, key, version) = self.put_value(&mut value, expected.into()).await?;
        Ok(Versioned::new(value, key, version, origin))
    }

    /// Stores a value that the caller keeps, under what the caller expects to be there.
    ///
    /// On success the value holds its id and its stamps; when the save fails, the stamps are as
    /// before, and an id that was drawn stays, so that a second attempt is the same document.
    /// Otherwise as [`save_with`](Self::save_with).
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict` and `AlreadyExists` by the table at [`Expected`]; `UniqueViolation`;
    /// `Invalid`, `Codec`, `Unavailable`, `Timeout`, `Contended` if nothing was written;
    /// `Indeterminate` if that is not known.
    pub async fn put(&self, value: &mut T, expected: impl Into<Expected>) -> Result<Saved> {
        Ok(self.put_value(value, expected.into()).await?.0)
    }

    async fn put_value(
        &self,
        value: &mut T,
        expected: Expected,
    ) -> Result<(Saved, Origin, Key, Version)> {
        let model = self.model()?;
        let prepared = self.prepare_put(model, value, expected);
        let (write, pending) = prepared.at(Operation::Save, model)?;
        let key = write.key.clone();
        let receipt = self.send(model, write).await?;
        let version = version_of(&receipt).at_key(Operation::Save, model, &key)?;
        let origin = self.settle(value, pending, &receipt);
        Ok((saved_as(&receipt, version), origin, key, version))
    }

    /// Saves the changes made to a document, if no one else changed it since it was loaded.
    ///
    /// A document without changes is [`Saved::Unchanged`], without I/O; see
    /// [`with_unchanged`](Self::with_unchanged). Of a partly loaded document only what changed is
    /// sent. On success the document has its new version and stamps; on failure it is as before,
    /// with its changes. Dropping the future leaves the stored document written or not, and the
    /// one in hand at its old version: reload it.
    ///
    /// # Errors
    ///
    /// `Conflict` if someone was faster: [`reload`](Self::reload) and decide again, or use
    /// [`update`](Self::update). `NotFound` if the document is gone. `Invalid` if its key changed,
    /// or a field that was not loaded, or it has no changes and that is refused;
    /// `UniqueViolation`, `Codec`, `Unavailable`, `Timeout`, `Contended` if nothing was written;
    /// `Indeterminate` if that is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let mut ada = users.insert(User::new("ada")).await?;
    /// ada.logins += 1;
    /// assert!(ada.is_changed());
    /// assert!(matches!(users.save(&mut ada).await?, Saved::Updated(_)));
    /// assert!(matches!(users.save(&mut ada).await?, Saved::Unchanged(_)));
    /// # Ok(()) }) }
    /// ```
    pub async fn save(&self, document: &mut Versioned<T>) -> Result<Saved> {
        let model = self.model()?;
        let prepared = self.prepare_save(model, document);
        let Some((write, pending)) = prepared.at_key(Operation::Save, model, document.key())?
        else {
            return self.unchanged(document).at(Operation::Save, model);
        };
        let receipt = self.send(model, write).await?;
        self.settle_document(document, pending, &receipt)
            .at(Operation::Save, model)
    }

    /// What saving a document without changes comes to.
    pub(crate) fn unchanged(&self, document: &Versioned<T>) -> Result<Saved> {
        match self.unchanged {
            UnchangedSave::Skip => Ok(Saved::Unchanged(document.version())),
            UnchangedSave::Refuse => {
                let error = Error::invalid("the document has no changes to save");
                Err(error.with_key(document.key().clone()))
            }
        }
    }

    /// Changes parts of a document on the store's side, under what the caller expects, and hands
    /// out its new version. Where the handle stamps, the time of the change is set with it.
    ///
    /// Dropping the future leaves the document patched or not.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no document; `Conflict` if it is at another version; `Invalid` if
    /// the patch does not apply, changes a field that the key is read from, or [`Expected::Absent`]
    /// is expected; otherwise as for [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let ada = users.insert(User::new("ada")).await?;
    /// let patch = Patch::new().increment("logins".parse()?, 1);
    /// let version = users.patch("ada", patch.clone(), Expected::Present).await?;
    /// assert_ne!(version, ada.version());
    /// let error = users.patch("ada", patch, ada.version()).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok(()) }) }
    /// ```
    pub async fn patch(
        &self,
        key: impl IntoKey,
        patch: impl Into<Patch>,
        expected: impl Into<Expected>,
    ) -> Result<Version> {
        let model = self.model()?;
        let key = key.into_key().at(Operation::Save, model)?;
        let write = self.prepare_patch(model, key.clone(), patch.into(), expected.into());
        let receipt = self.send(model, write.at_key(Operation::Save, model, &key)?);
        version_of(&receipt.await?).at_key(Operation::Save, model, &key)
    }

    /// Deletes a document, under what the caller expects: `users.delete(&ada, ada.version())`.
    ///
    /// Dropping the future leaves the document deleted or not.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, unless [`Expected::Any`] was expected; `Conflict` if it is at
    /// another version; `Unavailable`, `Timeout`, `Contended` if it was not deleted;
    /// `Indeterminate` if that is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let ada = users.insert(User::new("ada")).await?;
    /// assert_eq!(users.delete(&ada, ada.version()).await?, Deleted::Removed);
    /// assert_eq!(users.delete("ada", Expected::Any).await?, Deleted::Absent);
    /// # Ok(()) }) }
    /// ```
    pub async fn delete(
        &self,
        key: impl IntoKey,
        expected: impl Into<Expected>,
    ) -> Result<Deleted> {
        let model = self.model()?;
        let key = key.into_key().at(Operation::Save, model)?;
        model.check_key(&key).at(Operation::Save, model)?;
        let receipt = self.send(model, Write::delete(key, expected)).await?;
        Ok(match receipt.effect {
            Effect::Absent => Deleted::Absent,
            _ => Deleted::Removed,
        })
    }

    async fn send(&self, model: &Arc<Model>, write: Write) -> Result<Receipt> {
        let key = write.key.clone();
        let mut request = SaveRequest::new(model.clone(), write);
        request.refresh = self.refresh;
        let receipt = self.context.store.save(request).await;
        receipt.at_key(Operation::Save, model, &key)
    }
}

pub(crate) fn saved_as(receipt: &Receipt, version: Version) -> Saved {
    match receipt.effect {
        Effect::Created => Saved::Created(version),
        _ => Saved::Updated(version),
    }
}

pub(crate) fn version_of(receipt: &Receipt) -> Result<Version> {
    let version = receipt.version;
    version.ok_or_else(|| Error::internal("the store acknowledged a write without a version"))
}
