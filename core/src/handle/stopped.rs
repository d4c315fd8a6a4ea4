//! What was done before something stopped.

use std::fmt;

use crate::error::Error;

/// The source of the error of work in many steps that could not go on: what it did before, as the
/// same summary that it would have ended with, and where to go on.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// let f = User::fields();
/// let count = || users.patch_matching(Filter::all(), f.logins().increment(1));
/// let mut write = count();
/// let mut written = 0;
/// loop {
///     let error = match write.send().await {
///         Ok(summary) => break written += summary.written,
///         Err(error) => error,
///     };
///     match Stopped::<MatchingSummary>::of(&error) {
///         Some(stopped) if error.is_retryable() => {
///             written += stopped.summary().written;
///             write = count().resume(stopped.summary());
///         }
///         _ => return Err(error),
///     }
/// }
/// # assert_eq!(written, 0);
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
    pub(crate) fn error(error: Error, summary: S, done: impl fmt::Display) -> Error {
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
