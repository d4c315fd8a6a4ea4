//! Pages with their sort keys and cursors, and counts.
//!
//! A page after the first begins behind a position, not at an offset: the condition says which
//! rows come after the position in the order of the sort keys, whose last ones are always the id
//! and, in routed collections, the routing.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Kind, Model, Routing, Scalar};
use strongroom_core::query::{Filter, MissingValues, Order, Position, Sort, SortTarget};
use strongroom_core::store::{CountRequest, FindRequest};

use crate::dialect::{DOCUMENT, Dialect};
use crate::filter::filter;
use crate::param::{Param, Statement, Writer};

/// Compiles one page. The rows of a page that is asked for backwards come from its place on
/// backwards: the adapter turns them around.
///
/// The columns of a row are: the id; in routed collections the routing; version, write id, time
/// of writing and body; then one column for each sort key on a field, in order. There is one row
/// more than the page's limit if another page follows.
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
    let mut sql = Writer::new(dialect);
    sql.text("SELECT ").text(column("id"));
    if model.is_routed() {
        sql.text(", ").text(column("routing"));
    }
    for name in ["version", "write_id", "written_at", "body"] {
        sql.text(", ").text(column(name));
    }
    let fields = keys.iter().filter(|key| key.is_field());
    for (at, key) in fields.enumerate() {
        sql.text(format!(", {} AS s{at}", key.expression));
    }
    from_where(&mut sql, model, &request.filter, request.routing.as_ref())?;
    if let Some(cursor) = request.start.cursor() {
        let position = cursor.position(
            model.name(),
            &request.filter,
            &request.sort,
            request.routing.as_ref(),
        )?;
        sql.text(" AND ");
        after(&mut sql, model, &keys, position)?;
    }
    order_by(&mut sql, &keys);
    let one_more = i64::try_from(request.limit.saturating_add(1)).unwrap_or(i64::MAX);
    sql.text(" LIMIT ").bind(one_more);
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
        sql.text(" LIMIT ")
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .text(") AS matching");
    }
    sql.finish()
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
pub(crate) struct SortKey {
    pub(crate) expression: String,
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

pub(crate) fn order_by(sql: &mut Writer<'_>, keys: &[SortKey]) {
    sql.text(" ORDER BY ");
    let mut fields = 0;
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            sql.text(", ");
        }
        let term = if key.is_field() {
            fields += 1;
            format!("s{}", fields - 1)
        } else {
            key.expression.clone()
        };
        let term = sql.dialect().order_by(&term, key.order, key.missing);
        sql.text(term);
    }
}

/// Writes the condition that a row comes after the position: it comes after by the first key, or
/// is level by the first key and comes after by the rest.
pub(crate) fn after(
    sql: &mut Writer<'_>,
    model: &Model,
    keys: &[SortKey],
    position: &Position,
) -> Result<()> {
    let foreign = || Error::invalid("cursor does not fit the query's sort keys");
    let mut values = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let value = match (position.values.get(at), key.kind) {
            (Some(None), Some(_)) => None,
            (Some(Some(value)), Some(kind)) if kind.takes(value) => Some(Param::from(value)),
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
    let mut open = 0;
    for (at, (key, value)) in keys.iter().zip(&values).enumerate() {
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
    Ok(())
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
