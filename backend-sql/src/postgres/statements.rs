//! The statements of a collection that no compiler writes.

use std::sync::Arc;

use sqlx_core::sql_str::AssertSqlSafe;
use strongroom_core::model::{Key, Model};
use strongroom_core::store::Write;
use strongroom_sql::postgres::{NOW, stamped, stamps_of, store_text};
use strongroom_sql::{Dialect, Postgres};

use super::bulk::at_once::MOST;
use super::row::Query;

/// Holds where a document can be written once more.
const HAS_NEXT: &str = "(d.version & 4294967295) < 4294967295";

/// The statements that write a body that they are handed.
#[derive(Debug)]
pub(crate) struct Puts {
    /// Whether it was written, the version that is there now, and stamps.
    pub(crate) insert: Arc<str>,
    /// The new version, and stamps.
    pub(crate) upsert: Arc<str>,
    /// As `insert`.
    pub(crate) replace_exactly: Arc<str>,
    /// The new version, and stamps.
    pub(crate) replace_present: Arc<str>,
    /// Puts and deletes of documents that are all different: of those that were not written, the
    /// place and the version that was there; of those that were written and stamped, or written at
    /// whatever version there was, the place, the new version, and stamps. The documents are
    /// locked in the order of the list: a function, and a list of unknown length, keep the planner
    /// from reading the whole table. Where a document was changed while the statement waited for
    /// it, the server looks for it anew and does not find it. It counts as not written then, and
    /// must not be created.
    pub(crate) write_many: Arc<str>,
}

/// The statements of one collection. The values of single writes are, in this order and as far as
/// the statement has them: the id, the routing of routed collections, the expected or the new
/// version, the write id, the body.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) model: Arc<Model>,
    /// Version, write id, age and body of one document.
    pub(crate) get: Arc<str>,
    /// The same, and the server's time, of a document that nobody else writes until the
    /// transaction ends.
    pub(crate) get_locked: Arc<str>,
    /// The place in the list, and then the columns of `get`, of many.
    pub(crate) get_many: Arc<str>,
    pub(crate) version: Arc<str>,
    /// Those that write a body as it is.
    plain: Puts,
    /// Those that stamp a body, where the model has stamps.
    stamping: Option<Puts>,
    /// As `insert`, with the version that was there.
    pub(crate) delete_exactly: Arc<str>,
    /// The version that was there.
    pub(crate) delete: Arc<str>,
    /// Key and version of those of many that are there, which nobody else writes until the
    /// transaction ends, and the server's time. They are locked in the order of their keys. It
    /// reads no other relation: where a row has changed while it was waited for, the server
    /// evaluates a join with a list of keys anew, and drops rows of it.
    pub(crate) lock_many: Arc<str>,
    /// The places of those that were created: those whose keys were free.
    pub(crate) insert_many: Arc<str>,
    pub(crate) update_many: Arc<str>,
    pub(crate) delete_many: Arc<str>,
}

/// Which part of the statements of a collection is written.
struct Form<'f> {
    table: &'f str,
    model: &'f Model,
    stamps: bool,
}

impl Form<'_> {
    /// The body that is written, in place of `before` if there is one.
    fn body(&self, sent: &str, before: Option<&str>) -> String {
        match self.stamps {
            true => stamped(self.model, sent, before),
            false => sent.to_owned(),
        }
    }

    /// The columns of the stamps of what was written.
    fn stamps(&self) -> String {
        match self.stamps {
            true => format!(", {}", stamps_of(self.model, "d.body")),
            false => String::new(),
        }
    }

    fn puts(&self) -> Puts {
        let t = self.table;
        let stamps = self.stamps();
        let names = names(self.model);
        let (key, next) = one_key(self.model);
        let (a, b, c) = (next, next + 1, next + 2);
        let keys = if self.model.is_routed() {
            "$1, $2"
        } else {
            "$1"
        };
        let body = |number: i32, before| self.body(&format!("${number}::jsonb"), before);
        let insert = format!(
            "INSERT INTO {t} AS d ({names}, version, write_id, body, written_at) \
             VALUES ({keys}, ${a}, ${b}, {}, {NOW}) ON CONFLICT ({names}) DO",
            body(c, None)
        );
        let set = |id: i32, number: i32| {
            format!(
                "SET version = d.version + 1, write_id = ${id}, body = {}, written_at = {NOW}",
                body(number, Some("d.body"))
            )
        };
        // It creates with the same body, stamped as one that is new.
        let again = body(c, Some("d.body"));
        Puts {
            insert: self
                .or_there(&format!("{insert} NOTHING RETURNING d.version{stamps}"))
                .into(),
            upsert: format!(
                "{insert} UPDATE SET version = d.version + 1, write_id = excluded.write_id, \
                 body = {again}, written_at = excluded.written_at WHERE {HAS_NEXT} \
                 RETURNING d.version{stamps}"
            )
            .into(),
            replace_exactly: self
                .or_there(&format!(
                    "UPDATE {t} AS d {} WHERE {key} AND d.version = ${a} \
                     RETURNING d.version{stamps}",
                    set(b, c)
                ))
                .into(),
            replace_present: format!(
                "UPDATE {t} AS d {} WHERE {key} AND {HAS_NEXT} RETURNING d.version{stamps}",
                set(a, b)
            )
            .into(),
            write_many: self.write_many(next).into(),
        }
    }

    /// What a write that returns the new version and stamps tells, or what is there if it wrote
    /// nothing.
    fn or_there(&self, write: &str) -> String {
        let (t, (key, _)) = (self.table, one_key(self.model));
        let (named, told, none) = match self.stamps {
            true => ("w (version, c, u)", ", c, u", ", NULL, NULL"),
            false => ("w (version)", "", ""),
        };
        format!(
            "WITH {named} AS ({write}) SELECT true, version{told} FROM w UNION ALL \
             SELECT false, d.version{none} FROM {t} AS d \
             WHERE {key} AND NOT EXISTS (SELECT FROM w)"
        )
    }

    fn write_many(&self, next: i32) -> String {
        let (t, routed) = (self.table, self.model.is_routed());
        let names = names(self.model);
        let (a, b, c) = (next, next + 1, next + 2);
        let hidden = |number: i32, kind: &str| format!("(SELECT ${number}::{kind}[])");
        let hidden_keys = if routed {
            format!("{}, {}", hidden(1, "text"), hidden(2, "text"))
        } else {
            hidden(1, "text")
        };
        let merged = format!(
            "SELECT * FROM unnest({hidden_keys}, {}, {}, {}, {}) WITH ORDINALITY \
             AS i({names}, expected, created, write_id, body, n) LIMIT (SELECT {MOST})",
            hidden(a, "bigint"),
            hidden(b, "bigint"),
            hidden(c, "bytea"),
            hidden(c + 1, "text"),
        );
        let (same, of_many, values) = (same(self.model), of_many(self.model), values(self.model));
        let (told, columns, none) = match self.stamps {
            true => ("", ", w.c, w.u", ", NULL, NULL"),
            false => ("i.expected IS NULL AND ", "", ""),
        };
        let named = match self.stamps {
            true => "w (n, version, told, c, u)",
            false => "w (n, version, told)",
        };
        format!(
            "WITH {named} AS (MERGE INTO {t} AS d USING ({merged}) AS i \
             ON {same} AND strongroom_by_key(d.version) \
             WHEN MATCHED AND d.version = coalesce(i.expected, d.version) AND i.body IS NULL \
             THEN DELETE \
             WHEN MATCHED AND d.version = coalesce(i.expected, d.version) AND {HAS_NEXT} \
             THEN UPDATE SET version = d.version + 1, write_id = i.write_id, \
             body = {}, written_at = {NOW} \
             WHEN NOT MATCHED AND i.created IS NOT NULL AND (i.expected IS NOT NULL \
             OR NOT EXISTS (SELECT FROM {t} AS d WHERE {same})) \
             THEN INSERT ({names}, version, write_id, body, written_at) \
             VALUES ({values}, i.created, i.write_id, {}, {NOW}) \
             RETURNING i.n, d.version, {told}i.body IS NOT NULL{}) \
             SELECT w.n, true, w.version{columns} FROM w WHERE w.told UNION ALL \
             SELECT i.n, false, (SELECT d.version FROM {t} AS d WHERE {same}){none} \
             FROM {of_many} WHERE i.n NOT IN (SELECT w.n FROM w)",
            self.body("i.body::jsonb", Some("d.body")),
            self.body("i.body::jsonb", None),
            self.stamps(),
        )
    }
}

fn names(model: &Model) -> &'static str {
    if model.is_routed() {
        "id, routing"
    } else {
        "id"
    }
}

/// The condition that the key is the one that is handed first, and the number of the value behind.
fn one_key(model: &Model) -> (&'static str, i32) {
    if model.is_routed() {
        ("d.id = $1 AND d.routing = $2", 3)
    } else {
        ("d.id = $1", 2)
    }
}

fn same(model: &Model) -> &'static str {
    if model.is_routed() {
        "d.id = i.id AND d.routing = i.routing"
    } else {
        "d.id = i.id"
    }
}

/// The lists of keys that are handed first.
fn lists(model: &Model) -> &'static str {
    if model.is_routed() {
        "$1::text[], $2::text[]"
    } else {
        "$1::text[]"
    }
}

fn of_many(model: &Model) -> String {
    let (lists, names) = (lists(model), names(model));
    format!("unnest({lists}) WITH ORDINALITY AS i({names}, n)")
}

fn values(model: &Model) -> &'static str {
    if model.is_routed() {
        "i.id, i.routing"
    } else {
        "i.id"
    }
}

impl Statements {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        let table = Postgres.identifier(model.name().as_str());
        let t = table.as_str();
        let form = |stamps| Form {
            table: t,
            model: &model,
            stamps,
        };
        let plain = form(false);
        let stamps = model.created().is_some() || model.updated().is_some();
        let stamping = stamps.then(|| form(true).puts());
        let (key, next) = one_key(&model);
        let (a, b, c) = (next, next + 1, next + 2);
        let (names, same, of_many) = (names(&model), same(&model), of_many(&model));
        let seen = format!("d.version, d.write_id, {NOW} - d.written_at, d.body");
        let values_of_many = format!(
            "unnest({}, ${a}::bigint[], ${b}::bytea[], ${c}::text[]) WITH ORDINALITY \
             AS i({names}, version, write_id, body, n)",
            lists(&model)
        );
        Self {
            get: format!("SELECT {seen} FROM {t} AS d WHERE {key}").into(),
            get_locked: format!("SELECT {seen}, {NOW} FROM {t} AS d WHERE {key} FOR UPDATE").into(),
            get_many: format!("SELECT i.n, {seen} FROM {of_many} JOIN {t} AS d ON {same}").into(),
            version: format!("SELECT d.version FROM {t} AS d WHERE {key}").into(),
            delete_exactly: plain
                .or_there(&format!(
                    "DELETE FROM {t} AS d WHERE {key} AND d.version = ${a} RETURNING d.version"
                ))
                .into(),
            delete: format!("DELETE FROM {t} AS d WHERE {key} RETURNING d.version").into(),
            lock_many: if model.is_routed() {
                format!(
                    "SELECT d.id, d.routing, d.version, {NOW} FROM {t} AS d WHERE d.id = ANY($1) \
                     AND d.routing = ANY($2) \
                     AND length(d.routing) || ':' || d.routing || d.id = ANY($3) \
                     ORDER BY d.id, d.routing FOR UPDATE"
                )
            } else {
                format!(
                    "SELECT d.id, d.version, {NOW} FROM {t} AS d WHERE d.id = ANY($1) \
                     ORDER BY d.id FOR UPDATE"
                )
            }
            .into(),
            insert_many: format!(
                "INSERT INTO {t} AS d ({names}, version, write_id, body, written_at) \
                 SELECT {}, i.version, i.write_id, i.body::jsonb, {NOW} \
                 FROM {values_of_many} ORDER BY i.n ON CONFLICT ({names}) DO NOTHING RETURNING 1",
                values(&model)
            )
            .into(),
            update_many: format!(
                "UPDATE {t} AS d SET version = i.version, write_id = i.write_id, \
                 body = i.body::jsonb, written_at = {NOW} FROM {values_of_many} WHERE {same}"
            )
            .into(),
            delete_many: format!("DELETE FROM {t} AS d USING {of_many} WHERE {same}").into(),
            plain: plain.puts(),
            stamping,
            model,
        }
    }

    /// The statements that put what a write leaves.
    pub(crate) fn puts(&self, write: &Write) -> &Puts {
        match &self.stamping {
            Some(stamping) if write.sets_stamps(&self.model) => stamping,
            _ => &self.plain,
        }
    }

    /// The statements that put a body that is as it shall be.
    pub(crate) fn plain(&self) -> &Puts {
        &self.plain
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
