//! The first documents of each group, by window functions.
//!
//! The innermost query reads what is compared, the one around it numbers the documents within
//! their groups, the next one numbers the groups of those that are left, and the outermost fetches
//! the bodies of what is handed out, so that no other body goes through the sorting.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::FieldDeclaration;
use strongroom_core::query::Filter;
use strongroom_core::store::{GroupRequest, Ranking};

use crate::dialect::Dialect;
use crate::page::{column, from_where, order_by, sort_keys};
use crate::param::{Statement, Writer};

/// Compiles groups.
///
/// The columns of a row are: the id; in routed collections the routing; version and
/// body; then the value of the group, the document's number within it, and the
/// number of the group. The rows come group by group, in order. There are rows of one more group
/// than asked for if another follows.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field, if a value does not fit the group's field, or
/// if there are more values than the database binds.
pub fn group(dialect: &dyn Dialect, request: &GroupRequest) -> Result<Statement> {
    let model = &*request.model;
    let by = model.require(&request.by)?;
    if by.many || !by.kind.is_comparable() {
        return Err(Error::invalid(format!(
            "field {} does not hold one comparable value, so it makes no groups",
            request.by
        )));
    }
    let value = dialect.value(by);
    let keys = sort_keys(dialect, model, &request.sort)?;
    let routing = if model.is_routed() { ", d.routing" } else { "" };
    let mut sql = Writer::new(dialect);
    sql.text("SELECT ").text(column("id")).text(routing);
    for name in ["version", "body"] {
        sql.text(", ").text(column(name));
    }
    let number = match request.ranking {
        Ranking::RowNumber => "row_number()",
        Ranking::Rank => "rank()",
        Ranking::DenseRank => "dense_rank()",
    };
    let of_member = if model.is_routed() { ", m.routing" } else { "" };
    sql.text(", m.g, m.n, m.p FROM (SELECT m.id")
        .text(of_member);
    // Every group has a first document, so the groups are numbered over the few that are left.
    sql.text(", m.g, m.n, dense_rank() OVER (ORDER BY m.g) AS p FROM (SELECT d.id")
        .text(routing);
    sql.text(", d.g, ").text(number);
    sql.text(" OVER (PARTITION BY d.g");
    // What ties by the keys that were asked for has one rank; only plain numbers break ties.
    let asked = match request.ranking {
        Ranking::RowNumber => keys.as_slice(),
        _ => keys.get(..request.sort.len()).unwrap_or_default(),
    };
    if asked.is_empty() {
        // Some databases give no rank without an order; in this one all documents of a group tie.
        sql.text(" ORDER BY d.g");
    } else {
        order_by(&mut sql, asked, true);
    }
    sql.text(") AS n FROM (SELECT d.id");
    sql.text(routing).text(", ").text(&value).text(" AS g");
    for (at, key) in keys.iter().filter(|key| key.is_field()).enumerate() {
        sql.text(format!(", {} AS s{at}", key.expression));
    }
    let bound = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
    let one_more = request.groups.saturating_add(1);
    grouped(&mut sql, request, by, &value)?;
    if by.indexed && request.filter == Filter::all() && request.routing.is_none() {
        // The index tells quickly where the groups that are asked for end.
        sql.text(" AND ").text(&value);
        sql.text(" <= (SELECT max(b.g) FROM (SELECT DISTINCT ")
            .text(&value)
            .text(" AS g");
        grouped(&mut sql, request, by, &value)?;
        sql.text(" ORDER BY g").limit(one_more).text(") AS b)");
    }
    sql.text(") AS d) AS m WHERE m.n <= ")
        .bind(bound(request.size));
    sql.text(") AS m JOIN ").identifier(model.name().as_str());
    sql.text(" AS d ON d.id = m.id");
    if model.is_routed() {
        sql.text(" AND d.routing = m.routing");
    }
    sql.text(" WHERE m.p <= ").bind(bound(one_more));
    sql.text(" ORDER BY m.p, m.n, d.id").text(routing);
    sql.finish()
}

/// Writes what the groups are made of: what matches and has a value, behind the groups that were
/// handed out before.
fn grouped(
    sql: &mut Writer<'_>,
    request: &GroupRequest,
    by: &FieldDeclaration,
    value: &str,
) -> Result<()> {
    let model = &*request.model;
    from_where(sql, model, &request.filter, request.routing.as_ref())?;
    sql.text(" AND ").text(value);
    match &request.after {
        Some(after) if !by.kind.takes(after) => {
            return Err(Error::invalid(format!(
                "groups after a value of type {} are asked for, but field {} is declared as {}",
                after.type_name(),
                request.by,
                by.kind.as_str()
            )));
        }
        Some(after) => sql.text(" > ").comparand(by.kind, after),
        None => sql.text(" IS NOT NULL"),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::{FieldDeclaration, Kind, Model};
    use strongroom_core::query::{Filter, Sort};

    use super::*;
    use crate::Sqlite;

    #[test]
    fn only_plain_numbers_break_ties() {
        let model = Model::builder("users")
            .field(FieldDeclaration::new("age".parse().unwrap(), Kind::Integer).indexed())
            .field(FieldDeclaration::new("tags".parse().unwrap(), Kind::Keyword).many())
            .routed()
            .build()
            .unwrap();
        let by = "age".parse().unwrap();
        let mut request = GroupRequest::new(model, Filter::all(), by);
        request.sort = vec![Sort::descending("age".parse().unwrap())];
        request.after = Some(7.into());
        let numbered = group(&Sqlite, &request).unwrap();
        assert_eq!(
            numbered.sql,
            "SELECT d.id, d.routing, d.version, d.body, m.g, m.n, m.p \
             FROM (SELECT m.id, m.routing, m.g, m.n, dense_rank() OVER (ORDER BY m.g) AS p \
             FROM (SELECT d.id, d.routing, d.g, row_number() OVER (PARTITION BY d.g \
             ORDER BY s0 DESC NULLS LAST, d.id ASC, d.routing ASC) AS n \
             FROM (SELECT d.id, d.routing, d.\"f:age\" AS g, d.\"f:age\" AS s0 \
             FROM \"users\" AS d WHERE TRUE AND d.\"f:age\" > ?1 \
             AND d.\"f:age\" <= (SELECT max(b.g) FROM (SELECT DISTINCT d.\"f:age\" AS g \
             FROM \"users\" AS d WHERE TRUE AND d.\"f:age\" > ?2 ORDER BY g LIMIT 101) AS b)\
             ) AS d) AS m WHERE m.n <= ?3) AS m \
             JOIN \"users\" AS d ON d.id = m.id AND d.routing = m.routing \
             WHERE m.p <= ?4 ORDER BY m.p, m.n, d.id, d.routing"
        );
        request.ranking = Ranking::Rank;
        let ranked = group(&Sqlite, &request).unwrap().sql;
        assert!(ranked.contains("rank() OVER (PARTITION BY d.g ORDER BY s0 DESC NULLS LAST) AS n"));
        request.after = Some("x".into());
        assert!(group(&Sqlite, &request).is_err());
        request.after = None;
        request.by = "tags".parse().unwrap();
        assert!(group(&Sqlite, &request).is_err());
    }
}
