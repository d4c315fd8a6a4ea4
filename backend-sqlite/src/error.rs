//! From the driver's errors to the family's: the only place where it is done.
//!
//! What an error says about a write depends on where it struck. Before the commit nothing was
//! written, because SQLite undoes what a failed statement did and the connection is rolled back.
//! An input/output error of the commit itself may come after the commit record reached the disk,
//! where a later recovery would find it: then the outcome is not known.

use rusqlite::ffi;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::CollectionName;
use strongroom_sql::dialect::path_of_column;

/// Where an error struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// While a connection was opened.
    Open,
    /// Where nothing can have been written for good.
    Before,
    /// In a commit, or in a statement that commits by itself.
    Commit,
}

/// Maps an error of the driver.
#[cold]
pub(crate) fn map(error: rusqlite::Error, phase: Phase) -> Error {
    let (kind, message) = match &error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let said = message.as_deref().unwrap_or("no message");
            failure_kind(failure.extended_code, said, phase)
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            failure_kind(error.extended_code, msg, phase)
        }
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => (
            ErrorKind::Internal,
            format!("a stored row is not one that this store writes: {error}"),
        ),
        other => (ErrorKind::Internal, format!("unexpected: {other}")),
    };
    Error::new(kind, message).with_source(error)
}

/// Maps an error of the driver that concerns a collection.
#[cold]
pub(crate) fn map_in(error: rusqlite::Error, phase: Phase, collection: &CollectionName) -> Error {
    map(error, phase).with_collection(collection.clone())
}

fn failure_kind(code: i32, said: &str, phase: Phase) -> (ErrorKind, String) {
    match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_SCHEMA | ffi::SQLITE_PROTOCOL => (
            ErrorKind::Contended,
            "the database file is in use by another process".to_owned(),
        ),
        ffi::SQLITE_FULL => (
            ErrorKind::Unavailable,
            "there is no room: the disk is full, or the file is as large as it may become"
                .to_owned(),
        ),
        ffi::SQLITE_IOERR if phase == Phase::Commit => (
            ErrorKind::Indeterminate,
            format!("the file could not be written while committing: {said}"),
        ),
        ffi::SQLITE_IOERR => (
            ErrorKind::Unavailable,
            format!("the file could not be read or written: {said}"),
        ),
        ffi::SQLITE_CONSTRAINT => constraint(code, said),
        ffi::SQLITE_NOTADB if phase == Phase::Open => (
            ErrorKind::Config,
            "the file is not an SQLite database".to_owned(),
        ),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => (
            if phase == Phase::Open {
                ErrorKind::Config
            } else {
                ErrorKind::Internal
            },
            format!("the database file is damaged: {said}"),
        ),
        ffi::SQLITE_CANTOPEN | ffi::SQLITE_PERM | ffi::SQLITE_READONLY => (
            if phase == Phase::Open {
                ErrorKind::Config
            } else {
                ErrorKind::Unavailable
            },
            format!("the file cannot be opened for reading and writing: {said}"),
        ),
        ffi::SQLITE_AUTH => (ErrorKind::Unauthorized, said.to_owned()),
        ffi::SQLITE_NOMEM => (ErrorKind::Unavailable, "out of memory".to_owned()),
        ffi::SQLITE_INTERRUPT => (ErrorKind::Cancelled, "interrupted".to_owned()),
        ffi::SQLITE_TOOBIG => (
            ErrorKind::Invalid,
            format!("larger than SQLite takes: {said}"),
        ),
        ffi::SQLITE_ERROR => sql_error(said),
        _ => (ErrorKind::Internal, said.to_owned()),
    }
}

/// How the messages of what our own functions refuse begin, with the kind of the refusal: only the
/// message of a function's error comes through SQLite.
const REFUSALS: [(&str, ErrorKind); 2] = [
    ("strongroom invalid: ", ErrorKind::Invalid),
    ("strongroom unsupported: ", ErrorKind::Unsupported),
];

/// What a registered function fails with, so that [`map`] gives the error back.
pub(crate) fn refused(error: Error) -> rusqlite::Error {
    match REFUSALS.iter().find(|(_, kind)| *kind == error.kind()) {
        // SQLite would take a message with NUL in it for none.
        Some((begin, _)) => rusqlite::Error::UserFunctionError(
            format!("{begin}{}", error.message().replace('\0', "\u{fffd}")).into(),
        ),
        None => rusqlite::Error::UserFunctionError(error.into()),
    }
}

/// SQLite tells these apart by message only; the messages are as old as the features.
fn sql_error(said: &str) -> (ErrorKind, String) {
    let refusal = REFUSALS
        .iter()
        .find_map(|(begin, kind)| Some((*kind, said.strip_prefix(begin)?.to_owned())));
    if let Some(refusal) = refusal {
        refusal
    } else if said.starts_with("no such table") && said.ends_with(":t") {
        (
            ErrorKind::SchemaMismatch,
            "the collection was not ensured with this model: it has no index of words".to_owned(),
        )
    } else if said.starts_with("no such table") {
        (
            ErrorKind::NotFound,
            "there is no such collection: it was never ensured, or it was dropped".to_owned(),
        )
    } else if said.starts_with("no such column") || said.contains("has no column named") {
        (
            ErrorKind::SchemaMismatch,
            format!("the collection was not ensured with this model: {said}"),
        )
    } else if said.starts_with("Expression tree is too large") || said.starts_with("parser stack") {
        (
            ErrorKind::Invalid,
            format!("query is larger than SQLite takes: {said}"),
        )
    } else {
        (ErrorKind::Internal, said.to_owned())
    }
}

fn constraint(code: i32, said: &str) -> (ErrorKind, String) {
    if code != ffi::SQLITE_CONSTRAINT_UNIQUE {
        return (ErrorKind::Internal, said.to_owned());
    }
    // "UNIQUE constraint failed: users.f:email"
    let field = said
        .rsplit_once(": ")
        .and_then(|(_, column)| column.split_once('.'))
        .and_then(|(_, column)| path_of_column(column));
    let message = match field {
        Some(field) => format!("another document holds the value of the unique field {field}"),
        None => format!("two documents hold the same unique value: {said}"),
    };
    (ErrorKind::UniqueViolation, message)
}

/// Whether the error says that another connection holds the lock.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

/// Whether the error is one of the row that was written, not of the engine.
pub(crate) fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: i32, said: &str, phase: Phase) -> ErrorKind {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(said.to_owned()));
        map(error, phase).kind()
    }

    #[test]
    fn an_io_error_of_a_commit_is_not_a_failure_for_sure() {
        let code = ffi::SQLITE_IOERR_FSYNC;
        assert_eq!(kind(code, "", Phase::Commit), ErrorKind::Indeterminate);
        assert_eq!(kind(code, "", Phase::Before), ErrorKind::Unavailable);
        assert_eq!(
            kind(ffi::SQLITE_FULL, "", Phase::Commit),
            ErrorKind::Unavailable
        );
    }

    #[test]
    fn a_violation_names_the_field() {
        let error = rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CONSTRAINT_UNIQUE),
            Some("UNIQUE constraint failed: users.f:address.^Zip".to_owned()),
        );
        let error = map(error, Phase::Before);
        assert_eq!(error.kind(), ErrorKind::UniqueViolation);
        assert!(error.message().ends_with("address.Zip"), "{error}");
    }

    #[test]
    fn what_is_missing_is_told() {
        let code = ffi::SQLITE_ERROR;
        assert_eq!(
            kind(code, "no such table: a", Phase::Before),
            ErrorKind::NotFound
        );
        assert_eq!(
            kind(code, "no such column: d.f:a", Phase::Before),
            ErrorKind::SchemaMismatch
        );
        assert_eq!(
            kind(code, "near \"x\": syntax error", Phase::Before),
            ErrorKind::Internal
        );
    }
}
