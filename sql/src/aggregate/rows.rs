//! What is aggregated, as a subquery under the alias of the document: one row for each document,
//! or one for each bucket that a document falls into, with the bucket's key as `g`.
//!
//! The subquery computes each value once, however many figures are made of it outside.

use strongroom_core::error::Result;
use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{DateInterval, Filter, TermsOrder};
use strongroom_core::store::AggregateRequest;

use crate::dialect::{DOCUMENT, Dialect, Leaves};
use crate::page::{column, documents};
use crate::param::Writer;

/// Where figures are computed.
#[derive(Debug)]
pub(super) struct Scope<'r> {
    /// The aggregation whose buckets they are; `None` for what matches as a whole.
    pub(super) name: Option<&'r str>,
    /// What else the documents must match.
    pub(super) also: Option<&'r Filter>,
    /// The objects that stand for the documents.
    pub(super) objects: Option<Objects<'r>>,
    /// The field whose values make the buckets, and how.
    pub(super) keys: Option<(&'r FieldDeclaration, Keys)>,
}

/// Objects of a nested field, with their model.
#[derive(Debug)]
pub(super) struct Objects<'r> {
    pub(super) field: &'r FieldDeclaration,
    pub(super) model: Model,
}

/// How values are put into buckets, and which buckets are handed out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys {
    Terms { size: usize, order: TermsOrder },
    Histogram { interval: f64, offset: f64 },
    Dates(DateInterval),
}

impl Scope<'_> {
    /// What matches as a whole.
    pub(super) fn top() -> Self {
        Self {
            name: None,
            also: None,
            objects: None,
            keys: None,
        }
    }
}

impl Keys {
    /// Writes the key of the bucket that a value of a field of this kind falls into.
    fn write(self, sql: &mut Writer<'_>, kind: Kind, value: &str) -> Result<()> {
        match self {
            Self::Terms { .. } => {
                sql.text(value);
            }
            Self::Histogram { interval, offset } => {
                sql.dialect().histogram(sql, kind, value, interval, offset);
            }
            Self::Dates(interval) => sql.dialect().date_histogram(sql, value, interval)?,
        }
        Ok(())
    }
}

/// The subquery under construction.
#[derive(Debug)]
pub(super) struct Rows<'s, 'r> {
    dialect: &'s dyn Dialect,
    request: &'r AggregateRequest,
    scope: &'s Scope<'r>,
    /// Expressions over the document, and their names outside.
    kept: Vec<(String, String)>,
    joined: Option<Leaves>,
    /// Whether all that is kept can be read from one index.
    indexed: bool,
}

impl<'s, 'r> Rows<'s, 'r> {
    pub(super) fn new(
        dialect: &'s dyn Dialect,
        request: &'r AggregateRequest,
        scope: &'s Scope<'r>,
    ) -> Self {
        Self {
            dialect,
            request,
            scope,
            kept: Vec::new(),
            joined: None,
            indexed: true,
        }
    }

    /// Keeps an expression under a name.
    pub(super) fn keep_as(&mut self, expression: String, name: &str) {
        self.indexed = false;
        self.kept.push((expression, name.to_owned()));
    }

    /// Keeps an expression, and gives its name outside.
    pub(super) fn keep(&mut self, expression: String) -> String {
        self.indexed = false;
        self.slot(expression)
    }

    /// Keeps the value of a field that holds at most one.
    pub(super) fn keep_value(&mut self, field: &FieldDeclaration) -> String {
        self.indexed &= field.indexed;
        self.slot(self.dialect.value(field))
    }

    /// Makes a row of each value instead, and keeps the value.
    pub(super) fn join(&mut self, leaves: Leaves) -> String {
        let slot = self.keep(leaves.value.clone());
        self.joined = Some(leaves);
        slot
    }

    fn slot(&mut self, expression: String) -> String {
        let there = self.kept.iter().position(|(e, _)| *e == expression);
        let at = there.unwrap_or(self.kept.len());
        let name = format!("x{at}");
        let outside = column(&name);
        if there.is_none() {
            self.kept.push((expression, name));
        }
        outside
    }

    /// Writes the subquery with its alias, or what matches itself where nothing of it is kept.
    pub(super) fn write(&self, sql: &mut Writer<'_>) -> Result<()> {
        match self.scope.keys {
            None if self.kept.is_empty() => return self.source(sql, None),
            None => {
                sql.text("(SELECT ");
                self.columns(sql);
                self.fenced(sql, self.order(None).as_deref())?;
            }
            Some((field, keys)) if field.many => self.of_many(sql, field, keys)?,
            Some((field, keys)) => self.of_one(sql, field, keys)?,
        }
        sql.text(") AS ").text(DOCUMENT);
        Ok(())
    }

    /// Buckets of a field that holds at most one value: the key is one more column.
    fn of_one(&self, sql: &mut Writer<'_>, field: &FieldDeclaration, keys: Keys) -> Result<()> {
        let value = self.dialect.value(field);
        let computed = !matches!(keys, Keys::Terms { .. });
        sql.text("(SELECT ");
        if computed {
            // The key may read the value several times.
            keys.write(sql, field.kind, "d.v")?;
            sql.text(" AS g");
            for (expression, name) in &self.kept {
                let inside = if *expression == value { "v" } else { name };
                sql.text(format!(", {} AS {name}", column(inside)));
            }
            sql.text(" FROM (SELECT ");
        }
        sql.text(&value)
            .text(if computed { " AS v" } else { " AS g" });
        for (expression, name) in &self.kept {
            // Outside, the value is at hand already where the key is computed of it.
            if !computed || *expression != value {
                sql.text(format!(", {expression} AS {name}"));
            }
        }
        let order = if field.indexed {
            self.order(Some(&value))
        } else {
            None
        };
        if order.is_some() && self.kept.is_empty() && !computed {
            // Nothing but the key is read: the database groups along the index by itself.
            sql.text(" FROM ");
            return self.source(sql, None);
        }
        self.fenced(sql, order.as_deref())?;
        if computed {
            sql.text(") AS ").text(DOCUMENT).text(self.dialect.fence());
        }
        Ok(())
    }

    /// Buckets of a field that may hold several values: each document once for each key.
    fn of_many(&self, sql: &mut Writer<'_>, field: &FieldDeclaration, keys: Keys) -> Result<()> {
        let distinct = match keys {
            Keys::Terms { .. } => self.dialect.distinct_leaves(field),
            // Different values may fall into one interval.
            _ => None,
        };
        match distinct {
            Some(leaves) => self.of_distinct(sql, &leaves),
            None => self.of_compared(sql, field, keys),
        }
    }

    /// The database tells each key of a document once.
    fn of_distinct(&self, sql: &mut Writer<'_>, leaves: &Leaves) -> Result<()> {
        let columns = format!("(SELECT {} AS g", leaves.value);
        let Some(joined) = &self.joined else {
            sql.text(columns);
            self.more_columns(sql);
            sql.text(" FROM ");
            self.source(sql, Some(leaves))?;
            sql.text(if self.kept.is_empty() {
                ""
            } else {
                self.dialect.fence()
            });
            return Ok(());
        };
        // The two joins are apart, because their columns have the same names.
        sql.text("(SELECT d.g AS g");
        self.more_columns(sql);
        sql.text(" FROM ").text(columns).text(", d.* FROM ");
        self.source(sql, Some(leaves))?;
        sql.text(") AS ").text(DOCUMENT);
        sql.text(", ").text(&joined.from).text(self.dialect.fence());
        Ok(())
    }

    /// The rows of a document are compared. What is kept is read from the documents again, so that
    /// it is not compared with all other rows.
    fn of_compared(
        &self,
        sql: &mut Writer<'_>,
        field: &FieldDeclaration,
        keys: Keys,
    ) -> Result<()> {
        let leaves = self.dialect.leaves(field);
        let model = &self.request.model;
        if !self.kept.is_empty() {
            sql.text("(SELECT k.g AS g");
            self.more_columns(sql);
            sql.text(" FROM ");
        }
        sql.text("(SELECT DISTINCT d.id AS id, ");
        if model.is_routed() {
            sql.text("d.routing AS routing, ");
        }
        keys.write(sql, field.kind, &leaves.value)?;
        sql.text(" AS g FROM ");
        self.source(sql, Some(&leaves))?;
        if !self.kept.is_empty() {
            sql.text(") AS k JOIN ").identifier(model.name().as_str());
            sql.text(" AS d ON d.id = k.id");
            if model.is_routed() {
                sql.text(" AND d.routing = k.routing");
            }
            if let Some(joined) = &self.joined {
                sql.text(", ").text(&joined.from);
            }
            sql.text(self.dialect.fence());
        }
        Ok(())
    }

    fn more_columns(&self, sql: &mut Writer<'_>) {
        if !self.kept.is_empty() {
            sql.text(", ");
            self.columns(sql);
        }
    }

    fn columns(&self, sql: &mut Writer<'_>) {
        for (at, (expression, name)) in self.kept.iter().enumerate() {
            sql.text(if at > 0 { ", " } else { "" });
            sql.text(expression).text(" AS ").text(name);
        }
    }

    /// What the rows of a subquery are ordered by. Where all that is read lies in one index and
    /// nothing restricts the documents, the order makes the database walk that index instead of
    /// the table.
    fn order(&self, key: Option<&str>) -> Option<String> {
        let mut read = self.kept.iter().map(|(expression, _)| expression.as_str());
        let one = key.or_else(|| read.next())?;
        let unrestricted = self.request.filter == Filter::all()
            && self.request.routing.is_none()
            && self.scope.also.is_none()
            && self.scope.objects.is_none();
        let alone = self.indexed && read.all(|other| other == one);
        (unrestricted && alone).then(|| one.to_owned())
    }

    /// Writes the rest of a subquery whose columns are computed once.
    fn fenced(&self, sql: &mut Writer<'_>, order: Option<&str>) -> Result<()> {
        sql.text(" FROM ");
        self.source(sql, self.joined.as_ref())?;
        if let Some(order) = order {
            sql.text(" ORDER BY ").text(order);
        }
        sql.text(self.dialect.fence());
        Ok(())
    }

    /// Writes what matches: documents, or objects of them, with some values of each.
    fn source(&self, sql: &mut Writer<'_>, joined: Option<&Leaves>) -> Result<()> {
        match &self.scope.objects {
            Some(objects) => {
                let each = self.dialect.objects(objects.field);
                sql.text(format!("(SELECT {} AS body FROM ", each.value));
                self.beside(sql, &each.from)?;
                sql.text(") AS ").text(DOCUMENT);
                if let Some(joined) = joined {
                    sql.text(", ").text(&joined.from);
                }
                Ok(())
            }
            None => match joined {
                Some(joined) => self.beside(sql, &joined.from),
                None => self.matching(sql),
            },
        }
    }

    /// Writes the documents that match beside another `FROM` item. They are a subquery, so that
    /// the names of the item's columns mean nothing to the filter.
    fn beside(&self, sql: &mut Writer<'_>, from: &str) -> Result<()> {
        sql.text("(SELECT d.* FROM ");
        self.matching(sql)?;
        sql.text(") AS ").text(DOCUMENT).text(", ").text(from);
        Ok(())
    }

    fn matching(&self, sql: &mut Writer<'_>) -> Result<()> {
        let AggregateRequest {
            model,
            filter,
            routing,
            ..
        } = self.request;
        documents(sql, model, filter, routing.as_ref())?;
        if let Some(also) = self.scope.also {
            sql.text(" AND ");
            crate::filter::filter(sql, model, also)?;
        }
        Ok(())
    }
}
