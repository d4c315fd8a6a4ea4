//! What a database has to say about its SQL.

use std::fmt::Debug;

use strongroom_core::error::Result;
use strongroom_core::model::{FieldDeclaration, FieldPath, Kind, Model, Scalar};
use strongroom_core::query::{Call, DateInterval, MissingValues, Order, TextQuery};

use crate::param::{Param, Writer};

/// The alias under which every compiled query reads the collection's table.
pub const DOCUMENT: &str = "d";

/// Where the values of a field that may hold several come from, or its objects. They are read from
/// the column `body` of the document alone, which a subquery may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaves {
    /// A `FROM` item that has one row for each value that fits the field's kind, or each object. It
    /// may stand beside the document's row, and in a subquery that reads it.
    pub from: String,
    /// The value in such a row; `NULL` in a row that does not count.
    pub value: String,
}

/// How documents are looked up in an index by the values of a field that may hold several: a
/// condition that holds if the field has some of the values looked for, and only then. It is text
/// before, between and behind those values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What stands before the first value.
    pub before: String,
    /// What stands between two values.
    pub between: &'static str,
    /// What stands behind the last value.
    pub behind: &'static str,
}

/// A database's SQL, as far as the compilers need it. Expressions read the document's row under
/// the alias [`DOCUMENT`].
///
/// Only values that fit the field's kind count as its values, except in
/// [`exists`](Self::exists). Text MUST compare by its bytes, numbers exactly.
pub trait Dialect: Debug + Send + Sync {
    /// A quoted identifier. The name can hold any character but NUL.
    fn identifier(&self, name: &str) -> String;

    /// The placeholder of this value at this place; the first is 1. A database that does not know
    /// by itself of which type a value is says so here.
    fn placeholder(&self, number: usize, value: &Param) -> String;

    /// Most values of one statement.
    fn max_params(&self) -> usize;

    /// What is bound where the values of a field of this kind are compared with `value`.
    fn comparand(&self, _kind: Kind, value: &Scalar) -> Param {
        Param::from(value)
    }

    /// The value of a field that holds at most one, `NULL` where there is none.
    fn value(&self, field: &FieldDeclaration) -> String;

    /// The values of a field that may hold several.
    fn leaves(&self, field: &FieldDeclaration) -> Leaves;

    /// The values of a field that may hold several, each of them once; `None` where the database
    /// has to compare the rows to tell them apart.
    fn distinct_leaves(&self, field: &FieldDeclaration) -> Option<Leaves>;

    /// How documents are looked up by the values of a field that may hold several; `None` where no
    /// index has them. The values are compared one by one then.
    fn lookup(&self, _field: &FieldDeclaration) -> Option<Lookup> {
        None
    }

    /// The least (ascending) or the greatest (descending) value of a field that may hold several,
    /// `NULL` where there is none.
    fn extreme(&self, field: &FieldDeclaration, order: Order) -> String;

    /// A condition that holds if the field has a value, of whatever type.
    fn exists(&self, field: &FieldDeclaration) -> String;

    /// Writes the condition that a text, which may be `NULL`, matches a checked wildcard pattern.
    fn wildcard(&self, sql: &mut Writer<'_>, text: &str, pattern: &str);

    /// Writes the condition that a text field has these words. The model is that of the documents,
    /// or that of the objects of a nested field
    /// ([`is_of_objects`](strongroom_core::model::Model::is_of_objects)), which stand for the
    /// document then.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the database would answer for other words than these.
    fn text(
        &self,
        sql: &mut Writer<'_>,
        model: &Model,
        field: &FieldDeclaration,
        query: &TextQuery,
    ) -> Result<()>;

    /// Writes the condition that what a call makes of the document equals a value.
    ///
    /// # Errors
    ///
    /// `Invalid` if the model does not declare a field, `Unsupported` for a database that calls no
    /// functions.
    fn call(&self, sql: &mut Writer<'_>, model: &Model, call: &Call, equals: &Scalar)
    -> Result<()>;

    /// The objects of a nested field, without others.
    fn objects(&self, field: &FieldDeclaration) -> Leaves;

    /// The objects of a nested field in the place of the document: a `FROM` item under the alias
    /// [`DOCUMENT`], with a column `body`, within a subquery that reads the document around it.
    fn objects_as_documents(&self, field: &FieldDeclaration) -> String {
        let objects = self.objects(field);
        format!(
            "(SELECT {} AS body FROM {}) AS {DOCUMENT}",
            objects.value, objects.from
        )
    }

    /// What ends a subquery so that its columns are computed once for each row, however often
    /// they are read outside of it; empty where the database does so anyway.
    fn fence(&self) -> &'static str;

    /// The sum of the values of fields of this kind, which holds numbers, as a 64-bit float; 0
    /// where there is none. It does not fail where it leaves the range of a type.
    fn sum(&self, kind: Kind, value: &str) -> String;

    /// Writes where the bucket of a histogram begins that a value of a field of this kind falls
    /// into, as
    /// [`Aggregation::bucket_begin`](strongroom_core::query::Aggregation::bucket_begin) says;
    /// `NULL` for `NULL`.
    fn histogram(&self, sql: &mut Writer<'_>, kind: Kind, value: &str, interval: f64, offset: f64);

    /// Writes where the bucket of a date histogram begins that a whole number falls into, as
    /// [`DateInterval::floor`] says; `NULL` if it falls into none.
    ///
    /// # Errors
    ///
    /// `Unsupported` for an interval that the dialect does not know.
    fn date_histogram(
        &self,
        sql: &mut Writer<'_>,
        value: &str,
        interval: DateInterval,
    ) -> Result<()>;

    /// Whether groups are counted outside of the query that makes them, because one query cannot do
    /// both.
    fn counts_groups_apart(&self) -> bool {
        false
    }

    /// Whether an index is read in its order only where `NULL` comes first ascending, and last
    /// descending, and where all keys of the order go its way. Then pages in the order of an
    /// indexed field are made of two where needed, those with a value and those without one, and
    /// descending ones are looked up by the values that come first.
    fn null_is_least(&self) -> bool {
        false
    }

    /// Whether the rows of pages and scans have a column for each sort key on a field, which the
    /// order names. Where they have not, the order repeats the expression of the key, and adapters
    /// take the places of documents from their bodies: the values MUST be those of the expression.
    fn tells_sort_values(&self) -> bool {
        true
    }

    /// One term of `ORDER BY`. `missing` is `None` for what cannot be `NULL`.
    fn order_by(&self, expression: &str, order: Order, missing: Option<MissingValues>) -> String {
        let order = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        match missing {
            Some(MissingValues::First) => format!("{expression} {order} NULLS FIRST"),
            Some(MissingValues::Last) => format!("{expression} {order} NULLS LAST"),
            None => format!("{expression} {order}"),
        }
    }

    /// The statements that make the table of a new collection, with its indexes.
    fn create_collection(&self, model: &Model) -> Vec<String>;

    /// The statements that turn the table made for `stored` into the one for `wanted`, which adds
    /// fields and indexes and takes nothing away.
    fn extend_collection(&self, stored: &Model, wanted: &Model) -> Vec<String>;

    /// The statements that drop a collection with all that belongs to it.
    fn drop_collection(&self, model: &Model) -> Vec<String>;
}

/// The name of the column that holds the value of a field.
///
/// Databases fold the case of column names, field paths do not: a capital letter is marked by a
/// caret before it, and a caret by another.
#[must_use]
pub fn column_name(path: &FieldPath) -> String {
    format!("f:{}", without_case(path))
}

/// The name of the index of a field.
#[must_use]
pub fn index_name(model: &Model, path: &FieldPath) -> String {
    format!("{}:i:{}", model.name(), without_case(path))
}

/// The name of the index that keeps a field unique.
#[must_use]
pub fn unique_index_name(model: &Model, path: &FieldPath) -> String {
    format!("{}:u:{}", model.name(), without_case(path))
}

/// The name of the table of the words of a field, where an index of words is a table.
#[must_use]
pub fn words_name(model: &Model, path: &FieldPath) -> String {
    format!("{}:w:{}", model.name(), without_case(path))
}

fn without_case(path: &FieldPath) -> String {
    let mut name = String::with_capacity(path.as_str().len() + 8);
    for c in path.as_str().chars() {
        if c.is_ascii_uppercase() || c == '^' {
            name.push('^');
        }
        name.push(c);
    }
    name
}

/// Whether the field has an order that an index can keep.
pub(crate) fn is_ordered(field: &FieldDeclaration) -> bool {
    field.kind.is_comparable() && !field.many
}

/// Whether the field is a column of its own, where fields with an index are.
pub(crate) fn has_column(field: &FieldDeclaration) -> bool {
    is_ordered(field) && (field.indexed || field.unique)
}

/// The statements that make the indexes which `field` demands and `there` has not: indexes of this
/// column or expression.
pub(crate) fn make_indexes(
    dialect: &dyn Dialect,
    model: &Model,
    there: Option<&FieldDeclaration>,
    field: &FieldDeclaration,
    value: &str,
) -> Vec<String> {
    let table = dialect.identifier(model.name().as_str());
    let mut statements = Vec::new();
    if field.unique && !there.is_some_and(|f| f.unique) {
        let index = dialect.identifier(&unique_index_name(model, &field.path));
        statements.push(format!("CREATE UNIQUE INDEX {index} ON {table} ({value})"));
    }
    if is_ordered(field) && field.indexed && !there.is_some_and(|f| f.indexed) {
        let index = dialect.identifier(&index_name(model, &field.path));
        let routing = if model.is_routed() { ", routing" } else { "" };
        statements.push(format!(
            "CREATE INDEX {index} ON {table} ({value}, id{routing})"
        ));
    }
    statements
}

/// The beginning of `shown`, and a number made of the whole of `name`, of at most so many bytes.
pub(crate) fn with_digest(shown: &str, name: &str, most: usize) -> String {
    // FNV-1a: names have to be told apart, not kept secret, and alike for ever.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut end = shown.len().min(most.saturating_sub(17));
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    let kept = shown.get(..end).unwrap_or_default();
    format!("{kept}~{hash:016x}")
}

/// The path of the field whose column has this name, if it is the name of one.
#[must_use]
pub fn path_of_column(name: &str) -> Option<FieldPath> {
    let mut path = String::with_capacity(name.len());
    let mut chars = name.strip_prefix("f:")?.chars();
    while let Some(c) = chars.next() {
        path.push(if c == '^' { chars.next()? } else { c });
    }
    FieldPath::new(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_names_differ_where_paths_differ_in_case() {
        for path in ["a.b", "userName", "username", "x^y", "X^Y", "größe", "^A"] {
            let path = FieldPath::new(path).unwrap();
            assert_eq!(path_of_column(&column_name(&path)), Some(path));
        }
        let names = ["userName", "username", "user^name", "user^Name"]
            .map(|p| column_name(&p.parse().unwrap()).to_ascii_lowercase());
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
