//! Why a call did not succeed, whichever the server.

use std::borrow::Cow;
use std::io;

use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::Model;
use strongroom_sql::dialect::unique_index_name;

#[cfg(feature = "mariadb")]
use crate::mariadb;
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::work::Around;

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

impl Phase {
    /// What is under way while such a call runs.
    pub(crate) fn of(around: Around) -> Self {
        match around.writes() {
            true => Self::Write,
            false => Self::Read,
        }
    }
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
    if postgres::error::answered(&error).is_some()
        || phase == Phase::Read && postgres::error::says_why(&error)
    {
        return postgres::error::refused(error, model);
    }
    #[cfg(feature = "mariadb")]
    if mariadb::error::answered(&error).is_some() {
        return mariadb::error::refused(error, model);
    }
    lost(error, phase)
}

/// The error of a value that this index of unique ones holds already, where the server knows
/// indexes by these short names.
pub(crate) fn violated(
    index: &str,
    short: fn(&str) -> Cow<'_, str>,
    model: Option<&Model>,
) -> Error {
    let field = model.and_then(|model| {
        let mut fields = model.fields().filter(|field| field.unique);
        fields.find(|field| short(&unique_index_name(model, &field.path)) == index)
    });
    // The server's own words hold the value, which may be secret.
    let message = match field {
        Some(field) => format!("field {} is unique, and its value is taken", field.path),
        None => format!("a unique value is taken, by the index {index}"),
    };
    Error::new(ErrorKind::UniqueViolation, message)
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
