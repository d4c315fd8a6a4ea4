//! The first documents of each group, by window functions.
//!
//! The innermost query reads what is compared, the one around it numbers the documents within
//! their groups and the groups themselves, and the outermost fetches the bodies of those that are
//! handed out, so that no other body goes through the sorting.

use strongroom_core::error::{Error, Result};
use strongroom_core::store::{GroupRequest, Ranking};

use crate::dialect::Dialect;
use crate::page::{column, from_where, order_by, sort_keys};
use crate::param::{Param, Statement, Writer};

/// Compiles groups.
///
/// The columns of a row are: the id; in routed collections the routing; version, write id, time
/// of writing and body; then the value of the group, the document's number within it, and the
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
    for name in ["version", "write_id", "written_at", "body"] {
        sql.text(", ").text(column(name));
    }
    let number = match request.ranking {
        Ranking::RowNumber => "row_number()",
        Ranking::Rank => "rank()",
        Ranking::DenseRank => "dense_rank()",
    };
    sql.text(", m.g, m.n, m.p FROM (SELECT d.id").text(routing);
    sql.text(", d.g, ").text(number);
    sql.text(" OVER (PARTITION BY d.g");
    // What ties by the keys that were asked for has one rank; only plain numbers break ties.
    let asked = match request.ranking {
        Ranking::RowNumber => keys.as_slice(),
        _ => keys.get(..request.sort.len()).unwrap_or_default(),
    };
    if !asked.is_empty() {
        order_by(&mut sql, asked);
    }
    sql.text(") AS n, dense_rank() OVER (ORDER BY d.g) AS p FROM (SELECT d.id");
    sql.text(routing).text(", ").text(&value).text(" AS g");
    for (at, key) in keys.iter().filter(|key| key.is_field()).enumerate() {
        sql.text(format!(", {} AS s{at}", key.expression));
    }
    from_where(&mut sql, model, &request.filter, request.routing.as_ref())?;
    sql.text(" AND ").text(&value);
    match &request.after {
        Some(after) if !by.kind.takes(after) => {
            return Err(Error::invalid(format!(
                "groups after a value of type {} are asked for, but field {} is declared as {}",
                after.type_name(),
                request.by,
                by.kind.as_str()
            )));
        }
        Some(after) => sql.text(" > ").bind(Param::from(after)),
        None => sql.text(" IS NOT NULL"),
    };
    sql.text(") AS d) AS m JOIN ")
        .identifier(model.name().as_str());
    sql.text(" AS d ON d.id = m.id");
    if model.is_routed() {
        sql.text(" AND d.routing = m.routing");
    }
    let bound = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
    sql.text(" WHERE m.n <= ").bind(bound(request.size));
    sql.text(" AND m.p <= ")
        .bind(bound(request.groups.saturating_add(1)));
    sql.text(" ORDER BY m.p, m.n, d.id").text(routing);
    sql.finish()
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
            "SELECT d.id, d.routing, d.version, d.write_id, d.written_at, d.body, m.g, m.n, m.p \
             FROM (SELECT d.id, d.routing, d.g, row_number() OVER (PARTITION BY d.g \
             ORDER BY s0 DESC NULLS LAST, d.id ASC, d.routing ASC) AS n, \
             dense_rank() OVER (ORDER BY d.g) AS p \
             FROM (SELECT d.id, d.routing, d.\"f:age\" AS g, d.\"f:age\" AS s0 \
             FROM \"users\" AS d WHERE TRUE AND d.\"f:age\" > ?1) AS d) AS m \
             JOIN \"users\" AS d ON d.id = m.id AND d.routing = m.routing \
             WHERE m.n <= ?2 AND m.p <= ?3 ORDER BY m.p, m.n, d.id, d.routing"
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
