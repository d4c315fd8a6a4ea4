//! The dialect of PostgreSQL, with its tables.
//!
//! A collection is one table, named as the collection: the id, in routed collections the routing,
//! the version, the write id, the time of writing in milliseconds by the server's clock, and the
//! body as `jsonb`. A field is an expression over the body; the indexes of indexed and unique
//! fields are on that very expression, so nothing is stored twice.
//!
//! Fields with several values go through the functions of [`PREPARE`], which the adapter makes
//! once: they flatten the body as the in-memory store does. An index of such a field is one of
//! all its values: see [`Postgres::indexes_of_several`].
//!
//! `jsonb` and `text` cannot hold the character NUL. The adapter stores text with the first two
//! characters of Unicode replaced by pairs, in a way that keeps the order of texts: see [`store_text`].

use std::borrow::Cow;

use strongroom_core::error::Result;
use strongroom_core::model::{FieldDeclaration, FieldPath, Kind, Model, Scalar};
use strongroom_core::query::{Call, DateInterval, Order, TextQuery, Words};

use crate::dates;
use crate::dialect::{DOCUMENT, Dialect, Leaves, Lookup, index_name, make_indexes, with_digest};
use crate::param::{Param, Writer};
use crate::pattern::like;

mod calls;
mod several;
mod stamps;
mod text;

pub use calls::evaluate;
pub use stamps::{NOW, stamped, stamps_of};
pub use text::{PREPARE, load_text, store_text};

/// Most values of one statement, by the protocol.
const MAX_PARAMS: usize = 65_535;
/// Longest identifier, in bytes. The server cuts longer ones off without an error.
const MAX_IDENTIFIER: usize = 63;

/// The dialect of PostgreSQL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

/// The name that the server knows a table or an index by: the name itself, or, where that is too
/// long for the server, its beginning and a number made of the whole.
#[must_use]
pub fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_IDENTIFIER {
        return Cow::Borrowed(name);
    }
    Cow::Owned(with_digest(name, name, MAX_IDENTIFIER))
}

impl Dialect for Postgres {
    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", short_name(name).replace('"', "\"\""))
    }

    fn placeholder(&self, number: usize, value: &Param) -> String {
        match value {
            Param::Boolean(_) => format!("${number}::boolean"),
            Param::Integer(_) => format!("${number}::bigint"),
            // As text: from a binary float the server would keep 15 digits.
            Param::Float(_) | Param::Number(_) => format!("${number}::text::numeric"),
            Param::Text(_) => format!("${number}::text"),
            Param::WriteId(_) => format!("${number}::bytea"),
        }
    }

    fn max_params(&self) -> usize {
        MAX_PARAMS
    }

    fn value(&self, field: &FieldDeclaration) -> String {
        extract(
            field.kind,
            &member(&field.path, &format!("{DOCUMENT}.body")),
        )
    }

    fn leaves(&self, field: &FieldDeclaration) -> Leaves {
        Leaves {
            from: format!("LATERAL {} AS v", values(field)),
            value: "v.value".to_owned(),
        }
    }

    fn distinct_leaves(&self, field: &FieldDeclaration) -> Option<Leaves> {
        Some(Leaves {
            from: format!(
                "LATERAL (SELECT DISTINCT w.value FROM {} AS w) AS v",
                values(field)
            ),
            value: "v.value".to_owned(),
        })
    }

    fn lookup(&self, field: &FieldDeclaration) -> Option<Lookup> {
        several::lookup(field)
    }

    fn extreme(&self, field: &FieldDeclaration, order: Order) -> String {
        let function = match (field.kind, order) {
            (Kind::Boolean, Order::Ascending) => "bool_and",
            (Kind::Boolean, Order::Descending) => "bool_or",
            (_, Order::Ascending) => "min",
            (_, Order::Descending) => "max",
        };
        let values = values(field);
        format!("(SELECT {function}(v.value) FROM {values} AS v)")
    }

    fn exists(&self, field: &FieldDeclaration) -> String {
        let types = match field.kind {
            Kind::Object | Kind::Nested => "'object'",
            Kind::Text | Kind::Bytes => "'string'",
            _ => "'string', 'number', 'boolean'",
        };
        if field.many {
            let leaves = leaves_of(&field.path);
            return format!(
                "EXISTS (SELECT 1 FROM {leaves} AS l(leaf) WHERE jsonb_typeof(l.leaf) IN ({types}))"
            );
        }
        let member = member(&field.path, &format!("{DOCUMENT}.body"));
        format!("jsonb_typeof({member}) IN ({types})")
    }

    fn wildcard(&self, sql: &mut Writer<'_>, value: &str, pattern: &str) {
        // A pair stands for one character, which `LIKE` does not know.
        sql.text("CASE WHEN strpos(").text(value);
        sql.text(", chr(1)) = 0 THEN ").text(value).text(" LIKE ");
        sql.bind(like(pattern).as_str()).text(" ELSE ").text(value);
        sql.text(" ~ ").bind(text::of_pairs(pattern).as_str());
        sql.text(" END");
    }

    fn text(
        &self,
        sql: &mut Writer<'_>,
        model: &Model,
        field: &FieldDeclaration,
        query: &TextQuery,
    ) -> Result<()> {
        // The index of words tells which documents may match: no document that does is missed.
        let is_indexed = !model.is_of_objects();
        if is_indexed {
            sql.text(format!("({} ", terms(field, &format!("{DOCUMENT}.body"))));
            sql.text(match query.mode() {
                Words::Any => "&& ARRAY[",
                Words::All | Words::Phrase => "@> ARRAY[",
            });
            for (at, word) in query.words().iter().enumerate() {
                let part: String = word.chars().take(text::INDEXED_PART).collect();
                sql.text(if at > 0 { ", " } else { "" }).bind(part.as_str());
            }
            sql.text("] AND ");
        }
        // The words of each text stand between spaces, and texts are set apart by another
        // character. Words hold nothing that a pattern would take for itself.
        let (joined, operator) = match query.mode() {
            Words::Phrase => (vec![query.words().join(" ")], ""),
            Words::Any => (query.words().to_vec(), " OR "),
            Words::All => (query.words().to_vec(), " AND "),
        };
        let path = path_of(&field.path);
        sql.text(format!(
            "EXISTS (SELECT 1 FROM (SELECT strongroom_words({DOCUMENT}.body, {path}) AS w \
             OFFSET 0) AS t WHERE "
        ));
        for (at, words) in joined.iter().enumerate() {
            sql.text(if at > 0 { operator } else { "" })
                .text("t.w LIKE ");
            sql.bind(format!("% {words} %").as_str());
        }
        sql.text(if is_indexed { "))" } else { ")" });
        Ok(())
    }

    fn call(
        &self,
        sql: &mut Writer<'_>,
        model: &Model,
        call: &Call,
        equals: &Scalar,
    ) -> Result<()> {
        calls::equals(sql, model, call, equals)
    }

    fn objects(&self, field: &FieldDeclaration) -> Leaves {
        let leaves = leaves_of(&field.path);
        Leaves {
            from: format!(
                "LATERAL (SELECT l.leaf AS value FROM {leaves} AS l(leaf) \
                 WHERE jsonb_typeof(l.leaf) = 'object') AS o"
            ),
            value: "o.value".to_owned(),
        }
    }

    /// A subquery with an offset is not merged into the query around it.
    fn fence(&self) -> &'static str {
        " OFFSET 0"
    }

    fn sum(&self, _kind: Kind, value: &str) -> String {
        // An exact sum does not leave the range of its type, nor does what is made of it: where
        // a float cannot hold it, the reply reads an infinity.
        format!("coalesce(sum(({value})::numeric), 0)")
    }

    fn histogram(
        &self,
        sql: &mut Writer<'_>,
        _kind: Kind,
        value: &str,
        interval: f64,
        offset: f64,
    ) {
        sql.text("strongroom_histogram((").text(value);
        sql.text(")::numeric, ");
        sql.bind(Param::Float(interval)).text("::float8, ");
        sql.bind(Param::Float(offset)).text("::float8)");
    }

    fn date_histogram(
        &self,
        sql: &mut Writer<'_>,
        value: &str,
        interval: DateInterval,
    ) -> Result<()> {
        dates::begin(sql, &format!("(({value})::bigint)"), interval)
    }

    /// The server computes such a column once more for each row that it sends, though it has
    /// found the row by the index of that very value.
    fn tells_sort_values(&self) -> bool {
        false
    }

    fn create_collection(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        let (routing, key) = if model.is_routed() {
            ("routing text COLLATE \"C\" NOT NULL, ", "id, routing")
        } else {
            ("", "id")
        };
        // Room is left on each page, so that a document that changes can stay on its page. Its entries
        // in the indexes then stay as they are, and are not written again at each save.
        let create = format!(
            "CREATE TABLE {table} (id text COLLATE \"C\" NOT NULL, {routing}\
             version bigint NOT NULL, write_id bytea NOT NULL, written_at bigint NOT NULL, \
             body jsonb NOT NULL, PRIMARY KEY ({key})) WITH (fillfactor = 85)"
        );
        let mut statements = vec![create];
        for field in model.fields() {
            statements.extend(self.indexes(model, None, field));
        }
        statements.extend(self.made_where_missing(model));
        statements
    }

    fn extend_collection(&self, stored: &Model, wanted: &Model) -> Vec<String> {
        let fields = wanted.fields();
        let indexes =
            fields.flat_map(|field| self.indexes(wanted, stored.field(field.path.as_str()), field));
        indexes.chain(self.made_where_missing(wanted)).collect()
    }

    fn drop_collection(&self, model: &Model) -> Vec<String> {
        vec![format!(
            "DROP TABLE {}",
            self.identifier(model.name().as_str())
        )]
    }
}

impl Postgres {
    /// The statements that make the indexes of words that a collection has not yet.
    #[must_use]
    pub fn text_indexes(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        let fields = model.fields().filter(|field| field.kind == Kind::Text);
        let made = fields.map(|field| {
            let index = self.identifier(&index_name(model, &field.path));
            let terms = terms(field, "body");
            format!("CREATE INDEX IF NOT EXISTS {index} ON {table} USING gin (({terms}))")
        });
        made.collect()
    }

    /// The statements that make the indexes which former versions of the store did not make, as far
    /// as the collection has not got them.
    pub fn made_where_missing(&self, model: &Model) -> impl Iterator<Item = String> {
        let of_several = self.indexes_of_several(model);
        self.text_indexes(model).into_iter().chain(of_several)
    }

    /// The indexes that `field` demands and `there` has not.
    fn indexes(
        &self,
        model: &Model,
        there: Option<&FieldDeclaration>,
        field: &FieldDeclaration,
    ) -> Vec<String> {
        let value = extract(field.kind, &member(&field.path, "body"));
        make_indexes(self, model, there, field, &format!("({value})"))
    }
}

/// A string constant. The escape form means the same whatever the server's settings are.
fn literal(text: &str) -> String {
    let stored = store_text(text);
    format!("E'{}'", stored.replace('\\', "\\\\").replace('\'', "''"))
}

/// What is at the end of a path through objects, as `jsonb`.
fn member(path: &FieldPath, body: &str) -> String {
    let mut expression = body.to_owned();
    for name in path.segments() {
        expression.push_str(" -> ");
        expression.push_str(&literal(name));
    }
    format!("({expression})")
}

/// The value if its JSON type fits the kind, else `NULL`.
fn extract(kind: Kind, json: &str) -> String {
    match kind {
        Kind::Boolean => {
            format!("(CASE WHEN jsonb_typeof({json}) = 'boolean' THEN {json}::boolean END)")
        }
        Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } => {
            format!("(CASE WHEN jsonb_typeof({json}) = 'number' THEN {json}::numeric END)")
        }
        // A number that was written with a fraction, be it zero, is no time.
        Kind::Timestamp => format!(
            "(CASE WHEN jsonb_typeof({json}) = 'number' AND scale({json}::numeric) = 0 \
             THEN {json}::numeric::bigint END)"
        ),
        Kind::Keyword => format!(
            "(CASE WHEN jsonb_typeof({json}) = 'string' THEN {json} #>> '{{}}' END) COLLATE \"C\""
        ),
        _ => "NULL::text".to_owned(),
    }
}

/// A path as an array of its names.
fn path_of(path: &FieldPath) -> String {
    let names: Vec<_> = path.segments().map(literal).collect();
    format!("ARRAY[{}]", names.join(", "))
}

/// The words of a field, as its index has them. They are an array: the server's own type for text
/// search takes no word of 2 KiB and no text of 1 MiB, and would refuse the document.
fn terms(field: &FieldDeclaration, body: &str) -> String {
    let path = path_of(&field.path);
    format!("strongroom_terms({body}, {path}) COLLATE \"C\"")
}

/// The call that gives a row for each leaf of a field.
fn leaves_of(path: &FieldPath) -> String {
    format!("strongroom_leaves({DOCUMENT}.body, {})", path_of(path))
}

/// A subquery with a row for each value that fits the field's kind.
fn values(field: &FieldDeclaration) -> String {
    let leaves = leaves_of(&field.path);
    let value = extract(field.kind, "l.leaf");
    format!(
        "(SELECT u.value FROM (SELECT {value} AS value FROM {leaves} AS l(leaf)) AS u \
         WHERE u.value IS NOT NULL)"
    )
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::Key;
    use strongroom_core::query::{Cursor, Filter, Position, Sort};
    use strongroom_core::store::{FindRequest, PageStart};

    use super::*;
    use crate::page::find;

    #[test]
    fn long_names_are_told_apart() {
        let (one, other) = ("x".repeat(80) + "1", "x".repeat(80) + "2");
        assert_ne!(short_name(&one), short_name(&other));
        assert_eq!(short_name(&one).len(), MAX_IDENTIFIER);
        assert_eq!(short_name("short"), "short");
        let wide = "ä".repeat(50);
        assert!(short_name(&wide).len() <= MAX_IDENTIFIER);
    }

    #[test]
    fn values_are_cast_and_paths_are_constants() {
        let field = FieldDeclaration::new("o.n".parse().unwrap(), Kind::Integer);
        let mut sql = Writer::new(&Postgres);
        sql.text(Postgres.value(&field))
            .text(" > ")
            .bind(Param::Float(0.5));
        assert_eq!(
            sql.finish().unwrap().sql,
            "(CASE WHEN jsonb_typeof((d.body -> E'o' -> E'n')) = 'number' \
             THEN (d.body -> E'o' -> E'n')::numeric END) > $1::text::numeric"
        );
    }

    #[test]
    fn names_are_constants() {
        let path: FieldPath = "o.größe".parse().unwrap();
        assert_eq!(member(&path, "d.body"), "(d.body -> E'o' -> E'größe')");
        assert_eq!(literal(r"it's \"), r"E'it''s \\'");
    }

    #[test]
    fn orders_repeat_the_expressions_of_fields() {
        let field = FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed();
        let model = Model::builder("users").field(field).build().unwrap();
        let n = "(CASE WHEN jsonb_typeof((d.body -> E'n')) = 'number' \
                 THEN (d.body -> E'n')::numeric END)";
        let mut request = FindRequest::new(model, Filter::all());
        request.sort = vec![Sort::descending("n".parse().unwrap())];
        let sql = |request: &FindRequest| find(&Postgres, request).unwrap().sql;
        assert_eq!(
            sql(&request),
            format!(
                "SELECT d.id, d.version, d.body FROM \"users\" AS d WHERE TRUE \
                 ORDER BY {n} DESC NULLS LAST, d.id ASC LIMIT 51"
            )
        );
        // Where two ranges are put together, the order is that of a column.
        let position = Position {
            values: vec![Some(Scalar::Integer(3))],
            key: Key::new("ada").unwrap(),
        };
        let FindRequest { filter, sort, .. } = &request;
        let cursor = Cursor::new(position, request.model.name(), filter, sort, None);
        request.start = PageStart::After(cursor);
        let behind = sql(&request);
        let columns = "SELECT d.id, d.version, d.body FROM (SELECT d.id, d.version, d.body, ";
        assert!(
            behind.starts_with(&format!("{columns}{n} AS s0 FROM ")),
            "{behind}"
        );
        let order = ") AS d ORDER BY s0 DESC NULLS LAST, d.id ASC LIMIT 51";
        assert!(behind.ends_with(order), "{behind}");
    }
}
