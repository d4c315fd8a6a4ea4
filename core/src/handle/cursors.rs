//! Which cursors a handle hands out and takes.
//!
//! With a key every cursor of a page is signed, and every one that comes back is verified before
//! the question is put, whichever way it came: text that is parsed keeps its signature.

use super::collection::Collection;
use super::document::Document;
use crate::error::{Error, Result};
use crate::query::Cursor;
#[cfg(feature = "signed-cursors")]
use crate::{error::ErrorKind, store::Page};

impl<T: Document> Collection<T> {
    /// A handle whose cursors are bound to a context, such as a tenant or a user: one that was
    /// handed out in another context, or in none, is refused. The database needs a
    /// [`cursor_key`](super::DatabaseBuilder::cursor_key).
    #[cfg(feature = "signed-cursors")]
    #[must_use]
    pub fn with_cursor_context(&self, context: impl Into<std::sync::Arc<str>>) -> Self {
        let mut bound = self.clone();
        bound.cursor_context = Some(context.into());
        bound
    }

    /// Refuses a cursor that was not handed out here.
    #[cfg(feature = "signed-cursors")]
    pub(crate) fn admit(&self, cursor: Option<&Cursor>) -> Result<()> {
        match (&self.context.shared.cursor_key, cursor) {
            (Some(key), Some(cursor)) => key.verify(cursor, self.cursor_context.as_deref()),
            (Some(_), None) => Ok(()),
            (None, _) if self.cursor_context.is_some() => Err(Error::new(
                ErrorKind::Config,
                "cursors are to be bound to a context, but the database has no key to sign them",
            )),
            (None, cursor) => unsigned(cursor),
        }
    }

    /// Refuses a cursor that was not handed out here.
    #[cfg(not(feature = "signed-cursors"))]
    pub(crate) fn admit(&self, cursor: Option<&Cursor>) -> Result<()> {
        unsigned(cursor)
    }

    /// Signs the cursors of a page.
    #[cfg(feature = "signed-cursors")]
    pub(crate) fn sign(&self, page: &mut Page) -> Result<()> {
        let Some(key) = &self.context.shared.cursor_key else {
            return Ok(());
        };
        let context = self.cursor_context.as_deref();
        for place in [&mut page.next, &mut page.previous] {
            if let Some(cursor) = place.take() {
                *place = Some(key.sign(cursor, context)?);
            }
        }
        Ok(())
    }
}

/// A signature that nobody can verify is no better than none, and whoever signed it expects it to
/// be looked at.
fn unsigned(cursor: Option<&Cursor>) -> Result<()> {
    if cursor.is_some_and(Cursor::is_signed) {
        return Err(Error::invalid(
            "cursor is signed, and the database has no key to verify it",
        ));
    }
    Ok(())
}
