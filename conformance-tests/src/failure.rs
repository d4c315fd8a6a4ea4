//! What a case says when a store does not do what it must.

use std::fmt;
use std::panic::Location;

use strongroom_core::{Error, ErrorKind, Result};

/// The result of every case.
pub type Outcome<T = ()> = std::result::Result<T, Failure>;

/// A store did not do what it must: what was done, what was expected, what was found.
pub struct Failure {
    message: String,
    at: Option<&'static Location<'static>>,
}

impl Failure {
    /// A failure found at the caller's place.
    #[must_use]
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: Some(Location::caller()),
        }
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The message without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.at {
            Some(at) => write!(f, "\n  found at {}:{}", at.file(), at.line()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format!(
            "expected this to succeed, the store answered: {}",
            describe(&error)
        ))
    }
}

/// An error with its whole chain of sources, on one line.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Says what was being done when something failed.
pub(crate) trait During<T> {
    /// Adds what was being done to a failure.
    #[track_caller]
    fn during(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> During<T> for std::result::Result<T, E> {
    #[track_caller]
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error.into().during(what)),
        }
    }
}

/// Asks for an error of one kind and hands it out.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(
    result: Result<T>,
    kind: ErrorKind,
    what: impl fmt::Display,
) -> Outcome<Error> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure::new(format!(
            "{what}: expected an error of the kind `{kind}`, found `{}`",
            describe(&error)
        ))),
        Ok(value) => Err(Failure::new(format!(
            "{what}: expected an error of the kind `{kind}`, but it succeeded with {value:?}"
        ))),
    }
}

/// Fails the case with a message unless a condition holds.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::failure::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the case unless two values are equal, printing both.
macro_rules! check_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if found != expected {
                    return Err($crate::failure::Failure::new(format!(
                        "{}: expected {expected:?}, found {found:?}",
                        format_args!($($message)+)
                    )));
                }
            }
        }
    };
}

pub(crate) use {check, check_eq};
