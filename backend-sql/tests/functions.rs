//! Functions of the server's own, in filters and in what is written.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
#[path = "support/texts.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod texts;

use strongroom_core::error::ErrorKind;
use strongroom_core::model::Scalar;
use strongroom_core::query::{Call, Filter};
use strongroom_core::store::{FunctionSupport, Store, Write};

use self::texts::{Texts, call, field};

/// Whatever type of number a function of the server's is declared with.
#[tokio::test]
async fn arguments_fit_the_functions_of_the_server() {
    let texts = Texts::new(support::options().all_functions()).await;
    assert_eq!(
        texts.store.capabilities().functions,
        FunctionSupport::Server
    );
    let body = r#"{"k":"Größe","n":9,"x":2.25,"at":1517966773840}"#;
    texts.save(Texts::put("a", body)).await.unwrap();
    texts.save(Texts::put("b", "{}")).await.unwrap();
    let rows: [(Call, Scalar); 10] = [
        (field(call("lower"), "k"), "größe".into()),
        (field(call("left"), "k").value(3), "Grö".into()),
        (field(call("length"), "k"), 5.into()),
        (field(call("length"), "k"), 5.0.into()),
        (field(call("sqrt"), "n"), 3.into()),
        (field(call("sqrt"), "x"), 1.5.into()),
        (field(call("mod"), "n").value(4), 1.into()),
        (field(call("to_hex"), "at"), "1616ddece50".into()),
        (field(call("starts_with"), "k").value("Gr"), true.into()),
        (
            call("power").value(0.5).call(call("abs").value(-2)),
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
    let unknown = Filter::call(field(call("no_such_function"), "k"));
    let refused = texts.count(unknown).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    assert!(refused.message().contains("no_such_function"), "{refused}");
    texts.done().await;
}

#[tokio::test]
async fn what_functions_make_is_written_or_refused() {
    let texts = Texts::new(
        support::options()
            .functions(["md5", "now", "sqrt", "ln"])
            .unwrap(),
    )
    .await;
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
    for (name, refused) in [
        // A moment is no value of a field.
        ("at", call("now")),
        // A text in a field of numbers.
        ("n", call("md5").value("x")),
        // The server refuses it.
        ("x", call("ln").value(0)),
        // Not a number.
        ("x", call("sqrt").call(call("ln").value(-1))),
    ] {
        let write = compute(Texts::put("b", "{}"), name, refused.clone());
        let error = texts.save(write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{refused:?}: {error:?}");
        assert_eq!(texts.body("b").await, None);
    }
    texts.done().await;
}
