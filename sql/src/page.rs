//! Pages with their sort keys and cursors, and counts.
//!
//! A page after the first begins behind a position, not at an offset: the condition says which
//! rows come after the position in the order of the sort keys, whose last ones are always the id
//! and, in routed collections, the routing.
//!
//! Where the first sort key has an index, the page is read from it: the rows behind the position
//! are at most two ranges of that index, those with a value and those without one, and each is a
//! query of its own, because no index is searched for a condition that allows both.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Kind, Model, Routing, Scalar};
use strongroom_core::query::{Filter, MissingValues, Order, Position, Sort, SortTarget};
use strongroom_core::store::{CountRequest, FindRequest};

use crate::dialect::{DOCUMENT, Dialect};
use crate::filter::filter;
use crate::param::{Param, Statement, Writer};

/// The columns of a document behind its key.
pub(crate) const DOCUMENTS: &str = ", d.version, d.body";

/// Compiles one page. The rows of a page that is asked for backwards come from its place on
/// backwards: the adapter turns them around.
///
/// The columns of a row are: the id; in routed collections the routing; version and
/// body; then one column for each sort key on a field, in order, if the dialect
/// [tells sort values](Dialect::tells_sort_values). There is one row more than the page's limit if
/// another page follows.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field, if the cursor belongs to another query, or if
/// there are more values than the database binds.
pub fn find(dialect: &dyn Dialect, request: &FindRequest) -> Result<Statement> {
    let model = &*request.model;
    let mut keys = sort_keys(dialect, model, &request.sort)?;
    if request.start.is_backward() {
        keys.iter_mut().for_each(SortKey::reverse);
    }
    let values = match request.start.cursor() {
        None => None,
        Some(cursor) => {
            let position = cursor.position(
                model.name(),
                &request.filter,
                &request.sort,
                request.routing.as_ref(),
            )?;
            Some(values(dialect, model, &keys, position)?)
        }
    };
    let page = PageQuery {
        request,
        keys: &keys,
        values: values.as_deref().unwrap_or_default(),
        apart: dialect.null_is_least() && keys.first().is_some_and(|key| key.indexed),
    };
    let mut sql = Writer::new(dialect);
    let ranges = match &values {
        None if page.apart => ranges_from_the_beginning(&keys),
        None => (Range::Anywhere, None),
        Some(values) => ranges(&keys, values),
    };
    let named = dialect.tells_sort_values();
    match ranges {
        (range, None) => {
            page.range(&mut sql, range, DOCUMENTS, named)?;
            page.order_by(&mut sql, range, named);
        }
        (range, Some(next)) if page.apart => {
            page.joined(&mut sql, range, next)?;
            order_by(&mut sql, &keys, true);
        }
        (range, Some(next)) => {
            match named {
                true => sql.text("SELECT d.*"),
                false => sql.text(key_columns(model)).text(DOCUMENTS),
            };
            sql.text(" FROM (");
            page.range(&mut sql, range, DOCUMENTS, true)?;
            sql.text(" UNION ALL ");
            page.range(&mut sql, next, DOCUMENTS, true)?;
            sql.text(") AS ").text(DOCUMENT);
            order_by(&mut sql, &keys, true);
        }
    }
    sql.limit(request.limit.saturating_add(1));
    if request.offset > 0 {
        let offset = i64::try_from(request.offset).unwrap_or(i64::MAX);
        sql.text(" OFFSET ").bind(offset);
    }
    sql.finish()
}

/// Compiles a count, of at most `at_most` documents where a bound is given.
///
/// # Errors
///
/// `Invalid` as for [`find`].
pub fn count(
    dialect: &dyn Dialect,
    request: &CountRequest,
    at_most: Option<u64>,
) -> Result<Statement> {
    let mut sql = Writer::new(dialect);
    sql.text(match at_most {
        Some(_) => "SELECT count(*) FROM (SELECT 1 AS one",
        None => "SELECT count(*)",
    });
    from_where(
        &mut sql,
        &request.model,
        &request.filter,
        request.routing.as_ref(),
    )?;
    if let Some(most) = at_most {
        sql.limit(usize::try_from(most).unwrap_or(usize::MAX))
            .text(") AS matching");
    }
    sql.finish()
}

/// What a query of documents begins with: the columns of the key.
pub(crate) fn key_columns(model: &Model) -> &'static str {
    if model.is_routed() {
        "SELECT d.id, d.routing"
    } else {
        "SELECT d.id"
    }
}

pub(crate) fn column(name: &str) -> String {
    format!("{DOCUMENT}.{name}")
}

pub(crate) fn from_where(
    sql: &mut Writer<'_>,
    model: &Model,
    condition: &Filter,
    routing: Option<&Routing>,
) -> Result<()> {
    sql.text(" FROM ");
    documents(sql, model, condition, routing)
}

/// What stands behind `FROM`, to which more conditions can be added.
pub(crate) fn documents(
    sql: &mut Writer<'_>,
    model: &Model,
    condition: &Filter,
    routing: Option<&Routing>,
) -> Result<()> {
    sql.identifier(model.name().as_str());
    sql.text(" AS ").text(DOCUMENT).text(" WHERE ");
    filter(sql, model, condition)?;
    if let Some(routing) = routing {
        sql.text(" AND ").text(column("routing"));
        sql.text(" = ").bind(routing.as_str());
    }
    Ok(())
}

/// One key of the order.
#[derive(Clone)]
pub(crate) struct SortKey {
    pub(crate) expression: String,
    /// Whether there is an index in its order.
    indexed: bool,
    order: Order,
    /// `None` for what every document has.
    missing: Option<MissingValues>,
    /// The kind of the field; `None` for id and routing.
    kind: Option<Kind>,
}

impl SortKey {
    fn column(name: &str, order: Order) -> Self {
        Self {
            expression: column(name),
            indexed: false,
            order,
            missing: None,
            kind: None,
        }
    }

    /// The other direction over the same values.
    fn reverse(&mut self) {
        self.order = match self.order {
            Order::Ascending => Order::Descending,
            Order::Descending => Order::Ascending,
        };
        self.missing = self.missing.map(|missing| match missing {
            MissingValues::First => MissingValues::Last,
            MissingValues::Last => MissingValues::First,
        });
    }

    pub(crate) fn is_field(&self) -> bool {
        self.kind.is_some()
    }
}

/// The keys that were asked for and those that break ties.
pub(crate) fn sort_keys(
    dialect: &dyn Dialect,
    model: &Model,
    sorts: &[Sort],
) -> Result<Vec<SortKey>> {
    let mut keys = Vec::with_capacity(sorts.len() + 2);
    for sort in sorts {
        keys.push(match &sort.target {
            SortTarget::Id => SortKey::column("id", sort.order),
            SortTarget::Field(path) => {
                let field = model.require(path)?;
                SortKey {
                    expression: if field.many {
                        dialect.extreme(field, sort.order)
                    } else {
                        dialect.value(field)
                    },
                    indexed: field.indexed && !field.many,
                    order: sort.order,
                    missing: Some(sort.missing),
                    kind: Some(field.kind),
                }
            }
            _ => return Err(Error::unsupported("this sort key")),
        });
    }
    keys.push(SortKey::column("id", Order::Ascending));
    if model.is_routed() {
        keys.push(SortKey::column("routing", Order::Ascending));
    }
    Ok(keys)
}

/// Writes the order. `named` says whether the columns `s0`, `s1` and so on have the values of keys
/// on fields; otherwise the expressions stand in the order.
pub(crate) fn order_by(sql: &mut Writer<'_>, keys: &[SortKey], named: bool) {
    sql.text(" ORDER BY ");
    let mut fields = 0;
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            sql.text(", ");
        }
        let term = if named && key.is_field() {
            fields += 1;
            format!("s{}", fields - 1)
        } else {
            key.expression.clone()
        };
        let term = sql.dialect().order_by(&term, key.order, key.missing);
        sql.text(term);
    }
}

/// Rows behind a position, in one stretch of the first key's order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// All of them, wherever they are in it.
    Anywhere,
    /// Those whose first key has a value, the position's being one.
    FromValue,
    /// Those without a value, level with the position.
    LevelMissing,
    /// All that have a value.
    Present,
    /// All without a value.
    Missing,
}

impl Range {
    /// Whether it is known that the first key of all rows has a value.
    fn has_values(self) -> bool {
        matches!(self, Self::FromValue | Self::Present)
    }
}

/// The ranges of the first key's index in which the rows behind the position lie, in order.
fn ranges(keys: &[SortKey], values: &[Option<Param>]) -> (Range, Option<Range>) {
    let (Some(key), Some(value)) = (keys.first(), values.first()) else {
        return (Range::Anywhere, None);
    };
    let last = key.missing == Some(MissingValues::Last);
    match value {
        _ if !key.indexed => (Range::Anywhere, None),
        Some(_) => (Range::FromValue, last.then_some(Range::Missing)),
        None => (Range::LevelMissing, (!last).then_some(Range::Present)),
    }
}

/// The ranges of the first key's index, in order, where the index is read in its order only with
/// `NULL` as the least.
fn ranges_from_the_beginning(keys: &[SortKey]) -> (Range, Option<Range>) {
    let Some(key) = keys.first() else {
        return (Range::Anywhere, None);
    };
    match (key.order, key.missing) {
        (_, Some(MissingValues::Last)) => (Range::Present, Some(Range::Missing)),
        (Order::Descending, Some(MissingValues::First)) => (Range::Missing, Some(Range::Present)),
        _ => (Range::Anywhere, None),
    }
}

/// A page under construction.
struct PageQuery<'p> {
    request: &'p FindRequest,
    keys: &'p [SortKey],
    /// The values of its position; none for the first page.
    values: &'p [Option<Param>],
    /// Whether each range is ordered and limited for itself, so that it is read from its index.
    apart: bool,
}

impl PageQuery<'_> {
    /// Writes the query of two ranges. Each is read from the index alone, up to the page's limit,
    /// and the documents are looked up by their keys.
    fn joined(&self, sql: &mut Writer<'_>, range: Range, next: Range) -> Result<()> {
        let model = &*self.request.model;
        sql.text(key_columns(model)).text(DOCUMENTS);
        for at in 0..self.keys.iter().filter(|key| key.is_field()).count() {
            sql.write(format_args!(", p.s{at}"));
        }
        sql.text(" FROM (");
        self.part(sql, range)?;
        sql.text(" UNION ALL ");
        self.part(sql, next)?;
        sql.text(") AS p JOIN ").identifier(model.name().as_str());
        sql.text(" AS ").text(DOCUMENT).text(" ON d.id = p.id");
        sql.text(if model.is_routed() {
            " AND d.routing = p.routing"
        } else {
            ""
        });
        Ok(())
    }

    /// Writes the query of the keys in as much of a range as the page may take.
    fn part(&self, sql: &mut Writer<'_>, range: Range) -> Result<()> {
        sql.text("(");
        self.range(sql, range, "", true)?;
        self.order_by(sql, range, true);
        sql.limit(self.most()).text(")");
        Ok(())
    }

    /// Writes the order of the rows of a range.
    fn order_by(&self, sql: &mut Writer<'_>, range: Range, named: bool) {
        let mut keys = self.keys.to_vec();
        if self.apart
            && range != Range::Anywhere
            && let Some(first) = keys.first_mut()
        {
            // Either all rows of the range have a value, or none has.
            first.missing = None;
        }
        order_by(sql, &keys, named);
    }

    /// Writes the query of the rows behind the position that lie in a range, with these columns
    /// behind the key, and the sort keys behind those if they are `named`.
    fn range(&self, sql: &mut Writer<'_>, range: Range, columns: &str, named: bool) -> Result<()> {
        sql.text(key_columns(&self.request.model)).text(columns);
        let fields = self.keys.iter().filter(|key| named && key.is_field());
        for (at, key) in fields.enumerate() {
            sql.write(format_args!(", {} AS s{at}", key.expression));
        }
        self.matching(sql, range)?;
        match self.keys.first() {
            Some(key) if self.apart && key.order == Order::Descending && range.has_values() => {
                // The ids within a value go the other way than the index, so all rows would be
                // sorted. Those of the page have some of the values that as many rows have which
                // come first by the value alone, and these are read from the index.
                sql.text(" AND ").text(&key.expression);
                sql.text(" IN (SELECT v.s0 FROM (SELECT ")
                    .text(&key.expression);
                sql.text(" AS s0");
                self.matching(sql, range)?;
                sql.text(" ORDER BY s0 DESC").limit(self.most());
                sql.text(") AS v)");
            }
            _ => {}
        }
        Ok(())
    }

    /// How many rows of a range the page may take.
    fn most(&self) -> usize {
        let FindRequest { limit, offset, .. } = self.request;
        limit.saturating_add(*offset).saturating_add(1)
    }

    /// Writes what stands behind the columns of a query of the rows in a range.
    fn matching(&self, sql: &mut Writer<'_>, range: Range) -> Result<()> {
        let FindRequest {
            model,
            filter,
            routing,
            ..
        } = self.request;
        from_where(sql, model, filter, routing.as_ref())?;
        let Some((key, rest)) = self.keys.split_first() else {
            return Err(Error::internal("a page has no order"));
        };
        match (range, self.values.split_first()) {
            (Range::Present, _) => {
                sql.text(" AND ").text(&key.expression).text(" IS NOT NULL");
            }
            (Range::Missing, _) => {
                sql.text(" AND ").text(&key.expression).text(" IS NULL");
            }
            (_, None) => {}
            (Range::FromValue, Some((Some(value), _))) => {
                let operator = match key.order {
                    Order::Ascending => " >= ",
                    Order::Descending => " <= ",
                };
                sql.text(" AND ").text(&key.expression).text(operator);
                sql.bind(value.clone()).text(" AND ");
                let mut keys = self.keys.to_vec();
                if let Some(key) = keys.first_mut() {
                    key.missing = None;
                }
                after(sql, &keys, self.values);
            }
            (Range::LevelMissing, Some((_, values_of_rest))) => {
                sql.text(" AND ").text(&key.expression);
                sql.text(" IS NULL AND ");
                after(sql, rest, values_of_rest);
            }
            _ => {
                sql.text(" AND ");
                after(sql, self.keys, self.values);
            }
        }
        Ok(())
    }
}

/// The position's value for each key.
pub(crate) fn values(
    dialect: &dyn Dialect,
    model: &Model,
    keys: &[SortKey],
    position: &Position,
) -> Result<Vec<Option<Param>>> {
    let foreign = || Error::invalid("cursor does not fit the query's sort keys");
    let mut values = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let value = match (position.values.get(at), key.kind) {
            (Some(None), Some(_)) => None,
            (Some(Some(value)), Some(kind)) if kind.takes(value) => {
                Some(dialect.comparand(kind, value))
            }
            (Some(Some(Scalar::Text(id))), None) => Some(Param::Text(id.clone())),
            // Behind the keys that were asked for come the id and the routing.
            (None, None) if at == position.values.len() => {
                Some(Param::from(position.key.id().as_str()))
            }
            (None, None) => {
                let routing = position.key.routing().ok_or_else(foreign)?;
                Some(Param::from(routing.as_str()))
            }
            _ => return Err(foreign()),
        };
        values.push(value);
    }
    if model.is_routed() != position.key.routing().is_some() {
        return Err(foreign());
    }
    Ok(values)
}

/// Writes the condition that a row comes after these values: it comes after by the first key, or
/// is level by the first key and comes after by the rest.
pub(crate) fn after(sql: &mut Writer<'_>, keys: &[SortKey], values: &[Option<Param>]) {
    let mut open = 0;
    for (at, (key, value)) in keys.iter().zip(values).enumerate() {
        if at > 0 {
            sql.text(" OR (");
            level(sql, keys.get(at - 1), values.get(at - 1));
            sql.text(" AND ");
            open += 1;
        }
        sql.text("(");
        open += 1;
        beyond(sql, key, value.as_ref());
    }
    sql.text(")".repeat(open));
}

fn level(sql: &mut Writer<'_>, key: Option<&SortKey>, value: Option<&Option<Param>>) {
    let (Some(key), Some(value)) = (key, value) else {
        return;
    };
    sql.text(&key.expression);
    match value {
        Some(value) => sql.text(" = ").bind(value.clone()),
        None => sql.text(" IS NULL"),
    };
}

fn beyond(sql: &mut Writer<'_>, key: &SortKey, value: Option<&Param>) {
    let operator = match key.order {
        Order::Ascending => " > ",
        Order::Descending => " < ",
    };
    match (value, key.missing) {
        (Some(value), Some(MissingValues::Last)) => {
            sql.text("(").text(&key.expression).text(operator);
            sql.bind(value.clone()).text(" OR ");
            sql.text(&key.expression).text(" IS NULL)");
        }
        (Some(value), _) => {
            sql.text(&key.expression).text(operator).bind(value.clone());
        }
        (None, Some(MissingValues::First)) => {
            sql.text(&key.expression).text(" IS NOT NULL");
        }
        (None, _) => {
            sql.text("FALSE");
        }
    }
}
