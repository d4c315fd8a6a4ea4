//! What the server answers, told in the family's words.

use sqlx_core::Error as Driver;
use sqlx_mysql::MySqlDatabaseError;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::Model;
use strongroom_sql::mariadb::short_name;

use crate::failure::violated;

/// A key that is taken.
const DUPLICATE: u16 = 1062;
/// There is no such table.
const NO_SUCH_TABLE: u16 = 1146;

/// The server's own error, if it is one after which the connection can go on.
pub(crate) fn answered(error: &Driver) -> Option<&MySqlDatabaseError> {
    let Driver::Database(error) = error else {
        return None;
    };
    let error = error.try_downcast_ref::<MySqlDatabaseError>()?;
    // The server shuts down, ended the connection, or cannot read what was sent on it.
    let ends = matches!(error.number(), 1053 | 1077..=1080 | 1152..=1161 | 1184 | 1927);
    (!ends).then_some(error)
}

/// Whether the server has rolled the transaction back, or it had better be: a deadlock, a record that
/// changed since the transaction's snapshot, a lock that was waited for too long, no room for more
/// locks.
pub(crate) fn ends_transaction(error: &Driver) -> bool {
    is_collision(error) || answered(error).is_some_and(|e| matches!(e.number(), 1205 | 1206))
}

/// Whether the server gave up what was sent for the sake of others: a deadlock, a record that changed
/// since the transaction's snapshot.
pub(crate) fn is_collision(error: &Driver) -> bool {
    answered(error).is_some_and(|e| matches!(e.number(), 1213 | 1020))
}

/// Whether the server looks for another table than the one of the collection and does not find it.
///
/// Where triggers are made at a table while a prepared statement uses it, the server may take the
/// statement's plan and those of the triggers apart wrongly. The statement then fails for as long as
/// the connection is there, and succeeds on another.
pub(crate) fn is_misled(error: &Driver, model: Option<&Model>) -> bool {
    let (Some(answer), Some(model)) = (answered(error), model) else {
        return false;
    };
    let table = format!(".{}'", short_name(model.name().as_str()));
    answer.number() == NO_SUCH_TABLE && !answer.message().contains(&table)
}

/// Whether the id of a document is taken.
pub(crate) fn is_taken(error: &Driver) -> bool {
    taken_key(error) == Some("PRIMARY")
}

/// Whether a unique value is taken.
pub(crate) fn is_violation(error: &Driver) -> bool {
    taken_key(error).is_some_and(|key| key != "PRIMARY")
}

/// The key that has the value already. The message ends with its name, behind the value.
fn taken_key(error: &Driver) -> Option<&str> {
    let answer = answered(error).filter(|e| e.number() == DUPLICATE)?;
    let (_, key) = answer.message().rsplit_once(" for key '")?;
    key.strip_suffix('\'')
}

/// Whether one item of a bulk may be refused so, and the others not.
pub(crate) fn is_of_an_item(error: &Driver) -> bool {
    answered(error).is_some_and(|answer| {
        answer.number() == DUPLICATE || answer.code().is_some_and(|state| state.starts_with("22"))
    })
}

/// Tells what the server answered.
pub(crate) fn refused(error: Driver, model: Option<&Model>) -> Error {
    if let Some(index) = taken_key(&error) {
        return violated(index, short_name, model);
    }
    let Some(answer) = answered(&error) else {
        return Error::internal("the server gave no answer").with_source(error);
    };
    let kind = match answer.number() {
        // While functions are made, the server at times does not find one that is there.
        1305 if answer.message().contains(".strongroom_") => ErrorKind::Contended,
        1205 | 1206 | 1213 | 1020 | 1412 | 1637 => ErrorKind::Contended,
        1317 | 1969 | 3024 => ErrorKind::Timeout,
        NO_SUCH_TABLE if is_misled(&error, model) => ErrorKind::Contended,
        NO_SUCH_TABLE | 1051 => {
            let missing = Error::new(
                ErrorKind::NotFound,
                "there is no such collection: it was never ensured, or it was dropped",
            );
            return missing.with_source(error);
        }
        1419 => {
            let message = "the server writes a binary log, and lets only users with the privilege \
                 SUPER make functions and triggers then, unless it is set to \
                 log_bin_trust_function_creators = ON (1419)";
            return Error::new(ErrorKind::Unauthorized, message).with_source(error);
        }
        // 1449: whoever made a trigger is no user any more.
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1449 | 1698 | 1862 | 3159 => {
            ErrorKind::Unauthorized
        }
        1046 | 1049 | 1193 => ErrorKind::Config,
        1128 | 1235 | 1305 | 1630 => ErrorKind::Unsupported,
        1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1129 | 1203 | 1226 | 1290 | 1461 | 1836 => {
            ErrorKind::Unavailable
        }
        // What a value leads to, or what a function says.
        1139 | 1242 | 1264 | 1366 | 1406 | 1411 | 1582 | 1644 | 1690 => ErrorKind::Invalid,
        _ => match answer.code() {
            Some(state) if state.starts_with("22") || state.starts_with("45") => ErrorKind::Invalid,
            Some(state) if state.starts_with("28") => ErrorKind::Unauthorized,
            _ => ErrorKind::Internal,
        },
    };
    let message = format!(
        "the server refused: {} ({})",
        answer.message(),
        answer.number()
    );
    Error::new(kind, message).with_source(error)
}
