//! The driver's errors, told in the family's words.

use sqlx_core::Error as Driver;
use sqlx_postgres::{PgDatabaseError, PgSeverity};
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::Model;
use strongroom_sql::postgres::short_name;

use crate::failure::violated;

/// The server's own error, if it is one after which the connection can go on.
pub(crate) fn answered(error: &Driver) -> Option<&PgDatabaseError> {
    let error = last_words(error)?;
    let ends = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
        || error.code().starts_with("57P")
        || error.code().starts_with("08");
    (!ends).then_some(error)
}

/// The server's own error, be it its last one on the connection.
fn last_words(error: &Driver) -> Option<&PgDatabaseError> {
    match error {
        Driver::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    }
}

/// Whether the server tells by its last words why it lets nobody in or read on, beyond that it ends
/// the connection.
pub(crate) fn says_why(error: &Driver) -> bool {
    let classes = ["22", "25", "28", "3D", "40", "42", "53"];
    last_words(error).is_some_and(|words| classes.iter().any(|c| words.code().starts_with(c)))
}

/// Whether a transaction has to run anew from its beginning.
pub(crate) fn is_serialization(error: &Driver) -> bool {
    answered(error).is_some_and(|e| matches!(e.code(), "40001" | "40P01"))
}

/// Whether one item of a bulk may be refused so, and the others not.
pub(crate) fn is_of_an_item(error: &Driver) -> bool {
    let classes = ["22", "23", "54"];
    answered(error)
        .is_some_and(|answer| classes.iter().any(|class| answer.code().starts_with(class)))
}

/// Tells what the server answered.
pub(crate) fn refused(error: Driver, model: Option<&Model>) -> Error {
    let Some(answer) = last_words(&error) else {
        return Error::internal("the server gave no answer").with_source(error);
    };
    let kind = match answer.code() {
        "23505" => return violated(answer.constraint().unwrap_or_default(), short_name, model),
        "40001" | "40P01" | "55P03" | "55006" => ErrorKind::Contended,
        "57014" | "25P04" => ErrorKind::Timeout,
        "42P01" => {
            let missing = Error::new(
                ErrorKind::NotFound,
                "there is no such collection: it was never ensured, or it was dropped",
            );
            return missing.with_source(error);
        }
        "42501" => ErrorKind::Unauthorized,
        "3D000" | "3F000" => ErrorKind::Config,
        "42883" | "0A000" => ErrorKind::Unsupported,
        // 25006: a standby, or a primary that is none any more.
        "25006" | "25P03" | "53300" | "53400" | "55000" | "53200" | "53100" => {
            ErrorKind::Unavailable
        }
        code if code.starts_with("28") => ErrorKind::Unauthorized,
        // What a value leads to, or what a function says.
        code if ["22", "54", "P0"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            ErrorKind::Invalid
        }
        _ => ErrorKind::Internal,
    };
    let within = answer.r#where().and_then(|context| context.lines().next());
    let message = format!(
        "the server refused: {} ({}){}{}",
        answer.message(),
        answer.code(),
        // It names the function that failed.
        within.map_or("", |_| ", in "),
        within.unwrap_or_default()
    );
    match answer.code().starts_with("23") {
        // Its details hold the row.
        true => Error::new(kind, message),
        false => Error::new(kind, message).with_source(error),
    }
}
