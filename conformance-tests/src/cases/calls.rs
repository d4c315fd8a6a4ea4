//! Filters that call functions, and conditions in the engine's own language.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::Scalar;
use strongroom_core::query::{Call, Filter, Native};

use super::filters::{finds, named};
use super::queries::{Both, both};
use crate::context::{Context, not_granted};
use crate::failure::{Failure, Outcome, check, check_eq, refused};

async fn documents(cx: &Context) -> Outcome<Both> {
    let documents = named(&[
        (
            "a",
            json!({"k": "abc", "n": 3, "x": 1.5, "b": true, "o": {"n": 3}}),
        ),
        (
            "b",
            json!({"k": "ä🦀", "n": 2, "x": 2, "b": false, "o": {"n": 7, "k": "ä🦀"}}),
        ),
        ("c", json!({"k": "", "n": 0, "x": -0.0, "at": 0})),
        ("d", json!({"k": null, "n": null, "o": null})),
        ("e", json!({})),
        (
            "f",
            json!({"k": "it's 100%", "n": i64::MAX, "x": 1e300, "at": 1_517_966_773_840_i64}),
        ),
        (
            "g",
            json!({"k": "3", "n": 9_007_199_254_740_993_i64, "o": {"n": 9_007_199_254_740_993_i64}}),
        ),
    ])?;
    both(cx.docs().await?, &documents).await
}

pub(crate) async fn compare_what_functions_make(cx: &Context) -> Outcome {
    if !cx.calls_functions() {
        return not_granted("calls of functions in filters");
    }
    let both = documents(cx).await?;
    let of =
        |name: &str, field: &str| -> Outcome<Call> { Ok(Call::new(name)?.field(field.parse()?)) };
    let same = |field: &str, value: Scalar| -> Outcome<Filter> {
        Ok(Filter::call(of("suite_same", field)?.value(value)))
    };
    let length = of("suite_length", "k")?;
    let types = |fields: &[&str]| -> Outcome<Call> {
        let mut call = Call::new("suite_text")?;
        for field in fields {
            call = call.field(field.parse()?);
        }
        Ok(call)
    };
    let big = 9_007_199_254_740_993_i64;
    let rows: [(Filter, &[&str]); 17] = [
        (Filter::call_eq(length.clone(), 3), &["a"]),
        (Filter::call_eq(length.clone(), 2.0), &["b"]),
        (Filter::call_eq(length.clone(), 0), &["c"]),
        (Filter::call_eq(length.clone(), "3"), &[]),
        (Filter::call_eq(length.clone(), true), &[]),
        (same("k", "it's 100%".into())?, &["f"]),
        (same("n", Scalar::from(2.0))?, &["b"]),
        (same("n", big.into())?, &["g"]),
        (same("b", false.into())?, &["b"]),
        (same("at", Scalar::from(0))?, &["c"]),
        (same("x", Scalar::from(0))?, &["c"]),
        (
            Filter::call(of("suite_same", "n")?.field("o.n".parse()?)),
            &["a", "g"],
        ),
        (
            Filter::call(of("suite_same", "n")?.call(length.clone())),
            &["a", "b", "c"],
        ),
        (
            Filter::call_eq(Call::new("suite_half")?.call(of("suite_half", "x")?), 0.5),
            &["b"],
        ),
        (
            Filter::call_eq(types(&["k", "n", "b"])?, "text integer boolean"),
            &["a", "b"],
        ),
        (
            Filter::call_eq(types(&["k", "n"])?, "none none"),
            &["d", "e"],
        ),
        (
            Filter::call_eq(Call::new("suite_text")?, ""),
            &["a", "b", "c", "d", "e", "f", "g"],
        ),
    ];
    for (filter, expected) in rows {
        finds(&both, filter, expected).await?;
    }
    let beside = Filter::call_eq(length.clone(), 3).or(Filter::eq("n", 0)?);
    finds(&both, beside, &["a", "c"]).await?;
    let narrowed = (!Filter::call_eq(length, 3)).and(Filter::exists("b")?);
    finds(&both, narrowed, &["b"]).await
}

pub(crate) async fn functions_that_fail(cx: &Context) -> Outcome {
    if !cx.calls_functions() {
        return not_granted("calls of functions in filters");
    }
    let both = documents(cx).await?;
    let docs = &both.docs;
    let fails = Filter::call(Call::new("suite_fails")?.field("k".parse()?));
    let too_few = Filter::call(Call::new("suite_same")?.field("k".parse()?));
    for (filter, name) in [(fails, "suite_fails"), (too_few, "suite_same")] {
        let found = docs.find(docs.query(filter.clone())).await;
        let error = refused(found, ErrorKind::Invalid, "a function that fails")?;
        check!(
            error.message().contains(name),
            "the error does not name the function {name}: {error}"
        );
        let counted = docs.count(filter).await;
        refused(
            counted,
            ErrorKind::Invalid,
            "counting by a function that fails",
        )?;
    }
    // The store works on afterwards.
    finds(&both, Filter::eq("n", 3)?, &["a"]).await
}

pub(crate) async fn native_conditions(cx: &Context) -> Outcome {
    if !cx.capabilities().native_filters {
        return not_granted("conditions in the engine's own language");
    }
    let both = documents(cx).await?;
    let docs = &both.docs;
    for (field, value) in [
        ("k", Scalar::from("abc")),
        ("k", "it's 100%".into()),
        ("k", "ä🦀".into()),
        ("k", "abc' OR '1'='1".into()),
        ("n", 2.into()),
        ("n", i64::MAX.into()),
    ] {
        let path = field.parse()?;
        let Some(native) = cx.native(&path, &value) else {
            return Err(Failure::new(
                "native filters are granted, so Setup::native has to make a condition",
            ));
        };
        let Native { engine, .. } = &native;
        check_eq!(engine, cx.capabilities().engine, "the condition's engine");
        let native = Filter::Native(native);
        let plain = Filter::Eq { field: path, value };
        for (native, plain) in [
            (native.clone(), plain.clone()),
            (
                native.clone().and(Filter::exists("x")?),
                plain.clone().and(Filter::exists("x")?),
            ),
            (
                Filter::eq("n", 0)?.or(native),
                Filter::eq("n", 0)?.or(plain),
            ),
        ] {
            let expected = both.oracle.find_keys(plain.clone()).await?;
            let found = docs.find_keys(native.clone()).await?;
            check_eq!(found, expected, "what {native:?} finds, as {plain:?}");
            let count = docs.count(native.clone()).await?;
            check_eq!(count, expected.len() as u64, "the count of {native:?}");
        }
    }
    Ok(())
}
