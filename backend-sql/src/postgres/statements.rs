//! The statements of a collection that no compiler writes.

use std::sync::Arc;

use sqlx_core::sql_str::AssertSqlSafe;
use strongroom_core::model::{Key, Model};
use strongroom_sql::postgres::store_text;
use strongroom_sql::{Dialect, Postgres};

use super::bulk::at_once::MOST;
use super::row::Query;

/// The server's clock in milliseconds.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// Holds where a document can be written once more.
const HAS_NEXT: &str = "(d.version & 4294967295) < 4294967295";

/// The statements of one collection. The values of single writes are, in this order and as far as
/// the statement has them: the id, the routing of routed collections, the expected or the new
/// version, the write id, the body.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) model: Arc<Model>,
    /// Version, write id, age and body of one document.
    pub(crate) get: Arc<str>,
    /// The same, of a document that nobody else writes until the transaction ends.
    pub(crate) get_locked: Arc<str>,
    /// The place in the list, and then the columns of `get`, of many.
    pub(crate) get_many: Arc<str>,
    pub(crate) version: Arc<str>,
    /// Whether it was written, and the version that is there now.
    pub(crate) insert: Arc<str>,
    /// The new version.
    pub(crate) upsert: Arc<str>,
    /// As `insert`.
    pub(crate) replace_exactly: Arc<str>,
    /// The new version.
    pub(crate) replace_present: Arc<str>,
    /// As `insert`, with the version that was there.
    pub(crate) delete_exactly: Arc<str>,
    /// The version that was there.
    pub(crate) delete: Arc<str>,
    /// Key and version of those of many that are there, which nobody else writes until the
    /// transaction ends. They are locked in the order of their keys. It reads no other relation:
    /// where a row has changed while it was waited for, the server evaluates a join with a list
    /// of keys anew, and drops rows of it.
    pub(crate) lock_many: Arc<str>,
    /// Puts and deletes of documents that are all different: of those that were not written, the
    /// place and the version that was there; of those that were written at whatever version there
    /// was, the place and the new version. The documents are locked in the order of the list: a
    /// function, and a list of unknown length, keep the planner from reading the whole table.
    /// Where a document was changed while the statement waited for it, the server looks for it
    /// anew and does not find it. It counts as not written then, and must not be created.
    pub(crate) write_many: Arc<str>,
    /// The places of those that were created: those whose keys were free.
    pub(crate) insert_many: Arc<str>,
    pub(crate) update_many: Arc<str>,
    pub(crate) delete_many: Arc<str>,
}

impl Statements {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        let t = Postgres.identifier(model.name().as_str());
        let routed = model.is_routed();
        let (key, next) = if routed {
            ("d.id = $1 AND d.routing = $2", 3)
        } else {
            ("d.id = $1", 2)
        };
        let (a, b, c) = (next, next + 1, next + 2);
        let (names, unique) = if routed {
            ("id, routing", "id, routing")
        } else {
            ("id", "id")
        };
        let same = if routed {
            "d.id = i.id AND d.routing = i.routing"
        } else {
            "d.id = i.id"
        };
        let (many, many_names) = if routed {
            ("$1::text[], $2::text[]", "id, routing")
        } else {
            ("$1::text[]", "id")
        };
        let keys = if routed { "$1, $2" } else { "$1" };
        let seen = format!("d.version, d.write_id, {NOW} - d.written_at, d.body");
        let or_there = |table: &str, name: &str| {
            format!(
                "SELECT true, version FROM {name} UNION ALL SELECT false, d.version FROM {table} AS d \
                 WHERE {key} AND NOT EXISTS (SELECT FROM {name})"
            )
        };
        let insert = format!(
            "INSERT INTO {t} AS d ({names}, version, write_id, body, written_at) \
             VALUES ({keys}, ${a}, ${b}, ${c}::jsonb, {NOW}) ON CONFLICT ({unique}) DO"
        );
        let set = |id: i32, body: i32| {
            format!(
                "SET version = d.version + 1, write_id = ${id}, body = ${body}::jsonb, \
                 written_at = {NOW}"
            )
        };
        let of_many = format!("unnest({many}) WITH ORDINALITY AS i({many_names}, n)");
        let values_of_many = format!(
            "unnest({many}, ${a}::bigint[], ${b}::bytea[], ${c}::text[]) WITH ORDINALITY \
             AS i({many_names}, version, write_id, body, n)"
        );
        let hidden = |number: i32, kind: &str| format!("(SELECT ${number}::{kind}[])");
        let hidden_keys = if routed {
            format!("{}, {}", hidden(1, "text"), hidden(2, "text"))
        } else {
            hidden(1, "text")
        };
        let merged = format!(
            "SELECT * FROM unnest({hidden_keys}, {}, {}, {}, {}) WITH ORDINALITY \
             AS i({many_names}, expected, created, write_id, body, n) LIMIT (SELECT {MOST})",
            hidden(a, "bigint"),
            hidden(b, "bigint"),
            hidden(c, "bytea"),
            hidden(c + 1, "text"),
        );
        let values = many_names
            .split(", ")
            .map(|name| format!("i.{name}"))
            .collect::<Vec<_>>()
            .join(", ");
        Self {
            get: format!("SELECT {seen} FROM {t} AS d WHERE {key}").into(),
            get_locked: format!("SELECT {seen} FROM {t} AS d WHERE {key} FOR UPDATE").into(),
            get_many: format!("SELECT i.n, {seen} FROM {of_many} JOIN {t} AS d ON {same}").into(),
            version: format!("SELECT d.version FROM {t} AS d WHERE {key}").into(),
            insert: format!(
                "WITH w AS ({insert} NOTHING RETURNING version) {}",
                or_there(&t, "w")
            )
            .into(),
            upsert: format!(
                "{insert} UPDATE SET version = d.version + 1, write_id = excluded.write_id, \
                 body = excluded.body, written_at = excluded.written_at WHERE {HAS_NEXT} \
                 RETURNING version"
            )
            .into(),
            replace_exactly: format!(
                "WITH w AS (UPDATE {t} AS d {} WHERE {key} AND d.version = ${a} \
                 RETURNING d.version) {}",
                set(b, c),
                or_there(&t, "w")
            )
            .into(),
            replace_present: format!(
                "UPDATE {t} AS d {} WHERE {key} AND {HAS_NEXT} RETURNING d.version",
                set(a, b)
            )
            .into(),
            delete_exactly: format!(
                "WITH w AS (DELETE FROM {t} AS d WHERE {key} AND d.version = ${a} \
                 RETURNING d.version) {}",
                or_there(&t, "w")
            )
            .into(),
            delete: format!("DELETE FROM {t} AS d WHERE {key} RETURNING d.version").into(),
            lock_many: if routed {
                format!(
                    "SELECT d.id, d.routing, d.version FROM {t} AS d WHERE d.id = ANY($1) \
                     AND d.routing = ANY($2) \
                     AND length(d.routing) || ':' || d.routing || d.id = ANY($3) \
                     ORDER BY d.id, d.routing FOR UPDATE"
                )
            } else {
                format!(
                    "SELECT d.id, d.version FROM {t} AS d WHERE d.id = ANY($1) \
                     ORDER BY d.id FOR UPDATE"
                )
            }
            .into(),
            write_many: format!(
                "WITH w AS (MERGE INTO {t} AS d USING ({merged}) AS i \
                 ON {same} AND strongroom_by_key(d.version) \
                 WHEN MATCHED AND d.version = coalesce(i.expected, d.version) AND i.body IS NULL \
                 THEN DELETE \
                 WHEN MATCHED AND d.version = coalesce(i.expected, d.version) AND {HAS_NEXT} \
                 THEN UPDATE SET version = d.version + 1, write_id = i.write_id, \
                 body = i.body::jsonb, written_at = {NOW} \
                 WHEN NOT MATCHED AND i.created IS NOT NULL AND (i.expected IS NOT NULL \
                 OR NOT EXISTS (SELECT FROM {t} AS d WHERE {same})) \
                 THEN INSERT ({names}, version, write_id, body, written_at) \
                 VALUES ({values}, i.created, i.write_id, i.body::jsonb, {NOW}) \
                 RETURNING i.n, d.version, i.expected IS NULL AND i.body IS NOT NULL AS told) \
                 SELECT w.n, true, w.version FROM w WHERE w.told UNION ALL \
                 SELECT i.n, false, (SELECT d.version FROM {t} AS d WHERE {same}) \
                 FROM {of_many} WHERE i.n NOT IN (SELECT w.n FROM w)"
            )
            .into(),
            insert_many: format!(
                "INSERT INTO {t} AS d ({names}, version, write_id, body, written_at) \
                 SELECT {values}, i.version, i.write_id, i.body::jsonb, {NOW} \
                 FROM {values_of_many} ORDER BY i.n ON CONFLICT ({unique}) DO NOTHING RETURNING 1"
            )
            .into(),
            update_many: format!(
                "UPDATE {t} AS d SET version = i.version, write_id = i.write_id, \
                 body = i.body::jsonb, written_at = {NOW} FROM {values_of_many} WHERE {same}"
            )
            .into(),
            delete_many: format!("DELETE FROM {t} AS d USING {of_many} WHERE {same}").into(),
            model,
        }
    }

    /// A statement whose first values are a key.
    pub(crate) fn with_key<'q>(sql: &Arc<str>, key: &Key) -> Query<'q> {
        let query = Self::query(sql).bind(store_text(key.id().as_str()).into_owned());
        match key.routing() {
            Some(routing) => query.bind(store_text(routing.as_str()).into_owned()),
            None => query,
        }
    }

    /// A statement whose first values are many keys.
    pub(crate) fn with_keys<'q>(&self, sql: &Arc<str>, keys: &[&Key]) -> Query<'q> {
        let stored = |text: &str| store_text(text).into_owned();
        let ids: Vec<_> = keys.iter().map(|key| stored(key.id().as_str())).collect();
        let query = Self::query(sql).bind(ids);
        if !self.model.is_routed() {
            return query;
        }
        let routings: Vec<_> = keys
            .iter()
            .map(|key| {
                key.routing()
                    .map(|r| stored(r.as_str()))
                    .unwrap_or_default()
            })
            .collect();
        query.bind(routings)
    }

    /// The statement that locks documents.
    pub(crate) fn locking<'q>(&self, keys: &[&Key]) -> Query<'q> {
        let query = self.with_keys(&self.lock_many, keys);
        if !self.model.is_routed() {
            return query;
        }
        let whole: Vec<_> = keys
            .iter()
            .map(|key| {
                let routing = store_text(key.routing().map_or("", |r| r.as_str()));
                let id = store_text(key.id().as_str());
                format!("{}:{routing}{id}", routing.chars().count())
            })
            .collect();
        query.bind(whole)
    }

    fn query<'q>(sql: &Arc<str>) -> Query<'q> {
        // Its text holds a name of a collection, quoted, and no value.
        sqlx_core::query::query(AssertSqlSafe(sql.clone()))
    }
}
