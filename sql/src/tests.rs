//! What the compilers write, by example.

use std::sync::Arc;
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Scalar};
use strongroom_core::query::{Call, Cursor, Filter, Position, Sort, Words};
use strongroom_core::store::{CountRequest, FindRequest, PageStart};

use crate::dialect::Dialect;
use crate::{Sqlite, Statement, count, find};

fn model() -> Arc<Model> {
    let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
    Model::builder("users")
        .field(field("name", Kind::Keyword).indexed())
        .field(field("email", Kind::Keyword).unique())
        .field(field("address.city", Kind::Keyword))
        .field(field("logins", Kind::Integer))
        .field(field("active", Kind::Boolean))
        .field(field("born", Kind::Timestamp))
        .field(field("tags", Kind::Keyword).many())
        .build()
        .unwrap()
}

fn show(statement: Statement) -> String {
    format!("{}\n{:?}", statement.sql, statement.params)
}

/// The condition that a filter becomes, with its values.
fn check(filter: Filter) -> String {
    let count = count(&Sqlite, &CountRequest::new(model(), filter), None).unwrap();
    show(count).replace("SELECT count(*) FROM \"users\" AS d WHERE ", "")
}

fn page(sort: Vec<Sort>, values: Vec<Option<Scalar>>) -> String {
    let mut request = FindRequest::new(model(), Filter::all());
    request.sort = sort;
    let position = Position {
        values,
        key: Key::new("ada").unwrap(),
    };
    request.start = PageStart::After(Cursor::new(
        position,
        request.model.name(),
        &request.filter,
        &request.sort,
        None,
    ));
    let text = show(find(&Sqlite, &request).unwrap());
    text.split_once(" AND ").unwrap().1.to_owned()
}

#[test]
fn comparisons() {
    insta::assert_snapshot!(check(Filter::eq("name", "x").unwrap()), @r#"
d."f:name" = ?1
[Text("x")]
"#);
    insta::assert_snapshot!(check(Filter::eq("logins", 3).unwrap()), @r#"
CASE WHEN json_type(d.body, '$."logins"') IN ('integer', 'real') THEN d.body ->> '$."logins"' END = ?1
[Integer(3)]
"#);
    insta::assert_snapshot!(check(Filter::eq("active", true).unwrap()), @r#"
CASE json_type(d.body, '$."active"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END = ?1
[Boolean(true)]
"#);
    insta::assert_snapshot!(check(Filter::gt("born", 5).unwrap()), @r#"
CASE json_type(d.body, '$."born"') WHEN 'integer' THEN d.body ->> '$."born"' END > ?1
[Integer(5)]
"#);
    insta::assert_snapshot!(check(Filter::is_in("address.city", ["a", "b"]).unwrap()), @r#"
CASE json_type(d.body, '$."address"."city"') WHEN 'text' THEN d.body ->> '$."address"."city"' END IN (?1, ?2)
[Text("a"), Text("b")]
"#);
    insta::assert_snapshot!(check(Filter::is_in("name", Vec::<&str>::new()).unwrap()), @r#"
FALSE
[]
"#);
}

#[test]
fn values_are_bound_and_paths_are_quoted() {
    let field = FieldDeclaration::new(
        "it's \"; --".replace('"', "").parse().unwrap(),
        Kind::Keyword,
    );
    let model = Model::builder("a").field(field).build().unwrap();
    let filter = Filter::eq("it's ; --", "'; DROP TABLE a; --").unwrap();
    let statement = count(&Sqlite, &CountRequest::new(model, filter), None).unwrap();
    insta::assert_snapshot!(show(statement), @r#"
SELECT count(*) FROM "a" AS d WHERE CASE json_type(d.body, '$."it''s ; --"') WHEN 'text' THEN d.body ->> '$."it''s ; --"' END = ?1
[Text("'; DROP TABLE a; --")]
"#);
}

#[test]
fn prefixes_become_ranges() {
    insta::assert_snapshot!(check(Filter::prefix("name", "ab").unwrap()), @r#"
(d."f:name" >= ?1 AND d."f:name" < ?2)
[Text("ab"), Text("ac")]
"#);
    insta::assert_snapshot!(check(Filter::prefix("name", "").unwrap()), @r#"
d."f:name" IS NOT NULL
[]
"#);
    insta::assert_snapshot!(check(Filter::prefix("name", "a\u{10ffff}").unwrap()), @r#"
(d."f:name" >= ?1 AND d."f:name" < ?2)
[Text("a\u{10ffff}"), Text("b")]
"#);
    insta::assert_snapshot!(check(Filter::prefix("name", "\u{d7ff}").unwrap()), @r#"
(d."f:name" >= ?1 AND d."f:name" < ?2)
[Text("\u{d7ff}"), Text("\u{e000}")]
"#);
}

#[test]
fn patterns_words_ids_and_native_conditions() {
    insta::assert_snapshot!(check(Filter::wildcard("name", "ab*").unwrap()), @r#"
((d."f:name" >= ?1 AND d."f:name" < ?2) AND strongroom_wildcard(d."f:name", ?3))
[Text("ab"), Text("ac"), Text("ab*")]
"#);
    insta::assert_snapshot!(check(Filter::wildcard("tags", "*").unwrap()), @r#"
EXISTS (SELECT 1 FROM json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v WHERE (strongroom_wildcard(v.value, ?1)))
[Text("*")]
"#);
    insta::assert_snapshot!(check(Filter::ids(["a", "b'"]).unwrap()), @r#"
d.id IN (?1, ?2)
[Text("a"), Text("b'")]
"#);
    let native = Filter::native("sqlite", "d.id = ? OR '?' = \"?\"", ["a"]);
    insta::assert_snapshot!(check(native), @r#"
(d.id = ?1 OR '?' = "?")
[Text("a")]
"#);
    let wrong = Filter::native("sqlite", "d.id = ?", ["a", "b"]);
    let error = count(&Sqlite, &CountRequest::new(model(), wrong), None).unwrap_err();
    assert!(error.to_string().contains("2 values"), "{error}");
}

#[test]
fn calls_are_made_where_all_else_holds() {
    let call = || Filter::call(Call::new("slow").unwrap());
    let filter = (!call()).and(Filter::exists("logins").unwrap()).and(call());
    insta::assert_snapshot!(check(filter), @r#"
    (json_type(d.body, '$."logins"') IN ('text', 'integer', 'real', 'true', 'false') AND (((strongroom_call(d.body, ?1)) IS NOT TRUE) AND strongroom_call(d.body, ?2)))
    [Text("[{\"function\":\"slow\",\"arguments\":[]},true]"), Text("[{\"function\":\"slow\",\"arguments\":[]},true]")]
    "#);
}

#[test]
fn calls_are_bound_as_one_value() {
    let inner = Call::new("salt").unwrap();
    let call = Call::new("check").unwrap();
    let call = call.value("it's").field("logins".parse().unwrap());
    let call = call.call(inner);
    insta::assert_snapshot!(check(Filter::call_eq(call, true)), @r#"
strongroom_call(d.body, ?1)
[Text("[{\"function\":\"check\",\"arguments\":[{\"value\":\"it's\"},{\"field\":{\"names\":[\"logins\"],\"kind\":\"integer\"}},{\"call\":{\"function\":\"salt\",\"arguments\":[]}}]},true]")]
"#);
    let unknown = Call::new("check").unwrap().field("x".parse().unwrap());
    let request = CountRequest::new(model(), Filter::call(unknown));
    let error = count(&Sqlite, &request, None).unwrap_err();
    assert!(error.to_string().contains("field x"), "{error}");
}

#[test]
fn objects_stand_for_the_document() {
    let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind).many();
    let model = Model::builder("users")
        .field(field("jobs", Kind::Nested))
        .field(field("jobs.title", Kind::Keyword))
        .field(field("jobs.notes", Kind::Text))
        .build()
        .unwrap();
    let inner = Filter::eq("jobs.title", "cook")
        .unwrap()
        .and(Filter::text("jobs.notes", "Red fox", Words::Phrase).unwrap());
    let filter = Filter::nested("jobs", inner).unwrap();
    let statement = count(&Sqlite, &CountRequest::new(model, filter), None).unwrap();
    insta::assert_snapshot!(show(statement), @r#"
SELECT count(*) FROM "users" AS d WHERE EXISTS (SELECT 1 FROM (SELECT o.value AS body FROM json_each(strongroom_objects(d.body, 'jobs')) AS o) AS d WHERE (EXISTS (SELECT 1 FROM json_each(strongroom_values(d.body, 'title', 'keyword')) AS v WHERE v.value = ?1) AND strongroom_text(d.body, 'notes', 'phrase', ?2)))
[Text("cook"), Text("red fox")]
"#);
}

#[test]
fn many_values() {
    insta::assert_snapshot!(check(Filter::eq("tags", "x").unwrap()), @r#"
EXISTS (SELECT 1 FROM json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v WHERE v.value = ?1)
[Text("x")]
"#);
    insta::assert_snapshot!(check(Filter::exists("name").unwrap()), @r#"
json_type(d.body, '$."name"') IN ('text', 'integer', 'real', 'true', 'false')
[]
"#);
    insta::assert_snapshot!(check(Filter::exists("tags").unwrap()), @r#"
strongroom_exists(d.body, 'tags', 'keyword')
[]
"#);
}

#[test]
fn combinations_are_balanced() {
    let leaf = |n: i64| Filter::eq("logins", n).unwrap();
    let model = Model::builder("a")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed())
        .build()
        .unwrap();
    let any = Filter::Or((0..5).map(|n| Filter::eq("n", n).unwrap()).collect());
    let statement = count(&Sqlite, &CountRequest::new(model, !any), Some(10)).unwrap();
    insta::assert_snapshot!(show(statement), @r#"
SELECT count(*) FROM (SELECT 1 AS one FROM "a" AS d WHERE ((((d."f:n" = ?1 OR d."f:n" = ?2) OR (d."f:n" = ?3 OR (d."f:n" = ?4 OR d."f:n" = ?5)))) IS NOT TRUE) LIMIT 10) AS matching
[Integer(0), Integer(1), Integer(2), Integer(3), Integer(4)]
"#);
    assert!(check(Filter::And(vec![leaf(1)])).starts_with("CASE"));
    insta::assert_snapshot!(check(Filter::Or(vec![])), @r#"
FALSE
[]
"#);
}

#[test]
fn pages_begin_behind_a_position() {
    let asc = || Sort::ascending("name".parse().unwrap());
    let desc = || Sort::descending("email".parse().unwrap());
    insta::assert_snapshot!(page(vec![], vec![]), @r#"
(d.id > ?1) ORDER BY d.id ASC LIMIT 51
[Text("ada")]
"#);
    insta::assert_snapshot!(page(vec![asc()], vec![Some("m".into())]), @r#"
d."f:name" >= ?1 AND (d."f:name" > ?2 OR (d."f:name" = ?3 AND (d.id > ?4))) UNION ALL SELECT d.id, d.version, d.body, d."f:name" AS s0 FROM "users" AS d WHERE TRUE AND d."f:name" IS NULL) AS d ORDER BY s0 ASC NULLS LAST, d.id ASC LIMIT 51
[Text("m"), Text("m"), Text("m"), Text("ada")]
"#);
    insta::assert_snapshot!(page(vec![asc()], vec![None]), @r#"
d."f:name" IS NULL AND (d.id > ?1) ORDER BY s0 ASC NULLS LAST, d.id ASC LIMIT 51
[Text("ada")]
"#);
    insta::assert_snapshot!(page(vec![asc().missing_first()], vec![None]), @r#"
d."f:name" IS NULL AND (d.id > ?1) UNION ALL SELECT d.id, d.version, d.body, d."f:name" AS s0 FROM "users" AS d WHERE TRUE AND d."f:name" IS NOT NULL) AS d ORDER BY s0 ASC NULLS FIRST, d.id ASC LIMIT 51
[Text("ada")]
"#);
    insta::assert_snapshot!(
        page(vec![desc().missing_first(), asc()], vec![Some("m".into()), Some("n".into())]), @r#"
(d."f:email" < ?1 OR (d."f:email" = ?2 AND ((d."f:name" > ?3 OR d."f:name" IS NULL) OR (d."f:name" = ?4 AND (d.id > ?5))))) ORDER BY s0 DESC NULLS FIRST, s1 ASC NULLS LAST, d.id ASC LIMIT 51
[Text("m"), Text("m"), Text("n"), Text("n"), Text("ada")]
"#
    );
}

#[test]
fn whole_statements() {
    let mut request = FindRequest::new(model(), Filter::eq("tags", "x").unwrap());
    request.sort = vec![Sort::descending("tags".parse().unwrap())];
    request.offset = 7;
    insta::assert_snapshot!(show(find(&Sqlite, &request).unwrap()), @r#"
SELECT d.id, d.version, d.body, strongroom_greatest(d.body, 'tags', 'keyword') AS s0 FROM "users" AS d WHERE EXISTS (SELECT 1 FROM json_each(strongroom_values(d.body, 'tags', 'keyword')) AS v WHERE v.value = ?1) ORDER BY s0 DESC NULLS LAST, d.id ASC LIMIT 51 OFFSET ?2
[Text("x"), Integer(7)]
"#);
}

#[test]
fn tables() {
    let base = Model::builder("users")
        .field(FieldDeclaration::new(
            "name".parse().unwrap(),
            Kind::Keyword,
        ))
        .build()
        .unwrap();
    insta::assert_snapshot!(Sqlite.create_collection(&base).join("\n"), @r#"CREATE TABLE "users" (row INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, write_id BLOB NOT NULL, written_at INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (id))"#);
    insta::assert_snapshot!(Sqlite.extend_collection(&base, &model()).join("\n"), @r#"
ALTER TABLE "users" ADD COLUMN "f:email" GENERATED ALWAYS AS (CASE json_type(body, '$."email"') WHEN 'text' THEN body ->> '$."email"' END) VIRTUAL
CREATE UNIQUE INDEX "users:u:email" ON "users" ("f:email")
ALTER TABLE "users" ADD COLUMN "f:name" GENERATED ALWAYS AS (CASE json_type(body, '$."name"') WHEN 'text' THEN body ->> '$."name"' END) VIRTUAL
CREATE INDEX "users:i:name" ON "users" ("f:name", id)
"#);
    let routed = Model::builder("orders")
        .routed()
        .field(FieldDeclaration::new("userName".parse().unwrap(), Kind::Float).indexed())
        .build()
        .unwrap();
    insta::assert_snapshot!(Sqlite.create_collection(&routed).join("\n"), @r#"
CREATE TABLE "orders" (row INTEGER PRIMARY KEY, id TEXT NOT NULL, routing TEXT NOT NULL, version INTEGER NOT NULL, write_id BLOB NOT NULL, written_at INTEGER NOT NULL, body TEXT NOT NULL, "f:user^Name" GENERATED ALWAYS AS (CASE WHEN json_type(body, '$."userName"') IN ('integer', 'real') THEN body ->> '$."userName"' END) VIRTUAL, UNIQUE (routing, id))
CREATE INDEX "orders:i:user^Name" ON "orders" ("f:user^Name", id, routing)
"#);
}

#[test]
fn words_are_looked_up_in_their_index() {
    let field = |path: &str| FieldDeclaration::new(path.parse().unwrap(), Kind::Text);
    let base = Model::builder("notes")
        .field(field("it's"))
        .build()
        .unwrap();
    let model = Model::builder("notes")
        .field(field("it's"))
        .field(field("deep.Pages").many())
        .build()
        .unwrap();
    let condition = |words| {
        let filter = Filter::text("deep.Pages", "Red AND fox", words).unwrap();
        let count = count(&Sqlite, &CountRequest::new(model.clone(), filter), None).unwrap();
        show(count).replace("SELECT count(*) FROM \"notes\" AS d WHERE ", "")
    };
    insta::assert_snapshot!(condition(Words::Any), @r#"
d.row IN (SELECT rowid FROM "notes:t"(?1))
[Text("\"f:deep.^Pages\" : (\"red\" OR \"and\" OR \"fox\")")]
"#);
    insta::assert_snapshot!(condition(Words::All), @r#"
d.row IN (SELECT rowid FROM "notes:t"(?1))
[Text("\"f:deep.^Pages\" : (\"red\" AND \"and\" AND \"fox\")")]
"#);
    insta::assert_snapshot!(condition(Words::Phrase), @r#"
d.row IN (SELECT rowid FROM "notes:t"(?1))
[Text("\"f:deep.^Pages\" : (\"red and fox\")")]
"#);
    insta::assert_snapshot!(Sqlite.extend_collection(&base, &model).join("\n"), @r#"
DROP TRIGGER IF EXISTS "notes:t:insert"
DROP TRIGGER IF EXISTS "notes:t:update"
DROP TRIGGER IF EXISTS "notes:t:delete"
DROP TABLE IF EXISTS "notes:t"
CREATE VIRTUAL TABLE "notes:t" USING fts5("f:deep.^Pages", "f:it's", content='', contentless_delete=1, tokenize='ascii')
INSERT INTO "notes:t" (rowid, "f:deep.^Pages", "f:it's") SELECT row, strongroom_words(body, 'deep.Pages'), strongroom_words(body, 'it''s') FROM "notes"
CREATE TRIGGER "notes:t:insert" AFTER INSERT ON "notes" BEGIN INSERT INTO "notes:t" (rowid, "f:deep.^Pages", "f:it's") VALUES (new.row, strongroom_words(new.body, 'deep.Pages'), strongroom_words(new.body, 'it''s')); END
CREATE TRIGGER "notes:t:update" AFTER UPDATE OF body ON "notes" WHEN strongroom_texts_differ(old.body, new.body, '["deep.Pages","it''s"]') BEGIN UPDATE "notes:t" SET "f:deep.^Pages" = strongroom_words(new.body, 'deep.Pages'), "f:it's" = strongroom_words(new.body, 'it''s') WHERE rowid = new.row; END
CREATE TRIGGER "notes:t:delete" AFTER DELETE ON "notes" BEGIN DELETE FROM "notes:t" WHERE rowid = old.row; END
"#);
    assert!(Sqlite.extend_collection(&model, &model).is_empty());
    assert!(
        Sqlite
            .create_collection(&base)
            .iter()
            .any(|s| s.contains("fts5"))
    );
    insta::assert_snapshot!(Sqlite.drop_collection(&model).join("\n"), @r#"
DROP TABLE "notes"
DROP TABLE IF EXISTS "notes:t"
"#);
}

#[test]
fn too_many_values_are_refused() {
    let list = Filter::is_in("name", (0..1000).map(|n| n.to_string())).unwrap();
    let filter = Filter::Or(vec![list; 33]);
    let error = count(&Sqlite, &CountRequest::new(model(), filter), None).unwrap_err();
    assert!(error.to_string().contains("32766"), "{error}");
}
