//! The values of fields, as expressions over the body.
//!
//! The type of a JSON value is told by its first character. It is cut off by a function, because
//! the server compares what `JSON_EXTRACT` gives with a text as if it had been unquoted.

use strongroom_core::model::{FieldPath, Kind};

use super::number;
use crate::dialect::DOCUMENT;

/// Longest text that is compared, in bytes. It is longer than the longest that anything is compared
/// with, by a character's other bytes, so that comparing needs no more of a text.
pub(super) const MAX_TEXT_BYTES: usize = 1_028;

/// What is at the end of a path through objects, as JSON text.
pub(super) fn member(path: &FieldPath, body: &str) -> String {
    format!("JSON_EXTRACT({body}, {})", json_path(path))
}

/// The value at the end of a path through objects, `NULL` if it does not fit the kind.
pub(super) fn of_member(kind: Kind, path: &FieldPath, body: &str) -> String {
    let text = format!("JSON_VALUE({body}, {})", json_path(path));
    let text = format!("CAST(LEFT({text}, {MAX_TEXT_BYTES}) AS BINARY)");
    value(kind, &member(path, body), &text)
}

/// The same value for a column, which has a bound in bytes: a text ends there with a whole
/// character.
pub(super) fn of_column(kind: Kind, path: &FieldPath) -> String {
    let bytes = format!("CAST(JSON_VALUE(body, {}) AS BINARY)", json_path(path));
    let begins = |at: usize| format!("SUBSTR({bytes}, {at}, 1) NOT BETWEEN x'80' AND x'BF'");
    let cut = format!(
        "CASE WHEN OCTET_LENGTH({bytes}) < 1025 THEN {bytes} ELSE LEFT({bytes}, \
         CASE WHEN {} THEN 1025 WHEN {} THEN 1026 WHEN {} THEN 1027 ELSE 1028 END) END",
        begins(1026),
        begins(1027),
        begins(1028)
    );
    value(kind, &member(path, "body"), &cut)
}

/// The type of such a column.
pub(super) fn column_type(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "TINYINT".to_owned(),
        Kind::Timestamp => "BIGINT".to_owned(),
        Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } => number::KEY_TYPE.to_owned(),
        _ => format!("VARBINARY({MAX_TEXT_BYTES})"),
    }
}

/// A `FROM` item with a row for each leaf of a field, as JSON text in its column `j`, and for some
/// arrays, which are no values.
pub(super) fn leaves(path: &FieldPath, alias: &str) -> String {
    of_function("strongroom_leaves", path, "j", alias)
}

/// A `FROM` item with a row for each object of a field, in its column `body`.
pub(super) fn objects(path: &FieldPath, alias: &str) -> String {
    of_function("strongroom_objects", path, "body", alias)
}

fn of_function(function: &str, path: &FieldPath, column: &str, alias: &str) -> String {
    let path = literal(path.as_str());
    format!(
        "JSON_TABLE({function}({DOCUMENT}.body, {path}), '$[*]' COLUMNS ({column} JSON PATH '$')) \
         AS {alias}"
    )
}

/// The value of a row of [`leaves`], `NULL` if it does not fit the kind.
pub(super) fn of_leaf(kind: Kind, alias: &str) -> String {
    let json = format!("{alias}.j");
    let text = format!("CAST(LEFT(JSON_VALUE({json}, '$'), {MAX_TEXT_BYTES}) AS BINARY)");
    value(kind, &json, &text)
}

/// What is under the first name of a path, as JSON text.
pub(super) fn outermost(path: &FieldPath, body: &str) -> String {
    format!(
        "JSON_EXTRACT({body}, '$.\"{}\"')",
        path.head().replace('\'', "''")
    )
}

/// The words of the text at the end of a path, in lower case and with spaces around each.
pub(super) fn words_of_member(path: &FieldPath, body: &str) -> String {
    let text = format!("JSON_VALUE({body}, {})", json_path(path));
    words(&member(path, body), &text)
}

/// The words of a row of [`leaves`].
pub(super) fn words_of_leaf(alias: &str) -> String {
    let json = format!("{alias}.j");
    words(&json, &format!("JSON_VALUE({json}, '$')"))
}

/// The words of all leaves of a field that are texts.
pub(super) fn words_of_leaves(path: &FieldPath, body: &str) -> String {
    format!("strongroom_words({body}, {})", literal(path.as_str()))
}

fn words(json: &str, text: &str) -> String {
    format!(
        "CASE WHEN LEFT({json}, 1) = '\"' THEN CONCAT(' ', \
         REGEXP_REPLACE(LOWER({text}), '[^\\\\p{{L}}\\\\p{{N}}]+', ' '), ' ') END"
    )
}

/// A value that is a number, as a float.
pub(super) fn as_double(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Timestamp | Kind::Boolean => format!("CAST({value} AS DOUBLE)"),
        _ => number::float(value),
    }
}

fn value(kind: Kind, json: &str, text: &str) -> String {
    match kind {
        Kind::Boolean => format!("(CASE LEFT({json}, 1) WHEN 't' THEN 1 WHEN 'f' THEN 0 END)"),
        Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } => format!(
            "(CASE WHEN LEFT({json}, 1) BETWEEN '-' AND '9' THEN {} END)",
            number::key(json)
        ),
        // A number that was written with a fraction, be it zero, is no time.
        Kind::Timestamp => {
            format!(
                "(CASE WHEN {json} REGEXP '^(0|-?[1-9][0-9]*)$' THEN CAST({json} AS SIGNED) END)"
            )
        }
        Kind::Keyword => format!("(CASE WHEN LEFT({json}, 1) = '\"' THEN {text} END)"),
        _ => "NULL".to_owned(),
    }
}

/// The path in the server's own form. Names hold no quotation marks and no backslashes.
pub(super) fn json_path(path: &FieldPath) -> String {
    let mut text = String::from("$");
    for name in path.segments() {
        text.push_str(".\"");
        text.push_str(name);
        text.push('"');
    }
    literal(&text)
}

/// A constant. What is written so holds no backslashes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
