//! Which statements aggregations take, level by level.

use std::collections::BTreeMap;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{FieldDeclaration, FieldPath};
use strongroom_core::query::{Aggregation, Aggregations, Filter, MAX_BUCKETS, TermsOrder};
use strongroom_core::store::{AggregateRequest, FindRequest};

use super::figures::{self, Columns};
use super::rows::{Keys, Objects, Rows, Scope};
use super::{Step, What};
use crate::dialect::{DOCUMENT, Dialect};
use crate::page::{column, find, order_by, sort_keys};
use crate::param::{Statement, Writer};

/// Metrics on one field, by their names.
type Metrics<'r> = Vec<(&'r str, &'r Aggregation)>;

/// The statements so far.
pub(super) struct Compiler<'d, 'r> {
    dialect: &'d dyn Dialect,
    request: &'r AggregateRequest,
    steps: Vec<Step<'r>>,
}

impl<'d, 'r> Compiler<'d, 'r> {
    pub(super) fn new(dialect: &'d dyn Dialect, request: &'r AggregateRequest) -> Self {
        Self {
            dialect,
            request,
            steps: Vec::new(),
        }
    }

    /// All statements of the request.
    pub(super) fn steps(mut self) -> Result<Vec<Step<'r>>> {
        let all = &self.request.aggregations;
        self.level(&Scope::top(), all)?;
        for (name, aggregation) in all {
            if let Some(within) = aggregation.within() {
                let scope = self.scope(name, aggregation)?;
                self.level(&scope, within)?;
            }
        }
        Ok(self.steps)
    }

    /// Where the metrics within an aggregation are computed.
    fn scope(&self, name: &'r str, aggregation: &'r Aggregation) -> Result<Scope<'r>> {
        let model = &self.request.model;
        let mut scope = Scope {
            name: Some(name),
            ..Scope::top()
        };
        match aggregation {
            Aggregation::Terms {
                field, size, order, ..
            } => {
                let (size, order) = (*size, *order);
                scope.keys = Some((model.require(field)?, Keys::Terms { size, order }));
            }
            Aggregation::Histogram {
                field,
                interval,
                offset,
                ..
            } => {
                let (interval, offset) = (*interval, *offset);
                let keys = Keys::Histogram { interval, offset };
                scope.keys = Some((model.require(field)?, keys));
            }
            Aggregation::DateHistogram {
                field, interval, ..
            } => scope.keys = Some((model.require(field)?, Keys::Dates(*interval))),
            Aggregation::Filter { filter, .. } => scope.also = Some(filter),
            Aggregation::Nested { field, .. } => {
                scope.objects = Some(Objects {
                    field: model.require(field)?,
                    model: model.of_nested(field)?,
                });
            }
            _ => return Err(Error::unsupported("this aggregation")),
        }
        Ok(scope)
    }

    /// The metrics and top hits of one level; buckets among them are levels of their own.
    fn level(&mut self, scope: &Scope<'r>, all: &'r Aggregations) -> Result<()> {
        let mut together = Metrics::new();
        let mut apart: BTreeMap<&FieldPath, Metrics<'r>> = BTreeMap::new();
        let mut hits = Metrics::new();
        for (name, aggregation) in all {
            let name = name.as_str();
            match aggregation {
                Aggregation::Count { .. } => together.push((name, aggregation)),
                Aggregation::TopHits { .. } => hits.push((name, aggregation)),
                _ if aggregation.within().is_some() => {}
                _ => {
                    let path = figures::field(aggregation)?;
                    if self.declared(scope, path)?.many {
                        apart.entry(path).or_default().push((name, aggregation));
                    } else {
                        together.push((name, aggregation));
                    }
                }
            }
        }
        if scope.name.is_some() || !together.is_empty() {
            self.together(scope, &together)?;
        }
        for (path, metrics) in apart {
            self.apart(scope, path, &metrics)?;
        }
        hits.into_iter()
            .try_for_each(|(name, aggregation)| self.hits(scope, name, aggregation))
    }

    /// The field at a path, of the documents or of the objects in their place.
    fn declared(&self, scope: &Scope<'r>, path: &FieldPath) -> Result<FieldDeclaration> {
        match &scope.objects {
            None => self.request.model.require(path).cloned(),
            Some(objects) => {
                let path = path.relative_to(&objects.field.path)?;
                objects.model.require(&path).cloned()
            }
        }
    }

    fn rows<'s>(&'s self, scope: &'s Scope<'r>) -> Rows<'s, 'r> {
        Rows::new(self.dialect, self.request, scope)
    }

    /// The statement that makes the buckets, if any, with the metrics that need no join.
    fn together(
        &mut self,
        scope: &Scope<'r>,
        metrics: &[(&'r str, &'r Aggregation)],
    ) -> Result<()> {
        let mut rows = self.rows(scope);
        let total = matches!(scope.keys, Some((_, Keys::Terms { .. })));
        let first = usize::from(scope.keys.is_some())
            + usize::from(scope.name.is_some())
            + usize::from(total);
        let mut columns = Columns::from(first);
        let mut figures = Vec::with_capacity(metrics.len());
        for &(name, aggregation) in metrics {
            let field = self.declared(scope, figures::field(aggregation)?)?;
            let slot = if matches!(aggregation, Aggregation::Count { .. }) {
                let exists = self.dialect.exists(&field);
                rows.keep(format!("CASE WHEN {exists} THEN 1 END"))
            } else {
                rows.keep_value(&field)
            };
            figures.push(columns.figure(self.dialect, name, aggregation, field.kind, &slot)?);
        }
        let mut sql = Writer::new(self.dialect);
        sql.text("SELECT ");
        if scope.name.is_some() {
            buckets(&mut sql, scope, &rows, Some(&columns))?;
        } else {
            sql.text(columns.list()).text(" FROM ");
            rows.write(&mut sql)?;
        }
        let statement = sql.finish()?;
        let what = if scope.name.is_some() {
            What::Buckets { total, figures }
        } else {
            What::Figures(figures)
        };
        self.push(scope, statement, what);
        Ok(())
    }

    /// The statement of the metrics on a field that may hold several values.
    fn apart(
        &mut self,
        scope: &Scope<'r>,
        path: &FieldPath,
        metrics: &[(&'r str, &'r Aggregation)],
    ) -> Result<()> {
        let mut rows = self.rows(scope);
        let field = self.declared(scope, path)?;
        let slot = rows.join(self.dialect.leaves(&field));
        let mut columns = Columns::from(usize::from(scope.keys.is_some()));
        let figures = metrics.iter().map(|&(name, aggregation)| {
            columns.figure(self.dialect, name, aggregation, field.kind, &slot)
        });
        let figures = figures.collect::<Result<_>>()?;
        let mut sql = Writer::new(self.dialect);
        sql.text("SELECT ");
        if scope.keys.is_some() {
            sql.text("d.g, ");
        }
        sql.text(columns.list()).text(" FROM ");
        rows.write(&mut sql)?;
        if scope.keys.is_some() {
            sql.text(" WHERE d.g IS NOT NULL");
            self.only_shown(&mut sql, scope)?;
            sql.text(" GROUP BY d.g");
        }
        let statement = sql.finish()?;
        self.push(scope, statement, What::Figures(figures));
        Ok(())
    }

    /// Leaves out the rows of buckets that are not handed out.
    fn only_shown(&self, sql: &mut Writer<'_>, scope: &Scope<'r>) -> Result<()> {
        if matches!(scope.keys, Some((_, Keys::Terms { .. }))) {
            sql.text(" AND d.g IN (SELECT b.g FROM (SELECT ");
            buckets(sql, scope, &self.rows(scope), None)?;
            sql.text(") AS b)");
        }
        Ok(())
    }

    fn hits(
        &mut self,
        scope: &Scope<'r>,
        name: &'r str,
        aggregation: &'r Aggregation,
    ) -> Result<()> {
        let Aggregation::TopHits { sort, size, source } = aggregation else {
            return Err(Error::internal("no top hits"));
        };
        let what = What::Hits {
            name,
            size: *size,
            source,
        };
        let model = &*self.request.model;
        if scope.keys.is_none() {
            // What matches as a whole is a page.
            let mut filter = self.request.filter.clone();
            if let Some(also) = scope.also {
                filter = Filter::And(vec![filter, also.clone()]);
            }
            let mut page = FindRequest::new(self.request.model.clone(), filter);
            page.routing.clone_from(&self.request.routing);
            page.sort.clone_from(sort);
            page.limit = *size;
            let statement = find(self.dialect, &page)?;
            self.push(scope, statement, what);
            return Ok(());
        }
        let keys = sort_keys(self.dialect, model, sort)?;
        let routing = model.is_routed();
        let mut rows = self.rows(scope);
        rows.keep_as(column("id"), "id");
        if routing {
            rows.keep_as(column("routing"), "routing");
        }
        for (at, key) in keys.iter().filter(|key| key.is_field()).enumerate() {
            rows.keep_as(key.expression.clone(), &format!("s{at}"));
        }
        let mut sql = Writer::new(self.dialect);
        sql.text("SELECT ").text(column("id"));
        if routing {
            sql.text(", ").text(column("routing"));
        }
        for name in ["version", "body"] {
            sql.text(", ").text(column(name));
        }
        sql.text(", h.g FROM (SELECT d.id AS id");
        if routing {
            sql.text(", d.routing AS routing");
        }
        sql.text(", d.g AS g, row_number() OVER (PARTITION BY d.g");
        order_by(&mut sql, &keys, true);
        sql.text(") AS n FROM ");
        rows.write(&mut sql)?;
        sql.text(" WHERE d.g IS NOT NULL");
        self.only_shown(&mut sql, scope)?;
        sql.text(") AS h JOIN ").identifier(model.name().as_str());
        sql.text(" AS d ON d.id = h.id");
        if routing {
            sql.text(" AND d.routing = h.routing");
        }
        sql.text(" WHERE h.n <= ")
            .bind(i64::try_from(*size).unwrap_or(i64::MAX));
        sql.text(" ORDER BY h.g, h.n");
        let statement = sql.finish()?;
        self.push(scope, statement, what);
        Ok(())
    }

    fn push(&mut self, scope: &Scope<'r>, statement: Statement, what: What<'r>) {
        self.steps.push(Step {
            statement,
            place: scope.name,
            keyed: scope.keys.is_some(),
            what,
        });
    }
}

/// Writes what follows `SELECT` where the buckets of an aggregation are made, with figures unless
/// the buckets are only to be named.
fn buckets(
    sql: &mut Writer<'_>,
    scope: &Scope<'_>,
    rows: &Rows<'_, '_>,
    columns: Option<&Columns>,
) -> Result<()> {
    let more = columns
        .map(Columns::list)
        .filter(|list| !list.is_empty())
        .map(|list| format!(", {list}"))
        .unwrap_or_default();
    let Some((_, keys)) = &scope.keys else {
        sql.text("count(*)").text(more).text(" FROM ");
        return rows.write(sql);
    };
    let total = columns.is_some() && matches!(keys, Keys::Terms { .. });
    let apart = total && sql.dialect().counts_groups_apart();
    if apart {
        let figures = columns.map(Columns::names).unwrap_or_default();
        sql.text("d.g AS g, d.c AS c, sum(d.c) OVER () AS t");
        sql.text(figures).text(" FROM (SELECT ");
    }
    sql.text("d.g AS g, count(*) AS c");
    if apart {
        sql.text(columns.map(Columns::named).unwrap_or_default());
    } else {
        sql.text(if total {
            ", sum(count(*)) OVER () AS t"
        } else {
            ""
        });
        sql.text(more);
    }
    sql.text(" FROM ");
    rows.write(sql)?;
    sql.text(" WHERE d.g IS NOT NULL GROUP BY d.g");
    if apart {
        sql.text(") AS ").text(DOCUMENT);
    }
    sql.text(" ORDER BY ");
    let (order, most) = match keys {
        Keys::Terms { size, order } => {
            let order = match order {
                TermsOrder::CountDescending => "c DESC, d.g ASC",
                TermsOrder::CountAscending => "c ASC, d.g ASC",
                TermsOrder::KeyAscending => "d.g ASC",
                TermsOrder::KeyDescending => "d.g DESC",
            };
            (order, *size)
        }
        // One more tells that there are too many.
        _ => ("d.g ASC", MAX_BUCKETS + 1),
    };
    sql.text(order).limit(most);
    Ok(())
}
