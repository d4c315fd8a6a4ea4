//! Filters as conditions.
//!
//! SQL has three truth values. A comparison with a field that has no value is `NULL` here, which
//! counts as false wherever the outcome is looked at: at the root by `WHERE`, and under `not` by
//! `IS NOT TRUE`. `AND` and `OR` of SQL keep that meaning.

use std::ops::Bound;
use std::slice;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{FieldDeclaration, FieldPath, Kind, Model, Scalar};
use strongroom_core::query::{Filter, Native, TextQuery, Wildcard};

use crate::dialect::{DOCUMENT, Dialect, Lookup};
use crate::param::Writer;

/// Writes a filter as one condition, in parentheses where it needs them.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field, `Unsupported` for a kind of filter that the
/// compiler does not know.
pub fn filter(sql: &mut Writer<'_>, model: &Model, node: &Filter) -> Result<()> {
    match node {
        Filter::Eq { field, value } => {
            let test = Test::Equal(value);
            compare(sql, model.require(field)?, &test);
        }
        Filter::In { values, .. } if values.is_empty() => {
            sql.text("FALSE");
        }
        Filter::In { field, values } => {
            compare(sql, model.require(field)?, &Test::OneOf(values));
        }
        Filter::Range {
            field,
            lower,
            upper,
        } => {
            let test = Test::Between(lower.clone(), upper.clone());
            compare(sql, model.require(field)?, &test);
        }
        Filter::Prefix { field, prefix } => {
            let test = Test::between_prefix(prefix);
            compare(sql, model.require(field)?, &test);
        }
        Filter::Wildcard { field, pattern } => {
            let test = Test::Matches(Wildcard::parse(pattern)?, pattern);
            compare(sql, model.require(field)?, &test);
        }
        Filter::Text { field, text, words } => {
            let query = TextQuery::parse(text, *words)?;
            let field = model.require(field)?;
            sql.dialect().text(sql, model, field, &query)?;
        }
        Filter::Ids(ids) if ids.is_empty() => {
            sql.text("FALSE");
        }
        Filter::Ids(ids) => {
            sql.text(DOCUMENT).text(".id");
            let ids: Vec<_> = ids.iter().map(|id| Scalar::from(id.as_str())).collect();
            one_of(sql, Kind::Keyword, &ids);
        }
        Filter::Nested { field, filter } => nested(sql, model, field, filter)?,
        Filter::Call { call, equals } => sql.dialect().call(sql, model, call, equals)?,
        Filter::Native(condition) => native(sql, condition)?,
        Filter::Exists { field } => {
            let condition = sql.dialect().exists(model.require(field)?);
            sql.text(condition);
        }
        Filter::And(all) if all.is_empty() => {
            sql.text("TRUE");
        }
        Filter::And(all) => {
            // A function of the user's may take long: it is called where all else holds.
            let (last, first): (Vec<_>, Vec<_>) = all.iter().partition(|f| calls_function(f));
            let all = [first, last].concat();
            join(sql, &all, " AND ", &mut |sql, f| filter(sql, model, f))?;
        }
        Filter::Or(any) if any.is_empty() => {
            sql.text("FALSE");
        }
        Filter::Or(any) => join(sql, any, " OR ", &mut |sql, f| filter(sql, model, f))?,
        Filter::Not(inner) => {
            sql.text("((");
            filter(sql, model, inner)?;
            sql.text(") IS NOT TRUE)");
        }
        _ => return Err(Error::unsupported("this kind of filter")),
    }
    Ok(())
}

fn calls_function(node: &Filter) -> bool {
    match node {
        Filter::Call { .. } => true,
        Filter::And(all) | Filter::Or(all) => all.iter().any(calls_function),
        Filter::Not(filter) | Filter::Nested { filter, .. } => calls_function(filter),
        _ => false,
    }
}

/// The objects take the place of the document: under the same alias, each as a body of its own.
fn nested(sql: &mut Writer<'_>, model: &Model, field: &FieldPath, inner: &Filter) -> Result<()> {
    let objects = sql.dialect().objects_as_documents(model.require(field)?);
    let of_objects = model.of_nested(field)?;
    let relative = inner.relative_to(field)?;
    let mut lookups = Vec::new();
    implied(sql.dialect(), model, inner, &mut lookups)?;
    sql.text(if lookups.is_empty() { "" } else { "(" });
    for (lookup, kind, wanted) in &lookups {
        look_up(sql, lookup, *kind, wanted);
        sql.text(" AND ");
    }
    sql.text("EXISTS (SELECT 1 FROM ").text(objects);
    sql.text(" WHERE ");
    filter(sql, &of_objects, &relative)?;
    sql.text(if lookups.is_empty() { ")" } else { "))" });
    Ok(())
}

/// What can be looked up of a document for one of its objects to match: the document has the
/// values that the object must have.
fn implied<'f>(
    dialect: &dyn Dialect,
    model: &Model,
    of_object: &'f Filter,
    lookups: &mut Vec<(Lookup, Kind, &'f [Scalar])>,
) -> Result<()> {
    let (field, wanted) = match of_object {
        Filter::And(all) => {
            let mut all = all.iter();
            return all.try_for_each(|filter| implied(dialect, model, filter, lookups));
        }
        Filter::Nested { filter, .. } => return implied(dialect, model, filter, lookups),
        Filter::Eq { field, value } => (field, slice::from_ref(value)),
        Filter::In { field, values } if !values.is_empty() => (field, values.as_slice()),
        _ => return Ok(()),
    };
    let field = model.require(field)?;
    let lookup = dialect.lookup(field);
    lookups.extend(lookup.map(|lookup| (lookup, field.kind, wanted)));
    Ok(())
}

/// Writes the condition that a field has some of the values looked for, by its index.
fn look_up(sql: &mut Writer<'_>, lookup: &Lookup, kind: Kind, wanted: &[Scalar]) {
    for (at, wanted) in wanted.iter().enumerate() {
        sql.text(if at > 0 {
            lookup.between
        } else {
            &lookup.before
        });
        sql.comparand(kind, wanted);
    }
    sql.text(lookup.behind);
}

/// Writes the condition as it is, with a placeholder for each `?` outside of quotes.
fn native(sql: &mut Writer<'_>, native: &Native) -> Result<()> {
    let mut values = native.values.iter();
    let mut quote = None;
    sql.text("(");
    for c in native.condition.chars() {
        match (c, quote) {
            ('?', None) => {
                let value = values.next().ok_or_else(|| wrong_values(native))?;
                sql.bind(value);
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        sql.text(c.encode_utf8(&mut [0; 4]));
    }
    sql.text(")");
    if values.next().is_some() {
        return Err(wrong_values(native));
    }
    Ok(())
}

fn wrong_values(native: &Native) -> Error {
    Error::invalid(format!(
        "native condition {:?} has {} values, which is not the number of its `?`",
        native.condition,
        native.values.len()
    ))
}

/// Joins items by an operator as a balanced tree: its depth is the logarithm of their number.
fn join<T>(
    sql: &mut Writer<'_>,
    items: &[T],
    operator: &str,
    write: &mut impl FnMut(&mut Writer<'_>, &T) -> Result<()>,
) -> Result<()> {
    match items {
        [] => Ok(()),
        [one] => write(sql, one),
        _ => {
            let (left, right) = items.split_at(items.len() / 2);
            sql.text("(");
            join(sql, left, operator, write)?;
            sql.text(operator);
            join(sql, right, operator, write)?;
            sql.text(")");
            Ok(())
        }
    }
}

/// What is asked of one value.
enum Test<'a> {
    Equal(&'a Scalar),
    OneOf(&'a [Scalar]),
    Between(Bound<Scalar>, Bound<Scalar>),
    Matches(Wildcard, &'a str),
}

impl Test<'_> {
    /// UTF-8 text that begins with `prefix` lies between it and the text after all such texts,
    /// which is the prefix with its last character moved on by one.
    fn between_prefix(prefix: &str) -> Self {
        let lower = if prefix.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(Scalar::from(prefix))
        };
        let mut upper = prefix.to_owned();
        while let Some(last) = upper.pop() {
            // The range of `char` steps over the surrogates and ends at the last character, which
            // has none after it: then the character before it is moved on.
            if let Some(next) = (last..=char::MAX).nth(1) {
                upper.push(next);
                return Self::Between(lower, Bound::Excluded(Scalar::from(upper)));
            }
        }
        Self::Between(lower, Bound::Unbounded)
    }

    /// The values of which one must be there; `None` where the test is another one.
    fn wanted(&self) -> Option<&[Scalar]> {
        match self {
            Self::Equal(wanted) => Some(slice::from_ref(wanted)),
            Self::OneOf(wanted) => Some(wanted),
            Self::Between(..) | Self::Matches(..) => None,
        }
    }

    /// Writes the test of a value of a field of this kind.
    fn write(&self, sql: &mut Writer<'_>, kind: Kind, value: &str) {
        match self {
            Self::Equal(wanted) => {
                sql.text(value).text(" = ").comparand(kind, wanted);
            }
            Self::OneOf(wanted) => {
                sql.text(value);
                one_of(sql, kind, wanted);
            }
            Self::Matches(wildcard, pattern) => {
                // What the pattern begins with can be looked up in an index.
                sql.text("(");
                if !wildcard.prefix().is_empty() {
                    Self::between_prefix(wildcard.prefix()).write(sql, kind, value);
                    sql.text(" AND ");
                }
                sql.dialect().wildcard(sql, value, pattern);
                sql.text(")");
            }
            Self::Between(lower, upper) => {
                let lower = match lower {
                    Bound::Included(bound) => Some((" >= ", bound)),
                    Bound::Excluded(bound) => Some((" > ", bound)),
                    Bound::Unbounded => None,
                };
                let upper = match upper {
                    Bound::Included(bound) => Some((" <= ", bound)),
                    Bound::Excluded(bound) => Some((" < ", bound)),
                    Bound::Unbounded => None,
                };
                match (lower, upper) {
                    (Some(lower), Some(upper)) => {
                        sql.text("(").text(value).text(lower.0);
                        sql.comparand(kind, lower.1);
                        sql.text(" AND ").text(value).text(upper.0);
                        sql.comparand(kind, upper.1).text(")");
                    }
                    (Some((operator, bound)), None) | (None, Some((operator, bound))) => {
                        sql.text(value).text(operator).comparand(kind, bound);
                    }
                    (None, None) => {
                        sql.text(value).text(" IS NOT NULL");
                    }
                }
            }
        }
    }
}

fn one_of(sql: &mut Writer<'_>, kind: Kind, wanted: &[Scalar]) {
    sql.text(" IN (");
    for (at, wanted) in wanted.iter().enumerate() {
        if at > 0 {
            sql.text(", ");
        }
        sql.comparand(kind, wanted);
    }
    sql.text(")");
}

fn compare(sql: &mut Writer<'_>, field: &FieldDeclaration, test: &Test<'_>) {
    if field.many {
        if let Some(wanted) = test.wanted()
            && let Some(lookup) = sql.dialect().lookup(field)
        {
            look_up(sql, &lookup, field.kind, wanted);
            return;
        }
        let leaves = sql.dialect().leaves(field);
        sql.text("EXISTS (SELECT 1 FROM ").text(&leaves.from);
        sql.text(" WHERE ");
        test.write(sql, field.kind, &leaves.value);
        sql.text(")");
    } else {
        let value = sql.dialect().value(field);
        test.write(sql, field.kind, &value);
    }
}
