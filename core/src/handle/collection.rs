//! The typed handle of one collection: its options, and the calls about the collection itself.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::context::{Annotate as _, Context, Setup};
use super::document::Document;
use super::partial::{IntoSelection, Selection};
use crate::error::{Operation, Result};
use crate::model::Model;
use crate::query::SourceFilter;
use crate::store::{CollectionDescription, Computed, EnsureReport, EnsureRequest, Refresh};

/// What saving an unchanged document means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnchangedSave {
    /// Nothing is written and nothing verified: [`Saved::Unchanged`](super::Saved::Unchanged).
    #[default]
    Skip,
    /// It is refused as `Invalid`.
    Refuse,
}

/// The typed handle of one collection. Cheap to clone.
///
/// Options are set on a copy: `users.with_refresh(Refresh::WaitFor)` is a handle that waits, and
/// `users` stays as it was. Only its `async` methods touch the store.
pub struct Collection<T> {
    pub(crate) context: Arc<Context>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) refresh: Refresh,
    pub(crate) unchanged: UnchangedSave,
    pub(crate) selection: Selection,
    pub(crate) computed: Arc<[Computed]>,
    #[cfg(feature = "signed-cursors")]
    pub(crate) cursor_context: Option<Arc<str>>,
    of: PhantomData<fn() -> T>,
}

impl<T: Document> Collection<T> {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let setup = context.shared.registry.setup::<T>();
        Self {
            context,
            setup,
            refresh: Refresh::default(),
            unchanged: UnchangedSave::default(),
            selection: Selection::default(),
            computed: Arc::default(),
            #[cfg(feature = "signed-cursors")]
            cursor_context: None,
            of: PhantomData,
        }
    }

    /// Says when searches see the writes of this handle, on engines whose searches lag behind.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = refresh;
        self
    }

    /// Says what saving an unchanged document means.
    #[must_use]
    pub fn with_unchanged(mut self, unchanged: UnchangedSave) -> Self {
        self.unchanged = unchanged;
        self
    }

    /// A handle that loads these fields only, in `get` and `find`.
    ///
    /// Fields that were not selected must be able to be missing from the type: an `Option`, or
    /// `#[serde(default)]`. The fields that the key is read from are always loaded. Saving what was
    /// loaded so changes only fields that were loaded.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert(User { logins: 3, ..User::new("ada") }).await?;
    /// let mut ada = users.select(["region"]).get("ada").await?.expect("ada was inserted");
    /// assert_eq!(ada.logins, 0, "not loaded");
    /// ada.region = None;
    /// users.save(&mut ada).await?;
    /// assert_eq!(users.get("ada").await?.expect("still there").logins, 3);
    ///
    /// ada.logins = 9;
    /// let error = users.save(&mut ada).await.unwrap_err();
    /// assert!(error.message().contains("field logins was changed but not loaded"));
    /// # Ok(()) }) }
    /// ```
    #[must_use]
    pub fn select(&self, fields: impl IntoSelection) -> Self {
        let mut selecting = self.clone();
        selecting.selection = Selection::new(fields, T::key_fields());
        selecting
    }

    /// The collection's model.
    ///
    /// # Errors
    ///
    /// `Invalid` if the type's declarations break a rule; `SchemaMismatch` if another type gave
    /// the collection another model.
    pub fn model(&self) -> Result<&Arc<Model>> {
        self.setup.model()
    }

    /// The model, and what is selected, as documents remember it.
    pub(crate) fn selected(
        &self,
        operation: Operation,
    ) -> Result<(&Arc<Model>, Option<Arc<SourceFilter>>)> {
        let model = self.model()?;
        Ok((model, self.selection.get().at(operation, model)?))
    }

    /// Creates the collection, or adds the fields that the model has more. What is there is never
    /// changed. Dropping the future leaves the collection as it was, or ensured.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the field, if the model contradicts what is stored, or if somebody
    /// else made a table of that name; `Unsupported`, naming the feature, if the engine cannot keep
    /// what the model declares, or change the schema within a transaction; `UniqueViolation` if a
    /// field is to become unique whose stored values are not; `Unauthorized` if the user may not
    /// make what the collection needs, such as tables, indexes or triggers; `Contended` if a lock,
    /// or another change of the schema, was waited for too long; `Unavailable`; `Indeterminate` if
    /// it is not known whether it took place: then ensure it again.
    pub async fn ensure(&self) -> Result<EnsureReport> {
        let model = self.model()?;
        let request = EnsureRequest::new(model.clone());
        let report = self.context.store.ensure(request).await;
        report.at(Operation::Ensure, model)
    }

    /// Describes the collection as the engine holds it, or `None` if it is not there. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    pub async fn describe(&self) -> Result<Option<CollectionDescription>> {
        let model = self.model()?;
        let description = self.context.store.describe(model.name().clone()).await;
        description.at(Operation::Describe, model)
    }

    /// Drops the collection with all its documents; `false` if it was not there. Dropping the
    /// future leaves it whole or gone.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`, `Contended`.
    pub async fn drop_collection(&self) -> Result<bool> {
        let model = self.model()?;
        let dropped = self
            .context
            .store
            .drop_collection(model.name().clone())
            .await;
        dropped.at(Operation::DropCollection, model)
    }

    /// Makes every write acknowledged before the call visible to searches. Dropping the future
    /// harms nothing.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    pub async fn refresh(&self) -> Result<()> {
        let model = self.model()?;
        let refreshed = self.context.store.refresh(model.name().clone()).await;
        refreshed.at(Operation::Refresh, model)
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            setup: self.setup.clone(),
            refresh: self.refresh,
            unchanged: self.unchanged,
            selection: self.selection.clone(),
            computed: self.computed.clone(),
            #[cfg(feature = "signed-cursors")]
            cursor_context: self.cursor_context.clone(),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.setup.model().ok().map(|model| model.name());
        f.debug_struct("Collection").field("name", &name).finish()
    }
}
