//! What patches do to bodies.

use super::*;
use serde_json::json;

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

fn apply(patch: &Patch, body: &Value) -> Result<Value> {
    patch.apply(&Body::encode(body).unwrap())?.decode()
}

#[track_caller]
fn good(patch: &Patch, before: &Value, after: &Value) {
    assert_eq!(&apply(patch, before).unwrap(), after);
}

/// The patch is refused as invalid, and the message names this.
#[track_caller]
fn bad(patch: &Patch, before: &Value, named: &str) {
    let error = apply(patch, before).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.message().contains(named), "{error}");
}

fn patch() -> Patch {
    Patch::new()
}

#[test]
fn set() {
    let p = |value: Value| patch().set(path("a.b.c"), value);
    good(&p(json!(1)), &json!({}), &json!({"a":{"b":{"c":1}}}));
    good(
        &p(json!(null)),
        &json!({"a":{"b":{"c":1,"d":2}}}),
        &json!({"a":{"b":{"c":null,"d":2}}}),
    );
    good(
        &p(json!([])),
        &json!({"a":null}),
        &json!({"a":{"b":{"c":[]}}}),
    );
    for through in [json!(1), json!("x"), json!([]), json!([{}]), json!(false)] {
        bad(&p(json!(1)), &json!({"a":{"b":through}}), "field a.b.c");
    }
}

#[test]
fn unset() {
    let p = patch().unset(path("a.b"));
    good(&p, &json!({"a":{"b":1,"c":2}}), &json!({"a":{"c":2}}));
    good(&p, &json!({"a":{"b":null}}), &json!({"a":{}}));
    good(&p, &json!({"a":{}}), &json!({"a":{}}));
    good(&p, &json!({"a":null}), &json!({"a":null}));
    good(&p, &json!({}), &json!({}));
    bad(&p, &json!({"a":[{"b":1}]}), "field a.b");
}

#[test]
fn increment() {
    let p = |by: Value| patch().increment(path("a.n"), by);
    for (before, by, after) in [
        (json!({}), json!(2), json!({"a":{"n":2}})),
        (json!({"a":{"n":null}}), json!(-2), json!({"a":{"n":-2}})),
        (json!({"a":{"n":1}}), json!(2), json!({"a":{"n":3}})),
        (json!({"a":{"n":1}}), json!(0.5), json!({"a":{"n":1.5}})),
        (json!({"a":{"n":1.0}}), json!(2), json!({"a":{"n":3.0}})),
        (
            json!({"a":{"n":9_007_199_254_740_993_i64}}),
            json!(2),
            json!({"a":{"n":9_007_199_254_740_995_i64}}),
        ),
        (
            json!({"a":{"n":i64::MAX - 1}}),
            json!(1),
            json!({"a":{"n":i64::MAX}}),
        ),
        (
            json!({"a":{"n":i64::MIN}}),
            json!(0),
            json!({"a":{"n":i64::MIN}}),
        ),
    ] {
        good(&p(by), &before, &after);
    }
    for (n, by) in [
        (json!(i64::MAX), json!(1)),
        (json!(i64::MIN), json!(-1)),
        (json!(1), json!(u64::MAX)),
        (json!(f64::MAX), json!(f64::MAX)),
        (json!("1"), json!(1)),
        (json!([1]), json!(1)),
        (json!(true), json!(1)),
        (json!({}), json!(1)),
    ] {
        bad(&p(by), &json!({"a":{"n":n}}), "field a.n");
    }
}

#[test]
fn min_and_max() {
    let min = |value: Value| patch().min(path("n"), value);
    let max = |value: Value| patch().max(path("n"), value);
    good(&min(json!(1)), &json!({}), &json!({"n":1}));
    good(&max(json!("x")), &json!({"n":null}), &json!({"n":"x"}));
    good(&min(json!(1)), &json!({"n":2}), &json!({"n":1}));
    good(&min(json!(3)), &json!({"n":2}), &json!({"n":2}));
    good(&max(json!(1.5)), &json!({"n":1}), &json!({"n":1.5}));
    good(&max(json!("b")), &json!({"n":"a"}), &json!({"n":"b"}));
    good(&max(json!("Z")), &json!({"n":"a"}), &json!({"n":"a"}));
    // Equal numbers leave what is there, in the form that it has.
    good(&max(json!(1.0)), &json!({"n":1}), &json!({"n":1}));
    // Exactly: as floats the two would be equal.
    let big = 9_007_199_254_740_993_i64;
    good(
        &min(json!(9_007_199_254_740_992.0)),
        &json!({"n":big}),
        &json!({"n":9_007_199_254_740_992.0}),
    );
    bad(&min(json!(1)), &json!({"n":"1"}), "field n");
    bad(&min(json!("1")), &json!({"n":1}), "field n");
    bad(&max(json!(1)), &json!({"n":[2]}), "field n");
    bad(&max(json!(1)), &json!({"n":true}), "field n");
    bad(&max(json!(u64::MAX)), &json!({}), "field n");
}

#[test]
fn append_and_remove() {
    let append = patch().append(path("a.l"), [1, 2]);
    good(&append, &json!({}), &json!({"a":{"l":[1,2]}}));
    good(&append, &json!({"a":{"l":null}}), &json!({"a":{"l":[1,2]}}));
    good(
        &append,
        &json!({"a":{"l":[2]}}),
        &json!({"a":{"l":[2,1,2]}}),
    );
    bad(&append, &json!({"a":{"l":{}}}), "field a.l");
    let values = [json!(1), json!({"x":[2]}), json!(null)];
    let remove = patch().remove(path("a.l"), values);
    good(
        &remove,
        &json!({"a":{"l":[1, 1.0, 2, {"x":[2.0]}, {"x":[2],"y":0}, null, "1", true]}}),
        &json!({"a":{"l":[2, {"x":[2],"y":0}, "1", true]}}),
    );
    for untouched in [json!({}), json!({"a":null}), json!({"a":{"l":null}})] {
        good(&remove, &untouched, &untouched);
    }
    bad(&remove, &json!({"a":{"l":1}}), "field a.l");
    bad(&remove, &json!({"a":[{"l":[1]}]}), "field a.l");
}

#[test]
fn merging() {
    let object = json!({"x":1,"gone":null,"in":{"deep":null,"y":2}});
    let object = object.as_object().unwrap();
    let root = patch().merge(None, object.clone());
    good(
        &root,
        &json!({"gone":5,"in":{"deep":6,"z":7},"kept":8}),
        &json!({"x":1,"in":{"y":2,"z":7},"kept":8}),
    );
    let inner = patch().merge(Some(path("a.b")), object.clone());
    let merged = json!({"a":{"b":{"x":1,"in":{"y":2}}}});
    for before in [
        json!({}),
        json!({"a":null}),
        json!({"a":{"b":7}}),
        json!({"a":{"b":[1]}}),
        json!({"a":{"b":{"gone":1}}}),
    ] {
        good(&inner, &before, &merged);
    }
    bad(&inner, &json!({"a":7}), "field a.b");
}

#[test]
fn rename() {
    let p = patch().rename(path("a.b"), path("c.d"));
    good(&p, &json!({"a":{"b":1}}), &json!({"a":{},"c":{"d":1}}));
    good(
        &p,
        &json!({"a":{"b":null},"c":{"d":2}}),
        &json!({"a":{},"c":{"d":null}}),
    );
    for untouched in [json!({}), json!({"a":{}}), json!({"a":null,"c":1})] {
        good(&p, &untouched, &untouched);
    }
    bad(&p, &json!({"a":{"b":1},"c":1}), "field c.d");
    bad(&p, &json!({"a":1}), "field a.b");
    let same = patch().rename(path("a"), path("a"));
    good(&same, &json!({"a":1}), &json!({"a":1}));
}

#[test]
fn changes_are_applied_in_order() {
    let p = patch()
        .set(path("n"), 1)
        .increment(path("n"), 2)
        .rename(path("n"), path("m"))
        .append(path("l"), ["a"])
        .remove(path("l"), ["a"]);
    good(&p, &json!({"n":"x"}), &json!({"m":3,"l":[]}));
}

#[test]
fn limits_hold_for_the_outcome() {
    let mut deep = json!(1);
    for _ in 0..31 {
        deep = json!([deep]);
    }
    assert!(apply(&patch().set(path("a"), deep.clone()), &json!({})).is_ok());
    bad(&patch().set(path("a.b"), deep), &json!({}), "32");
    bad(&patch().set(path("a"), u64::MAX), &json!({}), "i64");
    let half = "x".repeat(crate::model::MAX_BODY_BYTES / 2);
    bad(
        &patch().set(path("a"), half.clone()),
        &json!({"b":half}),
        "16777216",
    );
    bad(&patch(), &json!({}), "no changes");
}
