//! The dialect of SQLite, with its tables.
//!
//! A collection is one table, named as the collection: `row`, the id, in routed collections the
//! routing, the version, the write id, the time of writing in milliseconds, and the body as JSON
//! text. A field that is indexed or unique is a generated virtual column as well, and its index
//! goes on to the id, so that pages in the order of the field come straight from the index. Other
//! declared fields are the same expression, written into the query: SQLite computes every
//! generated column at every insert, whether or not anything needs it.
//!
//! The words of text are in an index of their own, a table named `<collection>:t`: see
//! [`make_text_index`].
//!
//! Fields with several values go through functions that the adapter registers: they flatten the
//! body as the in-memory store does.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{FieldDeclaration, FieldPath, Kind, Model, Scalar};
use strongroom_core::query::{Call, DateInterval, Order, TextQuery, Words};

use crate::dialect::{DOCUMENT, Dialect, Leaves, column_name, has_column, make_indexes};
use crate::param::{Param, Writer};

mod dates;

mod text_index;

pub use text_index::{
    BREAK, TEXTS_DIFFER_FUNCTION, WORDS_FUNCTION, make_text_index, text_index_names,
};

/// The function `(body, path, kind)` that gives a JSON array of the values that fit the kind.
pub const VALUES_FUNCTION: &str = "strongroom_values";
/// The function `(body, path, kind)` that gives a JSON array of the different values that fit the
/// kind.
pub const DISTINCT_FUNCTION: &str = "strongroom_distinct";
/// The function `(body, path, kind)` that gives the least value that fits the kind.
pub const LEAST_FUNCTION: &str = "strongroom_least";
/// The function `(body, path, kind)` that gives the greatest value that fits the kind.
pub const GREATEST_FUNCTION: &str = "strongroom_greatest";
/// The function `(body, path, kind)` that gives 1 if the field exists, else 0.
pub const EXISTS_FUNCTION: &str = "strongroom_exists";

/// The function `(text, pattern)` that gives 1 if the text matches the wildcard pattern, else 0.
pub const WILDCARD_FUNCTION: &str = "strongroom_wildcard";
/// The function `(body, path, mode, words)` that gives 1 if the texts of the field have the words,
/// as the mode `any`, `all` or `phrase` says, else 0. The words are set apart by spaces. It looks at
/// the objects of nested fields, which the index of words does not tell apart.
pub const TEXT_FUNCTION: &str = "strongroom_text";
/// The function `(body, path)` that gives a JSON array of the objects of a field.
pub const OBJECTS_FUNCTION: &str = "strongroom_objects";
/// The function `(value, interval, offset)` that gives where the bucket of a histogram begins.
pub const HISTOGRAM_FUNCTION: &str = "strongroom_histogram";
/// The function `(milliseconds, unit)` that gives where the month, quarter or year of a time
/// begins, by the name of the unit.
pub const DATE_FUNCTION: &str = "strongroom_date";

/// The function `(body, json)` that gives 1 if what a call makes of the body equals a value, else 0.
/// The JSON is an array of the compiled call and the value.
pub const CALL_FUNCTION: &str = "strongroom_call";

/// Most values of one statement, as SQLite is built by default.
const MAX_PARAMS: usize = 32_766;

/// The dialect of SQLite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

impl Dialect for Sqlite {
    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn placeholder(&self, number: usize, _value: &Param) -> String {
        format!("?{number}")
    }

    fn max_params(&self) -> usize {
        MAX_PARAMS
    }

    fn value(&self, field: &FieldDeclaration) -> String {
        if has_column(field) {
            let column = self.identifier(&column_name(&field.path));
            return format!("{DOCUMENT}.{column}");
        }
        extract(field, &format!("{DOCUMENT}.body"))
    }

    fn leaves(&self, field: &FieldDeclaration) -> Leaves {
        Leaves {
            from: format!("json_each({}) AS v", call(VALUES_FUNCTION, field)),
            value: "v.value".to_owned(),
        }
    }

    fn distinct_leaves(&self, field: &FieldDeclaration) -> Option<Leaves> {
        Some(Leaves {
            from: format!("json_each({}) AS v", call(DISTINCT_FUNCTION, field)),
            value: "v.value".to_owned(),
        })
    }

    fn extreme(&self, field: &FieldDeclaration, order: Order) -> String {
        match order {
            Order::Ascending => call(LEAST_FUNCTION, field),
            Order::Descending => call(GREATEST_FUNCTION, field),
        }
    }

    fn exists(&self, field: &FieldDeclaration) -> String {
        if field.many {
            return call(EXISTS_FUNCTION, field);
        }
        let types = match field.kind {
            Kind::Object | Kind::Nested => "'object'",
            Kind::Text | Kind::Bytes => "'text'",
            _ => "'text', 'integer', 'real', 'true', 'false'",
        };
        let path = json_path(&field.path);
        format!("json_type({DOCUMENT}.body, {path}) IN ({types})")
    }

    fn wildcard(&self, sql: &mut Writer<'_>, text: &str, pattern: &str) {
        // GLOB would end a text at its first NUL.
        sql.text(WILDCARD_FUNCTION).text("(").text(text);
        sql.text(", ").bind(pattern).text(")");
    }

    fn text(
        &self,
        sql: &mut Writer<'_>,
        model: &Model,
        field: &FieldDeclaration,
        query: &TextQuery,
    ) -> Result<()> {
        if let Some(index) = text_index::table_of(model, field) {
            sql.text(format!("{DOCUMENT}.row IN (SELECT rowid FROM {index}("));
            sql.bind(text_index::question(field, query).as_str());
            sql.text("))");
            return Ok(());
        }
        let path = literal(field.path.as_str());
        let words = match query.mode() {
            Words::Any => "'any'",
            Words::All => "'all'",
            Words::Phrase => "'phrase'",
        };
        sql.text(format!(
            "{TEXT_FUNCTION}({DOCUMENT}.body, {path}, {words}, "
        ));
        sql.bind(query.words().join(" ").as_str()).text(")");
        Ok(())
    }

    fn call(
        &self,
        sql: &mut Writer<'_>,
        model: &Model,
        call: &Call,
        equals: &Scalar,
    ) -> Result<()> {
        let asked = serde_json::to_string(&(call.compile(model)?, equals))
            .map_err(|e| Error::internal("a call does not encode").with_source(e))?;
        sql.text(format!("{CALL_FUNCTION}({DOCUMENT}.body, "));
        sql.bind(asked.as_str()).text(")");
        Ok(())
    }

    fn objects(&self, field: &FieldDeclaration) -> Leaves {
        let path = literal(field.path.as_str());
        Leaves {
            from: format!("json_each({OBJECTS_FUNCTION}({DOCUMENT}.body, {path})) AS o"),
            value: "o.value".to_owned(),
        }
    }

    /// A subquery with a limit is not merged into the query around it.
    fn fence(&self) -> &'static str {
        " LIMIT -1"
    }

    fn sum(&self, _kind: Kind, value: &str) -> String {
        // `sum` fails where integers leave their range.
        format!("total({value})")
    }

    fn histogram(
        &self,
        sql: &mut Writer<'_>,
        _kind: Kind,
        value: &str,
        interval: f64,
        offset: f64,
    ) {
        sql.text(HISTOGRAM_FUNCTION).text("(").text(value);
        sql.text(", ").bind(Param::Float(interval));
        sql.text(", ").bind(Param::Float(offset)).text(")");
    }

    fn date_histogram(
        &self,
        sql: &mut Writer<'_>,
        value: &str,
        interval: DateInterval,
    ) -> Result<()> {
        dates::begin(sql, value, interval)
    }

    fn create_collection(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        let (routing, key) = if model.is_routed() {
            (", routing TEXT NOT NULL", "routing, id")
        } else {
            ("", "id")
        };
        let mut create = format!(
            "CREATE TABLE {table} (row INTEGER PRIMARY KEY, id TEXT NOT NULL{routing}, \
             version INTEGER NOT NULL, write_id BLOB NOT NULL, written_at INTEGER NOT NULL, \
             body TEXT NOT NULL"
        );
        for field in model.fields().filter(|f| has_column(f)) {
            create.push_str(", ");
            create.push_str(&self.column(field));
        }
        create.push_str(&format!(", UNIQUE ({key}))"));
        let mut statements = vec![create];
        for field in model.fields() {
            statements.extend(self.indexes(model, None, field));
        }
        statements.extend(text_index::make_text_index(model));
        statements
    }

    fn extend_collection(&self, stored: &Model, wanted: &Model) -> Vec<String> {
        let table = self.identifier(wanted.name().as_str());
        let mut statements = Vec::new();
        for field in wanted.fields() {
            let there = stored.field(field.path.as_str());
            if has_column(field) && !there.is_some_and(has_column) {
                statements.push(format!(
                    "ALTER TABLE {table} ADD COLUMN {}",
                    self.column(field)
                ));
            }
            statements.extend(self.indexes(wanted, there, field));
        }
        statements.extend(text_index::extend_text_index(stored, wanted));
        statements
    }

    fn drop_collection(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        vec![
            format!("DROP TABLE {table}"),
            text_index::drop_text_index(model),
        ]
    }
}

impl Sqlite {
    /// Without a type the column keeps values as they are.
    fn column(&self, field: &FieldDeclaration) -> String {
        format!(
            "{} GENERATED ALWAYS AS ({}) VIRTUAL",
            self.identifier(&column_name(&field.path)),
            extract(field, "body")
        )
    }

    /// The indexes that `field` demands and `there` has not.
    fn indexes(
        &self,
        model: &Model,
        there: Option<&FieldDeclaration>,
        field: &FieldDeclaration,
    ) -> Vec<String> {
        let column = self.identifier(&column_name(&field.path));
        make_indexes(self, model, there, field, &column)
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn call(function: &str, field: &FieldDeclaration) -> String {
    let path = literal(field.path.as_str());
    let kind = literal(field.kind.as_str());
    format!("{function}({DOCUMENT}.body, {path}, {kind})")
}

/// The path in SQLite's own form. Names hold no quotation marks and no backslashes.
fn json_path(path: &FieldPath) -> String {
    let mut text = String::from("$");
    for name in path.segments() {
        text.push_str(".\"");
        text.push_str(name);
        text.push('"');
    }
    literal(&text)
}

/// The value if its JSON type fits the kind, else `NULL`. `->>` alone would make 1 of `true`.
fn extract(field: &FieldDeclaration, body: &str) -> String {
    let path = json_path(&field.path);
    match field.kind {
        Kind::Boolean => {
            format!("CASE json_type({body}, {path}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END")
        }
        Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } => format!(
            "CASE WHEN json_type({body}, {path}) IN ('integer', 'real') THEN {body} ->> {path} END"
        ),
        Kind::Timestamp => {
            format!("CASE json_type({body}, {path}) WHEN 'integer' THEN {body} ->> {path} END")
        }
        _ => format!("CASE json_type({body}, {path}) WHEN 'text' THEN {body} ->> {path} END"),
    }
}
