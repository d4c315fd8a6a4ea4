//! The index of the words of text.
//!
//! A collection that declares text has a second table, of SQLite's FTS5, with a row for each
//! document and a column for each text field. It keeps no text, only which words stand where, and
//! triggers keep it true: they hand it the words as the core finds them, so that it answers as the
//! in-memory store does. Its tokenizer only takes the words apart again: they hold no character of
//! ASCII but letters and digits, and it takes all others to be parts of words.
//!
//! A document whose texts stay as they are costs the index nothing when it is written.

use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{TextQuery, Words};

use super::{Sqlite, literal};
use crate::dialect::{Dialect, column_name};

/// The function `(body, path)` that gives the words of a field, set apart by spaces. Between two
/// texts stands [`BREAK`].
pub const WORDS_FUNCTION: &str = "strongroom_words";
/// The function `(body, body, paths)` that gives 1 if the two bodies have different texts in one
/// of the fields, else 0. The paths are a JSON array.
pub const TEXTS_DIFFER_FUNCTION: &str = "strongroom_texts_differ";

/// A word that no question can hold: no phrase matches across it.
pub const BREAK: char = '\u{e000}';

/// The tables and triggers of the index of a collection, for `sqlite_schema`: the names of all of
/// them are there if the index is whole. Empty for a collection that declares no text.
#[must_use]
pub fn text_index_names(model: &Model) -> Vec<String> {
    if columns(model).is_empty() {
        return Vec::new();
    }
    let table = table_name(model);
    let trigger = |event: &str| format!("{table}:{event}");
    vec![
        trigger("insert"),
        trigger("update"),
        trigger("delete"),
        table,
    ]
}

/// The statements that make the index, of the documents that are there, in place of whatever there
/// is of one. None for a collection that declares no text.
#[must_use]
pub fn make_text_index(model: &Model) -> Vec<String> {
    let mut names = text_index_names(model).into_iter();
    let (Some(insert), Some(update), Some(delete)) = (names.next(), names.next(), names.next())
    else {
        return Vec::new();
    };
    let [insert, update, delete] = [insert, update, delete].map(|name| Sqlite.identifier(&name));
    let documents = Sqlite.identifier(model.name().as_str());
    let table = Sqlite.identifier(&table_name(model));
    let fields = columns(model);
    let list = |of: &dyn Fn(&FieldDeclaration) -> String| {
        let items: Vec<String> = fields.iter().map(|field| of(field)).collect();
        items.join(", ")
    };
    let names = list(&column);
    let words = |body: &str| {
        list(&|field| {
            let path = literal(field.path.as_str());
            format!("{WORDS_FUNCTION}({body}, {path})")
        })
    };
    let changes = list(&|field| {
        let path = literal(field.path.as_str());
        format!("{} = {WORDS_FUNCTION}(new.body, {path})", column(field))
    });
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    let paths = literal(&serde_json::Value::from(paths).to_string());
    vec![
        format!("DROP TRIGGER IF EXISTS {insert}"),
        format!("DROP TRIGGER IF EXISTS {update}"),
        format!("DROP TRIGGER IF EXISTS {delete}"),
        drop_text_index(model),
        format!(
            "CREATE VIRTUAL TABLE {table} USING fts5({names}, content='', contentless_delete=1, tokenize='ascii')"
        ),
        format!(
            "INSERT INTO {table} (rowid, {names}) SELECT row, {} FROM {documents}",
            words("body")
        ),
        format!(
            "CREATE TRIGGER {insert} AFTER INSERT ON {documents} BEGIN \
             INSERT INTO {table} (rowid, {names}) VALUES (new.row, {}); END",
            words("new.body")
        ),
        format!(
            "CREATE TRIGGER {update} AFTER UPDATE OF body ON {documents} \
             WHEN {TEXTS_DIFFER_FUNCTION}(old.body, new.body, {paths}) BEGIN \
             UPDATE {table} SET {changes} WHERE rowid = new.row; END"
        ),
        format!(
            "CREATE TRIGGER {delete} AFTER DELETE ON {documents} BEGIN \
             DELETE FROM {table} WHERE rowid = old.row; END"
        ),
    ]
}

/// The statements that turn the index made for `stored` into the one for `wanted`.
pub(super) fn extend_text_index(stored: &Model, wanted: &Model) -> Vec<String> {
    let paths = |model| -> Vec<_> { columns(model).into_iter().map(|f| &f.path).collect() };
    if paths(stored) == paths(wanted) {
        return Vec::new();
    }
    make_text_index(wanted)
}

/// The triggers go with the table of the documents.
pub(super) fn drop_text_index(model: &Model) -> String {
    let table = Sqlite.identifier(&table_name(model));
    format!("DROP TABLE IF EXISTS {table}")
}

/// The table of the index, if it can tell the words of this field.
pub(super) fn table_of(model: &Model, field: &FieldDeclaration) -> Option<String> {
    let indexed = field.kind == Kind::Text && !model.is_of_objects();
    indexed.then(|| Sqlite.identifier(&table_name(model)))
}

/// The question in the language of FTS5.
pub(super) fn question(field: &FieldDeclaration, query: &TextQuery) -> String {
    // Words hold no quotation marks.
    let words = match query.mode() {
        Words::Any => query.words().join("\" OR \""),
        Words::All => query.words().join("\" AND \""),
        Words::Phrase => query.words().join(" "),
    };
    format!("{} : (\"{words}\")", column(field))
}

fn table_name(model: &Model) -> String {
    format!("{}:t", model.name())
}

fn columns(model: &Model) -> Vec<&FieldDeclaration> {
    model.fields().filter(|f| f.kind == Kind::Text).collect()
}

fn column(field: &FieldDeclaration) -> String {
    Sqlite.identifier(&column_name(&field.path))
}
