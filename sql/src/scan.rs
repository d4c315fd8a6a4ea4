//! All that matches, for scans and for writes of what matches.
//!
//! A scan is a page without an end: the same columns as those of [`find`](crate::find) and the
//! same order, read row by row. It has no limit rather than a huge one, because a database keeps
//! the rows of a limited sort in another way than those of a whole one.

use strongroom_core::error::Result;
use strongroom_core::query::Position;
use strongroom_core::store::{MatchingRequest, ScanRequest};

use crate::dialect::Dialect;
use crate::page::{DOCUMENTS, after, column, from_where, key_columns, order_by, sort_keys, values};
use crate::param::{Statement, Writer};

/// Compiles a scan.
///
/// The columns of a row are those of [`find`](crate::find).
///
/// # Errors
///
/// `Invalid` if the model does not declare a field, or if there are more values than the database
/// binds.
pub fn scan(dialect: &dyn Dialect, request: &ScanRequest) -> Result<Statement> {
    let model = &*request.model;
    let keys = sort_keys(dialect, model, &request.sort)?;
    let mut sql = Writer::new(dialect);
    sql.text(key_columns(model)).text(DOCUMENTS);
    let named = dialect.tells_sort_values();
    let fields = keys.iter().filter(|key| named && key.is_field());
    for (at, key) in fields.enumerate() {
        sql.text(format!(", {} AS s{at}", key.expression));
    }
    from_where(&mut sql, model, &request.filter, request.routing.as_ref())?;
    order_by(&mut sql, &keys, named);
    sql.finish()
}

/// Compiles the search of one step of a write of what matches.
///
/// The columns of a row are the id, in routed collections the routing, and the version. The rows
/// come in the order of the ids, then the routings; there is one more than the request's limit if
/// another step follows.
///
/// # Errors
///
/// `Invalid` as for [`scan`], and if `after` is no key of the collection.
pub fn matching(dialect: &dyn Dialect, request: &MatchingRequest) -> Result<Statement> {
    let model = &*request.model;
    let keys = sort_keys(dialect, model, &[])?;
    let mut sql = Writer::new(dialect);
    sql.text(key_columns(model))
        .text(", ")
        .text(column("version"));
    from_where(&mut sql, model, &request.filter, request.routing.as_ref())?;
    // What the write itself left, when it was sent before, is passed over.
    sql.text(" AND ").text(column("write_id")).text(" <> ");
    sql.bind(request.write_id);
    if let Some(key) = &request.after {
        let position = Position {
            values: Vec::new(),
            key: key.clone(),
        };
        sql.text(" AND ");
        after(&mut sql, &keys, &values(dialect, model, &keys, &position)?);
    }
    order_by(&mut sql, &keys, true);
    sql.limit(request.limit.saturating_add(1));
    sql.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strongroom_core::model::{FieldDeclaration, Key, Kind, Model};
    use strongroom_core::query::{Filter, Sort};
    use strongroom_core::store::MatchingAction;

    use super::*;
    use crate::{Param, Sqlite};

    fn model(routed: bool) -> Arc<Model> {
        let model = Model::builder("users")
            .field(FieldDeclaration::new("age".parse().unwrap(), Kind::Integer));
        let model = if routed { model.routed() } else { model };
        model.build().unwrap()
    }

    #[test]
    fn a_scan_has_no_limit() {
        let mut request = ScanRequest::new(model(false), Filter::all());
        request.sort = vec![Sort::descending("age".parse().unwrap())];
        let statement = scan(&Sqlite, &request).unwrap();
        assert!(!statement.sql.contains("LIMIT"), "{}", statement.sql);
        assert!(
            statement
                .sql
                .ends_with(" ORDER BY s0 DESC NULLS LAST, d.id ASC"),
            "{}",
            statement.sql
        );
    }

    #[test]
    fn a_step_goes_on_behind_a_key_and_asks_for_one_more() {
        let mut request = MatchingRequest::new(model(true), Filter::all(), MatchingAction::Delete);
        request.limit = 10;
        request.after = Some(Key::routed("eu", "ada").unwrap());
        let statement = matching(&Sqlite, &request).unwrap();
        assert_eq!(
            statement.sql,
            "SELECT d.id, d.routing, d.version FROM \"users\" AS d WHERE TRUE AND \
             d.write_id <> ?1 AND (d.id > ?2 OR (d.id = ?3 AND (d.routing > ?4))) \
             ORDER BY d.id ASC, d.routing ASC LIMIT 11"
        );
        let ada = || Param::from("ada");
        assert_eq!(
            statement.params,
            [
                Param::from(request.write_id),
                ada(),
                ada(),
                Param::from("eu")
            ]
        );
        // A key without a routing lies nowhere in a routed collection.
        request.after = Some(Key::new("ada").unwrap());
        assert!(matching(&Sqlite, &request).is_err());
    }
}
