//! Why a call did not succeed, whichever the server.

use std::io;

use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::Model;

#[cfg(feature = "mariadb")]
use crate::mariadb;
#[cfg(feature = "postgres")]
use crate::postgres;

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// By the request's own fault: the connection is as it was.
    Refused(Error),
    /// By the engine's or the connection's.
    Engine(Driver),
}

impl From<Driver> for Failure {
    fn from(error: Driver) -> Self {
        Self::Engine(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// What was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing that writes.
    Read,
    /// Something that may have been written when the connection broke.
    Write,
}

impl Failure {
    /// The error to tell.
    pub(crate) fn told(self, phase: Phase, model: Option<&Model>) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Engine(error) => map(error, phase, model),
        }
    }

    /// Whether the connection broke, or nobody knows what it is doing.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Engine(error) if !is_answer(error))
    }
}

/// Whether it is the server's own error, after which the connection can go on.
pub(crate) fn is_answer(error: &Driver) -> bool {
    #[cfg(feature = "postgres")]
    if postgres::error::answered(error).is_some() {
        return true;
    }
    #[cfg(feature = "mariadb")]
    if mariadb::error::answered(error).is_some() {
        return true;
    }
    false
}

/// Tells a driver's error in the family's words.
pub(crate) fn map(error: Driver, phase: Phase, model: Option<&Model>) -> Error {
    #[cfg(feature = "postgres")]
    if postgres::error::answered(&error).is_some() {
        return postgres::error::refused(error, model);
    }
    #[cfg(feature = "mariadb")]
    if mariadb::error::answered(&error).is_some() {
        return mariadb::error::refused(error, model);
    }
    lost(error, phase)
}

fn lost(error: Driver, phase: Phase) -> Error {
    match (&error, phase) {
        (Driver::Configuration(_) | Driver::Tls(_), _) => {
            Error::new(ErrorKind::Config, "the connection cannot be made").with_source(error)
        }
        (Driver::Encode(_) | Driver::ColumnDecode { .. } | Driver::Decode(_), _) => {
            Error::internal("a value does not translate").with_source(error)
        }
        (_, Phase::Read) => {
            Error::new(ErrorKind::Unavailable, "the connection to the server broke")
                .with_source(error)
        }
        (_, Phase::Write) => {
            Error::indeterminate("the connection to the server broke while it was writing")
                .with_source(error)
        }
    }
}

/// A server whose certificate is refused comes as one that sends what makes no sense.
pub(crate) fn untrusted(error: Driver) -> Driver {
    match error {
        Driver::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Driver::Tls(error.into())
        }
        other => other,
    }
}
