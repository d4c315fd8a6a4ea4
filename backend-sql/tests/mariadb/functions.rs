//! Functions of the server's own, in filters and in what is written.

#[path = "../support/texts.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod texts;

use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::MySql;
use strongroom_core::error::ErrorKind;
use strongroom_core::model::Scalar;
use strongroom_core::query::{Call, Filter};
use strongroom_core::store::{FunctionSupport, Store, Write};

use self::texts::{Texts, call, field};
use crate::support::{self, Named, Options, SqlStore};

#[tokio::test]
async fn arguments_fit_the_functions_of_the_server() {
    let texts = Texts::new(support::options().all_functions()).await;
    assert_eq!(
        texts.store.capabilities().functions,
        FunctionSupport::Server
    );
    let body = r#"{"k":"Größe ","n":9,"x":2.25,"b":true,"at":1517966773840}"#;
    texts.save(Texts::put("a", body)).await.unwrap();
    texts.save(Texts::put("b", "{}")).await.unwrap();
    let rows: [(Call, Scalar); 12] = [
        (field(call("lower"), "k"), "größe ".into()),
        (field(call("left"), "k").value(3), "Grö".into()),
        (field(call("char_length"), "k"), 6.into()),
        (field(call("char_length"), "k"), 6.0.into()),
        (field(call("sqrt"), "n"), 3.into()),
        (field(call("sqrt"), "x"), 1.5.into()),
        (field(call("mod"), "n").value(4), 1.into()),
        (field(call("concat"), "n").value("a"), "9a".into()),
        (field(call("hex"), "at"), "1616DDECE50".into()),
        (field(call("strcmp"), "k").value("Größe"), true.into()),
        (field(call("nullif"), "b").value(2), true.into()),
        (
            call("pow").value(0.5).call(call("abs").value(-2)),
            0.25.into(),
        ),
    ];
    for (made, equals) in rows {
        let equal = Filter::call_eq(made.clone(), equals);
        let counted = texts.count(equal.clone()).await.unwrap();
        // The last one looks at no field, so it holds for every document.
        assert!(
            counted == 1 || counted == 2 && !made.reads_fields(),
            "{equal:?}"
        );
        assert_eq!(texts.count(!equal).await.unwrap(), 2 - counted);
        let other = Filter::call_eq(made, "another type and value");
        assert_eq!(texts.count(other).await.unwrap(), 0);
    }
    // The server itself takes a text for the number that it begins with.
    let length = field(call("char_length"), "k");
    for other in [Scalar::from("6"), Scalar::from("6a"), Scalar::from(false)] {
        let filter = Filter::call_eq(length.clone(), other);
        assert_eq!(texts.count(filter).await.unwrap(), 0);
    }
    let unknown = Filter::call(field(call("no_such_function"), "k"));
    let refused = texts.count(unknown).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    assert!(refused.message().contains("no_such_function"), "{refused}");
    texts.done().await;
}

#[tokio::test]
async fn what_functions_make_is_written_or_refused() {
    let options = support::options().functions(["md5", "now", "sqrt", "round"]);
    let texts = Texts::new(options.unwrap()).await;
    let compute = |write: Write, name: &str, call| write.compute(name.parse().unwrap(), call);
    let write = compute(
        Texts::put("a", r#"{"n":16}"#),
        "k",
        call("md5").value("it's"),
    );
    let write = compute(write, "x", field(call("sqrt"), "n"));
    texts.save(write).await.unwrap();
    let stored: serde_json::Value = serde_json::from_str(&texts.body("a").await.unwrap()).unwrap();
    let md5 = "706dc2ee585fb5dcb18e3ac08da7ce0c";
    assert_eq!(stored, serde_json::json!({"k": md5, "n": 16, "x": 4.0}));
    // It has four places, as the keys of numbers have.
    let rounded = compute(
        Texts::put("c", "{}"),
        "x",
        call("round").value("2.50001").value(4),
    );
    texts.save(rounded).await.unwrap();
    let stored: serde_json::Value = serde_json::from_str(&texts.body("c").await.unwrap()).unwrap();
    assert_eq!(stored, serde_json::json!({"x": 2.5}));
    for (name, refused) in [
        // A moment is no value of a field.
        ("at", call("now")),
        // A text in a field of numbers.
        ("n", call("md5").value("x")),
    ] {
        let write = compute(Texts::put("b", "{}"), name, refused.clone());
        let error = texts.save(write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{refused:?}: {error:?}");
        assert_eq!(texts.body("b").await, None);
    }
    texts.done().await;
}

/// A dump holds the tables without the functions, unless it is told to.
#[tokio::test]
async fn those_of_the_store_are_made_again_where_one_is_missing() {
    let named = Named::connect(1).await;
    let mut beside = support::connection().await;
    let dropped = format!("DROP FUNCTION `{}`.strongroom_leaves", named.name);
    let dropped = raw_sql(AssertSqlSafe(dropped)).execute(&mut beside).await;
    dropped.unwrap();
    let options = Options::from_url(&named.url()).unwrap();
    let store = SqlStore::connect(options).await.unwrap();
    let there = "SELECT COUNT(*) FROM information_schema.routines \
         WHERE routine_schema = ? AND routine_name = 'strongroom_leaves'";
    let there = query_scalar::<MySql, i64>(there).bind(&named.name);
    assert_eq!(there.fetch_one(&mut beside).await.unwrap(), 1);
    store.close().await.unwrap();
    named.done().await;
}
