//! What the dialect of MariaDB writes, by example.

use std::sync::Arc;

use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{
    Aggregation, Aggregations, Cursor, Filter, Position, Sort, TermsOrder, Words,
};
use strongroom_core::store::{AggregateRequest, CountRequest, FindRequest, PageStart};

use super::*;
use crate::{Statement, count, find};

fn field(path: &str, kind: Kind) -> FieldDeclaration {
    FieldDeclaration::new(path.parse().unwrap(), kind)
}

fn model() -> Arc<Model> {
    Model::builder("users")
        .field(field("name", Kind::Keyword).indexed())
        .field(field("logins", Kind::Integer).indexed())
        .field(field("it's", Kind::Keyword))
        .field(field("score", Kind::Float))
        .field(field("active", Kind::Boolean))
        .field(field("born", Kind::Timestamp))
        .field(field("bio", Kind::Text))
        .field(field("tags", Kind::Keyword).many())
        .field(field("jobs", Kind::Nested).many())
        .field(field("jobs.years", Kind::Integer))
        .build()
        .unwrap()
}

fn show(statement: Statement) -> String {
    format!("{}\n{:?}", statement.sql, statement.params)
}

fn check(filter: Filter) -> String {
    let count = count(&MariaDb, &CountRequest::new(model(), filter), None).unwrap();
    show(count).replace("SELECT count(*) FROM `users` AS d WHERE ", "")
}

#[test]
fn comparisons() {
    insta::assert_snapshot!(check(Filter::eq("name", "x").unwrap()), @r#"
d.`f:name` = ?
[Text("x")]
"#);
    insta::assert_snapshot!(check(Filter::is_in("logins", [1, 2]).unwrap()), @r#"
d.`f:logins` IN (CAST(? AS DECIMAL(23,4)), CAST(? AS DECIMAL(23,4)))
[Number(1), Number(2)]
"#);
    insta::assert_snapshot!(check(Filter::gt("score", 0.5).unwrap()), @r#"
(CASE WHEN LEFT(JSON_EXTRACT(d.body, '$."score"'), 1) BETWEEN '-' AND '9' THEN (SIGN(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) * CAST(CONV(HEX(REVERSE(SUBSTR(ST_AsWKB(POINT(ABS(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)), 0)), 6, 8))), 16, 10) AS SIGNED) + CASE WHEN OCTET_LENGTH(JSON_EXTRACT(d.body, '$."score"')) < 16 OR JSON_EXTRACT(d.body, '$."score"') REGEXP '[.eE]' THEN 0 ELSE (CAST(JSON_EXTRACT(d.body, '$."score"') AS DECIMAL(20,0)) - SIGN(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) * CAST(CAST(ABS(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) AS UNSIGNED) AS DECIMAL(20,0))) * 0.0005 END) END) > CAST(? AS DECIMAL(23,4))
[Number(0.5)]
"#);
    insta::assert_snapshot!(check(Filter::eq("it's", "x").unwrap()), @r#"
(CASE WHEN LEFT(JSON_EXTRACT(d.body, '$."it''s"'), 1) = '"' THEN CAST(LEFT(JSON_VALUE(d.body, '$."it''s"'), 1028) AS BINARY) END) = ?
[Text("x")]
"#);
    insta::assert_snapshot!(check(Filter::eq("active", true).unwrap()), @r#"
(CASE LEFT(JSON_EXTRACT(d.body, '$."active"'), 1) WHEN 't' THEN 1 WHEN 'f' THEN 0 END) = ?
[Boolean(true)]
"#);
    insta::assert_snapshot!(check(Filter::gt("born", 5).unwrap()), @r#"
(CASE WHEN JSON_EXTRACT(d.body, '$."born"') REGEXP '^(0|-?[1-9][0-9]*)$' THEN CAST(JSON_EXTRACT(d.body, '$."born"') AS SIGNED) END) > ?
[Integer(5)]
"#);
    insta::assert_snapshot!(check(Filter::eq("tags", "x").unwrap()), @r#"
EXISTS (SELECT 1 FROM JSON_TABLE(strongroom_leaves(d.body, 'tags'), '$[*]' COLUMNS (j JSON PATH '$')) AS v WHERE (CASE WHEN LEFT(v.j, 1) = '"' THEN CAST(LEFT(JSON_VALUE(v.j, '$'), 1028) AS BINARY) END) = ?)
[Text("x")]
"#);
    insta::assert_snapshot!(check(Filter::exists("score").unwrap()), @r#"
LEFT(JSON_EXTRACT(d.body, '$."score"'), 1) NOT IN ('{', '[', 'n')
[]
"#);
}

#[test]
fn patterns_words_and_objects() {
    insta::assert_snapshot!(check(Filter::wildcard("name", "a%*").unwrap()), @r#"
((d.`f:name` >= ? AND d.`f:name` < ?) AND CONVERT(d.`f:name` USING utf8mb4) COLLATE utf8mb4_nopad_bin LIKE ?)
[Text("a%"), Text("a&"), Text("a\\%%")]
"#);
    let words = |text: &str, mode| check(Filter::text("bio", text, mode).unwrap());
    insta::assert_snapshot!(words("Red fox red", Words::All), @r#"
(d.id IN (SELECT w.id FROM `users:w:bio` AS w WHERE w.word = ?) AND d.id IN (SELECT w.id FROM `users:w:bio` AS w WHERE w.word = ?))
[Text("red"), Text("fox")]
"#);
    insta::assert_snapshot!(words("Red fox", Words::Any), @r#"
(d.id IN (SELECT w.id FROM `users:w:bio` AS w WHERE w.word IN (?, ?)))
[Text("red"), Text("fox")]
"#);
    insta::assert_snapshot!(words("Red fox", Words::Phrase), @r#"
(d.id IN (SELECT w.id FROM `users:w:bio` AS w WHERE w.word = ?) AND d.id IN (SELECT w.id FROM `users:w:bio` AS w WHERE w.word = ?) AND (CASE WHEN LEFT(JSON_EXTRACT(d.body, '$."bio"'), 1) = '"' THEN CONCAT(' ', REGEXP_REPLACE(LOWER(JSON_VALUE(d.body, '$."bio"')), '[^\\p{L}\\p{N}]+', ' '), ' ') END LIKE ?))
[Text("red"), Text("fox"), Text("% red fox %")]
"#);
    let long = words(&"x".repeat(128), Words::Any);
    assert!(
        long.contains("w.word = LEFT(CAST(? AS BINARY), 128)) AND (CASE"),
        "{long}"
    );
    // There are as many lookups as the server joins well, of the longest words.
    let many = words("a bb ccc dddd eeeee ffffff ggggggg", Words::All);
    assert_eq!(many.matches("IN (SELECT").count(), 6);
    assert_eq!(many.matches("LIKE ?").count(), 7);
    assert!(
        many.contains(r#"[Text("ggggggg"), Text("ffffff"), "#),
        "{many}"
    );
    let years = Filter::gt("jobs.years", 3).unwrap();
    insta::assert_snapshot!(check(Filter::nested("jobs", years).unwrap()), @r#"
EXISTS (SELECT 1 FROM JSON_TABLE(strongroom_objects(d.body, 'jobs'), '$[*]' COLUMNS (body JSON PATH '$')) AS d WHERE EXISTS (SELECT 1 FROM JSON_TABLE(strongroom_leaves(d.body, 'years'), '$[*]' COLUMNS (j JSON PATH '$')) AS v WHERE (CASE WHEN LEFT(v.j, 1) BETWEEN '-' AND '9' THEN (SIGN(CAST(v.j AS DOUBLE)) * CAST(CONV(HEX(REVERSE(SUBSTR(ST_AsWKB(POINT(ABS(CAST(v.j AS DOUBLE)), 0)), 6, 8))), 16, 10) AS SIGNED) + CASE WHEN OCTET_LENGTH(v.j) < 16 OR v.j REGEXP '[.eE]' THEN 0 ELSE (CAST(v.j AS DECIMAL(20,0)) - SIGN(CAST(v.j AS DOUBLE)) * CAST(CAST(ABS(CAST(v.j AS DOUBLE)) AS UNSIGNED) AS DECIMAL(20,0))) * 0.0005 END) END) > CAST(? AS DECIMAL(23,4))))
[Number(3)]
"#);
    let call = Call::new("lower").unwrap().field("name".parse().unwrap());
    insta::assert_snapshot!(check(Filter::call_eq(call, "x")), @r#"
EXISTS (SELECT 1 FROM JSON_TABLE(JSON_ARRAY(lower((CASE WHEN LEFT(JSON_EXTRACT(d.body, '$."name"'), 1) = '"' THEN JSON_VALUE(d.body, '$."name"') END))), '$[*]' COLUMNS (j JSON PATH '$')) AS c WHERE (CASE WHEN LEFT(c.j, 1) = '"' THEN CAST(LEFT(JSON_VALUE(c.j, '$'), 1028) AS BINARY) END) = ?)
[Text("x")]
"#);
}

fn page(sort: Sort, position: Option<Scalar>, first: bool) -> String {
    let mut request = FindRequest::new(model(), Filter::all());
    request.sort = vec![sort];
    request.limit = 2;
    if !first {
        let position = Position {
            values: vec![position],
            key: strongroom_core::model::Key::new("ada").unwrap(),
        };
        request.start = PageStart::After(Cursor::new(
            position,
            request.model.name(),
            &request.filter,
            &request.sort,
            None,
        ));
    }
    show(find(&MariaDb, &request).unwrap())
}

#[test]
fn each_range_of_a_page_is_read_from_its_index() {
    let up = || Sort::ascending("logins".parse().unwrap());
    insta::assert_snapshot!(page(up(), None, true), @r#"
SELECT d.id, d.version, d.body, p.s0 FROM ((SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NOT NULL ORDER BY s0 ASC, d.id ASC LIMIT 3) UNION ALL (SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NULL ORDER BY s0 ASC, d.id ASC LIMIT 3)) AS p JOIN `users` AS d ON d.id = p.id ORDER BY s0 IS NULL, s0 ASC, d.id ASC LIMIT 3
[]
"#);
    insta::assert_snapshot!(page(up().missing_first(), None, true), @r#"
SELECT d.id, d.version, d.body, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE ORDER BY s0 ASC, d.id ASC LIMIT 3
[]
"#);
    insta::assert_snapshot!(page(up(), Some(7.into()), false), @r#"
SELECT d.id, d.version, d.body, p.s0 FROM ((SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` >= CAST(? AS DECIMAL(23,4)) AND (d.`f:logins` > CAST(? AS DECIMAL(23,4)) OR (d.`f:logins` = CAST(? AS DECIMAL(23,4)) AND (d.id > ?))) ORDER BY s0 ASC, d.id ASC LIMIT 3) UNION ALL (SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NULL ORDER BY s0 ASC, d.id ASC LIMIT 3)) AS p JOIN `users` AS d ON d.id = p.id ORDER BY s0 IS NULL, s0 ASC, d.id ASC LIMIT 3
[Number(7), Number(7), Number(7), Text("ada")]
"#);
    insta::assert_snapshot!(page(up(), None, false), @r#"
SELECT d.id, d.version, d.body, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NULL AND (d.id > ?) ORDER BY s0 ASC, d.id ASC LIMIT 3
[Text("ada")]
"#);
    let down = || Sort::descending("logins".parse().unwrap());
    insta::assert_snapshot!(page(down(), None, true), @r#"
SELECT d.id, d.version, d.body, p.s0 FROM ((SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NOT NULL AND d.`f:logins` IN (SELECT v.s0 FROM (SELECT d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NOT NULL ORDER BY s0 DESC LIMIT 3) AS v) ORDER BY s0 DESC, d.id ASC LIMIT 3) UNION ALL (SELECT d.id, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` IS NULL ORDER BY s0 DESC, d.id ASC LIMIT 3)) AS p JOIN `users` AS d ON d.id = p.id ORDER BY s0 DESC, d.id ASC LIMIT 3
[]
"#);
    insta::assert_snapshot!(page(down().missing_first(), Some(7.into()), false), @r#"
SELECT d.id, d.version, d.body, d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` <= CAST(? AS DECIMAL(23,4)) AND (d.`f:logins` < CAST(? AS DECIMAL(23,4)) OR (d.`f:logins` = CAST(? AS DECIMAL(23,4)) AND (d.id > ?))) AND d.`f:logins` IN (SELECT v.s0 FROM (SELECT d.`f:logins` AS s0 FROM `users` AS d WHERE TRUE AND d.`f:logins` <= CAST(? AS DECIMAL(23,4)) AND (d.`f:logins` < CAST(? AS DECIMAL(23,4)) OR (d.`f:logins` = CAST(? AS DECIMAL(23,4)) AND (d.id > ?))) ORDER BY s0 DESC LIMIT 3) AS v) ORDER BY s0 DESC, d.id ASC LIMIT 3
[Number(7), Number(7), Number(7), Text("ada"), Number(7), Number(7), Number(7), Text("ada")]
"#);
    let score = Sort::descending("score".parse().unwrap()).missing_first();
    assert!(
        page(score, None, true).contains(" ORDER BY s0 IS NULL DESC, s0 DESC, d.id ASC LIMIT 3")
    );
}

#[test]
fn tables() {
    let base = Model::builder("users")
        .field(field("name", Kind::Keyword))
        .build()
        .unwrap();
    insta::assert_snapshot!(MariaDb.create_collection(&base).join("\n"), @"CREATE TABLE IF NOT EXISTS `users` (id VARBINARY(512) NOT NULL, version BIGINT NOT NULL, write_id BINARY(16) NOT NULL, written_at BIGINT NOT NULL, tok BIGINT NOT NULL DEFAULT 0, body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL, PRIMARY KEY (id)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin");
    let wanted = Model::builder("users")
        .field(field("name", Kind::Keyword).unique())
        .field(field("at", Kind::Timestamp).indexed())
        .build()
        .unwrap();
    insta::assert_snapshot!(MariaDb.extend_collection(&base, &wanted).join("\n"), @r#"
ALTER TABLE `users` ADD COLUMN IF NOT EXISTS `f:at` BIGINT GENERATED ALWAYS AS (CASE WHEN JSON_EXTRACT(body, '$."at"') REGEXP '^(0|-?[1-9][0-9]*)$' THEN CAST(JSON_EXTRACT(body, '$."at"') AS SIGNED) END) STORED, ADD COLUMN IF NOT EXISTS `f:name` VARBINARY(1028) GENERATED ALWAYS AS (CASE WHEN LEFT(JSON_EXTRACT(body, '$."name"'), 1) = '"' THEN CASE WHEN OCTET_LENGTH(CAST(JSON_VALUE(body, '$."name"') AS BINARY)) < 1025 THEN CAST(JSON_VALUE(body, '$."name"') AS BINARY) ELSE LEFT(CAST(JSON_VALUE(body, '$."name"') AS BINARY), CASE WHEN SUBSTR(CAST(JSON_VALUE(body, '$."name"') AS BINARY), 1026, 1) NOT BETWEEN x'80' AND x'BF' THEN 1025 WHEN SUBSTR(CAST(JSON_VALUE(body, '$."name"') AS BINARY), 1027, 1) NOT BETWEEN x'80' AND x'BF' THEN 1026 WHEN SUBSTR(CAST(JSON_VALUE(body, '$."name"') AS BINARY), 1028, 1) NOT BETWEEN x'80' AND x'BF' THEN 1027 ELSE 1028 END) END END) STORED, ADD KEY IF NOT EXISTS `users:i:at` (`f:at`, id), ADD UNIQUE KEY IF NOT EXISTS `users:u:name` (`f:name`)
"#);
    assert!(MariaDb.extend_collection(&wanted, &wanted).is_empty());
    let routed = Model::builder("orders")
        .routed()
        .field(field("größe", Kind::Float).indexed())
        .build()
        .unwrap();
    insta::assert_snapshot!(MariaDb.create_collection(&routed).join("\n"), @r#"
CREATE TABLE IF NOT EXISTS `orders` (id VARBINARY(512) NOT NULL, routing VARBINARY(512) NOT NULL, version BIGINT NOT NULL, write_id BINARY(16) NOT NULL, written_at BIGINT NOT NULL, tok BIGINT NOT NULL DEFAULT 0, body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL, `f:gr__e~386cf74a99395766` DECIMAL(23,4) GENERATED ALWAYS AS (CASE WHEN LEFT(JSON_EXTRACT(body, '$."größe"'), 1) BETWEEN '-' AND '9' THEN (SIGN(CAST(JSON_EXTRACT(body, '$."größe"') AS DOUBLE)) * CAST(CONV(HEX(REVERSE(SUBSTR(ST_AsWKB(POINT(ABS(CAST(JSON_EXTRACT(body, '$."größe"') AS DOUBLE)), 0)), 6, 8))), 16, 10) AS SIGNED) + CASE WHEN OCTET_LENGTH(JSON_EXTRACT(body, '$."größe"')) < 16 OR JSON_EXTRACT(body, '$."größe"') REGEXP '[.eE]' THEN 0 ELSE (CAST(JSON_EXTRACT(body, '$."größe"') AS DECIMAL(20,0)) - SIGN(CAST(JSON_EXTRACT(body, '$."größe"') AS DOUBLE)) * CAST(CAST(ABS(CAST(JSON_EXTRACT(body, '$."größe"') AS DOUBLE)) AS UNSIGNED) AS DECIMAL(20,0))) * 0.0005 END) END) STORED, PRIMARY KEY (id, routing), KEY `orders:i:gr__e~e50f3eab371f1e3e` (`f:gr__e~386cf74a99395766`, id, routing)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin
"#);
    insta::assert_snapshot!(MariaDb.drop_collection(&base).join("\n"), @"DROP TABLE IF EXISTS `users`");
}

#[test]
fn words() {
    let field = |path: &str| FieldDeclaration::new(path.parse().unwrap(), Kind::Text);
    let model = |builder: strongroom_core::model::ModelBuilder| {
        let builder = builder.field(field("o.title")).field(field("bio").many());
        builder.build().unwrap()
    };
    let base = Model::builder("users").routed().build().unwrap();
    let wanted = model(Model::builder("users").routed());
    let statements = MariaDb.extend_collection(&base, &wanted);
    let begin = |s: &String| {
        s.split(" (")
            .next()
            .unwrap()
            .split(" FOR ")
            .next()
            .unwrap()
            .to_owned()
    };
    let begins: Vec<_> = statements.iter().map(begin).collect();
    assert_eq!(
        begins.get(..4).unwrap(),
        [
            "CREATE TABLE IF NOT EXISTS `users:w:bio`",
            "CREATE OR REPLACE TRIGGER `users:w:bio:delete` AFTER DELETE ON `users`",
            "CREATE OR REPLACE TRIGGER `users:w:bio:update` AFTER UPDATE ON `users`",
            "CREATE OR REPLACE TRIGGER `users:w:bio:insert` AFTER INSERT ON `users`",
        ]
    );
    assert!(statements.get(4).unwrap().starts_with("BEGIN NOT ATOMIC"));
    assert_eq!(statements.len(), 10);
    let shown = |what: &str| statements.iter().find(|s| s.contains(what)).unwrap();
    insta::assert_snapshot!(shown("CREATE TABLE"), @"CREATE TABLE IF NOT EXISTS `users:w:bio` (word VARBINARY(128) NOT NULL, id VARBINARY(512) NOT NULL, routing VARBINARY(512) NOT NULL, PRIMARY KEY (word, id, routing)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC");
    insta::assert_snapshot!(shown("AFTER INSERT"), @"CREATE OR REPLACE TRIGGER `users:w:bio:insert` AFTER INSERT ON `users` FOR EACH ROW BEGIN DECLARE rest, entry LONGBLOB; DECLARE at, until BIGINT; DECLARE CONTINUE HANDLER FOR 1062 BEGIN END; SET rest = strongroom_words(NEW.body, 'bio'); SET at = 1, until = LOCATE(' ', rest, 2); WHILE until > 0 DO IF until > at + 1 THEN SET entry = SUBSTR(rest, at + 1, LEAST(until - at - 1, 128)); INSERT INTO `users:w:bio` (word, id, routing) VALUES (entry, NEW.id, NEW.routing); END IF; SET at = until, until = LOCATE(' ', rest, at + 1); END WHILE; END");
    assert!(MariaDb.extend_collection(&wanted, &wanted).is_empty());
    // What a collection of the same name left is taken away.
    let made = MariaDb.create_collection(&model(Model::builder("users")));
    insta::assert_snapshot!(made.get(1).unwrap(), @"DROP TABLE IF EXISTS `users:w:bio`, `users:w:o.title`");
    insta::assert_snapshot!(MariaDb.drop_collection(&wanted).join("\n"), @"DROP TABLE IF EXISTS `users`, `users:w:bio`, `users:w:o.title`");
}

#[test]
fn buckets_and_sums() {
    let within = Aggregation::Sum {
        field: "score".parse().unwrap(),
    };
    let terms = Aggregation::Terms {
        field: "tags".parse().unwrap(),
        size: 3,
        order: TermsOrder::default(),
        within: Aggregations::from([("sum".to_owned(), within)]),
    };
    let request = AggregateRequest::new(
        model(),
        Filter::all(),
        Aggregations::from([("tags".to_owned(), terms)]),
    );
    let plan = crate::aggregate(&MariaDb, &request).unwrap();
    let statements: Vec<_> = plan.into_statements().into_iter().map(show).collect();
    insta::assert_snapshot!(statements.join("\n"), @r#"
SELECT d.g AS g, d.c AS c, sum(d.c) OVER () AS t, d.f0 FROM (SELECT d.g AS g, count(*) AS c, COALESCE(SUM((SIGN(d.x0) * ST_X(ST_GeomFromWKB(CONCAT(x'0101000000', REVERSE(UNHEX(LPAD(HEX(CAST(ROUND(ABS(d.x0)) AS UNSIGNED)), 16, '0'))), x'0000000000000000'))))), 0e0) AS f0 FROM (SELECT k.g AS g, (CASE WHEN LEFT(JSON_EXTRACT(d.body, '$."score"'), 1) BETWEEN '-' AND '9' THEN (SIGN(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) * CAST(CONV(HEX(REVERSE(SUBSTR(ST_AsWKB(POINT(ABS(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)), 0)), 6, 8))), 16, 10) AS SIGNED) + CASE WHEN OCTET_LENGTH(JSON_EXTRACT(d.body, '$."score"')) < 16 OR JSON_EXTRACT(d.body, '$."score"') REGEXP '[.eE]' THEN 0 ELSE (CAST(JSON_EXTRACT(d.body, '$."score"') AS DECIMAL(20,0)) - SIGN(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) * CAST(CAST(ABS(CAST(JSON_EXTRACT(d.body, '$."score"') AS DOUBLE)) AS UNSIGNED) AS DECIMAL(20,0))) * 0.0005 END) END) AS x0 FROM (SELECT DISTINCT d.id AS id, (CASE WHEN LEFT(v.j, 1) = '"' THEN CAST(LEFT(JSON_VALUE(v.j, '$'), 1028) AS BINARY) END) AS g FROM (SELECT d.* FROM `users` AS d WHERE TRUE) AS d, JSON_TABLE(strongroom_leaves(d.body, 'tags'), '$[*]' COLUMNS (j JSON PATH '$')) AS v) AS k JOIN `users` AS d ON d.id = k.id LIMIT 18446744073709551615) AS d WHERE d.g IS NOT NULL GROUP BY d.g) AS d ORDER BY c DESC, d.g ASC LIMIT 3
[]
"#);
}

#[test]
fn names_are_told_apart() {
    for (one, other) in [
        ("x".repeat(80) + "1", "x".repeat(80) + "2"),
        ("f:größe".to_owned(), "f:grösse".to_owned()),
        ("f:a".to_owned(), "f:a ".to_owned()),
        ("f:ä".to_owned(), "f:ö".to_owned()),
        ("f:🦀".to_owned(), "f:__".to_owned()),
    ] {
        let (one, other) = (short_name(&one), short_name(&other));
        assert_ne!(one, other);
        for name in [one, other] {
            assert!(name.len() <= MAX_IDENTIFIER && name.is_ascii() && !name.ends_with(' '));
        }
    }
    assert_eq!(MariaDb.identifier("a`b"), "`a``b`");
}
