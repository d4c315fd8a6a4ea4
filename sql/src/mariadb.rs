//! The dialect of MariaDB, with its tables.
//!
//! A collection is one table, named as the collection: the id, in routed collections the routing,
//! the version, the write id, the time of writing in milliseconds by the server's clock, a mark of
//! the batch that wrote the row, and the body as JSON text. A field that is indexed or unique is a
//! generated column as well, because MariaDB indexes columns only; other declared fields are the
//! same expression, written into the query. The columns are stored: virtual ones the storage
//! engine would compute anew whenever it purges or undoes a change.
//!
//! What MariaDB's own types cannot compare as the family does is kept in a form of its own: texts
//! are binary strings, and numbers are [keys](number_key).
//!
//! Fields with several values go through the functions of [`PREPARE`], which the adapter makes
//! once: they flatten the body as the in-memory store does. Words of text are looked for in the
//! text itself. An index of the type `FULLTEXT` knows only what is committed, and only the newest
//! state of it, so within a transaction or a scan it would lose documents without a word.

use std::borrow::Cow;

use strongroom_core::error::Result;
use strongroom_core::model::{FieldDeclaration, Kind, Model, Scalar};
use strongroom_core::query::{Call, DateInterval, MissingValues, Order, TextQuery, Words};

use crate::dates;
use crate::dialect::{DOCUMENT, Dialect, Leaves, column_name, has_column, with_digest};
use crate::param::{Param, Writer};
use crate::pattern::like;

mod body;
mod calls;
mod functions;
mod number;
mod stamps;
mod table;
mod value;

pub use body::{load_body, store_body};
pub use calls::evaluate;
pub use functions::PREPARE;
pub use number::{INFINITE, number_key, number_of_key};
pub use stamps::{NOW, StampsAhead, stamped_anew, stamped_over, stamps_of};

/// Most values of one statement, by the protocol.
const MAX_PARAMS: usize = 65_535;
/// Longest identifier, in characters.
const MAX_IDENTIFIER: usize = 64;

/// The dialect of MariaDB.
#[derive(Clone, Copy, Debug, Default)]
pub struct MariaDb;

/// The name that the server knows a table, a column or an index by: the name itself, or, where the
/// server would refuse it or not tell it from others, its beginning and a number made of the whole.
///
/// The server compares names without their accents, and refuses long ones, characters beyond the
/// basic plane, and spaces at the end.
///
/// # Examples
///
/// ```
/// use strongroom_sql::mariadb::short_name;
///
/// assert_eq!(short_name("users:i:name"), "users:i:name");
/// assert!(short_name("f:größe").starts_with("f:gr__e~"));
/// ```
#[must_use]
pub fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_IDENTIFIER && name.is_ascii() && !name.ends_with(' ') {
        return Cow::Borrowed(name);
    }
    let shown: String = name
        .chars()
        .map(|c| if c.is_ascii() { c } else { '_' })
        .collect();
    Cow::Owned(with_digest(&shown, name, MAX_IDENTIFIER))
}

impl Dialect for MariaDb {
    fn identifier(&self, name: &str) -> String {
        format!("`{}`", short_name(name).replace('`', "``"))
    }

    fn placeholder(&self, _number: usize, value: &Param) -> String {
        match value {
            // As text it would be compared as a float.
            Param::Number(_) => format!("CAST(? AS {})", number::KEY_TYPE),
            _ => "?".to_owned(),
        }
    }

    fn max_params(&self) -> usize {
        MAX_PARAMS
    }

    fn comparand(&self, kind: Kind, value: &Scalar) -> Param {
        match kind {
            Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } => Param::Number(value.clone()),
            _ => Param::from(value),
        }
    }

    fn value(&self, field: &FieldDeclaration) -> String {
        if has_column(field) {
            let column = self.identifier(&column_name(&field.path));
            return format!("{DOCUMENT}.{column}");
        }
        value::of_member(field.kind, &field.path, &format!("{DOCUMENT}.body"))
    }

    fn leaves(&self, field: &FieldDeclaration) -> Leaves {
        Leaves {
            from: value::leaves(&field.path, "v"),
            value: value::of_leaf(field.kind, "v"),
        }
    }

    /// The server has no function for it that is quicker than comparing the rows.
    fn distinct_leaves(&self, _field: &FieldDeclaration) -> Option<Leaves> {
        None
    }

    fn extreme(&self, field: &FieldDeclaration, order: Order) -> String {
        let function = match order {
            Order::Ascending => "MIN",
            Order::Descending => "MAX",
        };
        let Leaves { from, value } = self.leaves(field);
        format!("(SELECT {function}({value}) FROM {from})")
    }

    fn exists(&self, field: &FieldDeclaration) -> String {
        let beginning = |json: &str| match field.kind {
            Kind::Object | Kind::Nested => format!("LEFT({json}, 1) = '{{'"),
            Kind::Text | Kind::Bytes => format!("LEFT({json}, 1) = '\"'"),
            _ => format!("LEFT({json}, 1) NOT IN ('{{', '[', 'n')"),
        };
        if field.many {
            let leaves = value::leaves(&field.path, "v");
            return format!("EXISTS (SELECT 1 FROM {leaves} WHERE {})", beginning("v.j"));
        }
        beginning(&value::member(&field.path, &format!("{DOCUMENT}.body")))
    }

    fn wildcard(&self, sql: &mut Writer<'_>, text: &str, pattern: &str) {
        // A character of a binary string would be a byte.
        sql.text("CONVERT(").text(text);
        sql.text(" USING utf8mb4) COLLATE utf8mb4_nopad_bin LIKE ");
        sql.bind(like(pattern).as_str());
    }

    fn text(
        &self,
        sql: &mut Writer<'_>,
        _model: &Model,
        field: &FieldDeclaration,
        query: &TextQuery,
    ) -> Result<()> {
        // The words of a text stand between spaces. They hold nothing that a pattern would take
        // for itself.
        let (joined, operator) = match query.mode() {
            Words::Phrase => (vec![query.words().join(" ")], ""),
            Words::Any => (query.words().to_vec(), " OR "),
            Words::All => (query.words().to_vec(), " AND "),
        };
        let (before, words, after) = if field.many {
            let leaves = value::leaves(&field.path, "v");
            let before = format!("EXISTS (SELECT 1 FROM {leaves} WHERE ");
            (before, value::words_of_leaf("v"), ")")
        } else {
            let words = value::words_of_member(&field.path, &format!("{DOCUMENT}.body"));
            (String::new(), words, "")
        };
        sql.text("(");
        for (at, joined) in joined.iter().enumerate() {
            sql.text(if at > 0 { operator } else { "" });
            sql.text(&before).text(&words).text(" LIKE ");
            sql.bind(format!("% {joined} %").as_str()).text(after);
        }
        sql.text(")");
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
        Leaves {
            from: value::objects(&field.path, "o"),
            value: "o.body".to_owned(),
        }
    }

    /// No other subquery than a call of a function may read the document around it.
    fn objects_as_documents(&self, field: &FieldDeclaration) -> String {
        value::objects(&field.path, DOCUMENT)
    }

    /// A subquery with a limit is not merged into the query around it.
    fn fence(&self) -> &'static str {
        " LIMIT 18446744073709551615"
    }

    fn sum(&self, kind: Kind, value: &str) -> String {
        format!("COALESCE(SUM({}), 0e0)", value::as_double(kind, value))
    }

    fn histogram(&self, sql: &mut Writer<'_>, kind: Kind, value: &str, interval: f64, offset: f64) {
        sql.text("strongroom_histogram(")
            .text(value::as_double(kind, value));
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

    /// In one query the server mixes the groups up where it counts different values as well.
    fn counts_groups_apart(&self) -> bool {
        true
    }

    fn null_is_least(&self) -> bool {
        true
    }

    /// The server knows no `NULLS LAST`: `NULL` is the least.
    fn order_by(&self, expression: &str, order: Order, missing: Option<MissingValues>) -> String {
        match (order, missing) {
            (Order::Ascending, Some(MissingValues::Last)) => {
                format!("{expression} IS NULL, {expression} ASC")
            }
            (Order::Ascending, _) => format!("{expression} ASC"),
            (Order::Descending, Some(MissingValues::First)) => {
                format!("{expression} IS NULL DESC, {expression} DESC")
            }
            (Order::Descending, _) => format!("{expression} DESC"),
        }
    }

    fn create_collection(&self, model: &Model) -> Vec<String> {
        vec![table::create(model)]
    }

    fn extend_collection(&self, stored: &Model, wanted: &Model) -> Vec<String> {
        table::extend(stored, wanted).into_iter().collect()
    }

    fn drop_collection(&self, model: &Model) -> Vec<String> {
        let table = self.identifier(model.name().as_str());
        vec![format!("DROP TABLE IF EXISTS {table}")]
    }
}

#[cfg(test)]
mod tests;
