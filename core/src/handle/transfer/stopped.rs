//! What was done before something stopped.

use std::fmt;

use crate::error::Error;

/// The source of the error of an import or a copy that could not go on: what it did before, as
/// the same summary that it would have ended with.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// use strongroom_core::handle::transfer::{ImportSummary, Stopped};
///
/// # fn main() -> Result<()> { run(async |_, users| {
/// let lines = "{\"name\":\"ada\"}\n{\"name\":\n{\"name\":\"bob\"}\n";
/// let error = users.import(lines.as_bytes()).max_failures(0).send().await.unwrap_err();
/// assert!(error.message().contains("line 2"));
/// let stopped = Stopped::<ImportSummary>::of(&error).expect("the import tells");
/// assert_eq!(stopped.summary().written, 1);
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct Stopped<S> {
    error: Error,
    summary: S,
}

impl<S: fmt::Debug + Send + Sync + 'static> Stopped<S> {
    /// What an error tells of it.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// What was done before.
    #[must_use]
    pub fn summary(&self) -> &S {
        &self.summary
    }

    /// The error, with the summary as its source; `done` says it in words.
    pub(super) fn error(error: Error, summary: S, done: impl fmt::Display) -> Error {
        let mut told = Error::new(
            error.kind(),
            format!("{} (before that, {done})", error.message()),
        );
        if let Some(operation) = error.operation() {
            told = told.with_operation(operation);
        }
        if let Some(collection) = error.collection() {
            told = told.with_collection(collection.clone());
        }
        if let Some(key) = error.key() {
            told = told.with_key(key.clone());
        }
        told.with_source(Self { error, summary })
    }
}

impl<S> fmt::Display for Stopped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error.message())
    }
}

impl<S: fmt::Debug> std::error::Error for Stopped<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
