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
}

mod properties {
    //! Laws that hold for every patch and every body.

    use super::*;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = String> {
        "[abc]"
    }

    fn paths() -> impl Strategy<Value = FieldPath> {
        "[abc](\\.[abc]){0,2}".prop_map(|p| path(&p))
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-4_i64..4).prop_map(Value::from),
            (-1e300..1e300_f64).prop_map(Value::from),
            "[a-c\u{e9}]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map(names(), inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::btree_map(names(), values(), 0..3)
            .prop_map(|members| members.into_iter().collect())
    }

    fn numbers() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            (-1e308..1e308_f64).prop_map(Value::from)
        ]
    }

    fn changes() -> impl Strategy<Value = Change> {
        let list = || proptest::collection::vec(values(), 0..3);
        prop_oneof![
            (paths(), values()).prop_map(|(p, v)| Change::Set(p, v)),
            paths().prop_map(Change::Unset),
            (paths(), numbers()).prop_map(|(p, v)| Change::Increment(p, v)),
            (paths(), numbers()).prop_map(|(p, v)| Change::Min(p, v)),
            (paths(), numbers()).prop_map(|(p, v)| Change::Max(p, v)),
            (paths(), list()).prop_map(|(p, v)| Change::Append(p, v)),
            (paths(), list()).prop_map(|(p, v)| Change::Remove(p, v)),
            (proptest::option::of(paths()), objects()).prop_map(|(p, o)| Change::Merge(p, o)),
            (paths(), paths()).prop_map(|(from, to)| Change::Rename(from, to)),
        ]
    }

    fn get<'v>(object: &'v Value, path: &FieldPath) -> Option<&'v Value> {
        path.segments().try_fold(object, |at, name| at.get(name))
    }

    proptest! {
        /// A patch is its changes one after another, and one that fails is the first one to fail.
        #[test]
        fn all_or_nothing_in_order(
            body in objects(),
            list in proptest::collection::vec(changes(), 1..5),
        ) {
            let whole = Value::Object(body);
            let together = list.iter().cloned().fold(patch(), Patch::with);
            let one_by_one = list
                .into_iter()
                .try_fold(whole.clone(), |at, change| apply(&patch().with(change), &at));
            match (apply(&together, &whole), one_by_one) {
                (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                (Err(a), Err(b)) => {
                    prop_assert_eq!(a.kind(), crate::ErrorKind::Invalid);
                    prop_assert_eq!(b.kind(), crate::ErrorKind::Invalid);
                }
                (a, b) => prop_assert!(false, "{:?} but one by one {:?}", a, b),
            }
        }

        #[test]
        fn what_was_set_is_there(body in objects(), at in paths(), value in values()) {
            if let Ok(after) = apply(&patch().set(at.clone(), value.clone()), &json!(body)) {
                prop_assert_eq!(get(&after, &at), Some(&value));
            }
        }

        #[test]
        fn what_was_unset_is_gone(body in objects(), at in paths()) {
            let unset = patch().unset(at.clone());
            if let Ok(after) = apply(&unset, &json!(body)) {
                prop_assert_eq!(get(&after, &at), None);
                prop_assert_eq!(&apply(&unset, &after).unwrap(), &after);
            }
        }

        #[test]
        fn merging_twice_is_merging_once(body in objects(), object in objects()) {
            let merge = patch().merge(None, object);
            let once = apply(&merge, &json!(body)).unwrap();
            prop_assert_eq!(apply(&merge, &once).unwrap(), once);
        }

        #[test]
        fn integers_add_exactly(a in any::<i64>(), b in any::<i64>()) {
            let sum = apply(&patch().increment(path("n"), b), &json!({"n":a}));
            match a.checked_add(b) {
                Some(sum_of_both) => prop_assert_eq!(sum.unwrap(), json!({"n":sum_of_both})),
                None => prop_assert!(sum.unwrap_err().message().contains("field n")),
            }
        }

        #[test]
        fn min_and_max_bound_the_value(a in numbers(), b in numbers()) {
            let number = |v: &Value| Scalar::from_json(v).unwrap();
            let body = json!({"n":a});
            let least = apply(&patch().min(path("n"), b.clone()), &body).unwrap();
            let greatest = apply(&patch().max(path("n"), b.clone()), &body).unwrap();
            for value in [&a, &b] {
                prop_assert!(number(&least["n"]).compare(&number(value)).unwrap().is_le());
                prop_assert!(number(&greatest["n"]).compare(&number(value)).unwrap().is_ge());
            }
        }

        #[test]
        fn appended_and_removed(body in objects(), at in paths(), added in values()) {
            let one = || [added.clone()];
            if let Ok(after) = apply(&patch().append(at.clone(), one()), &json!(body)) {
                prop_assert_eq!(get(&after, &at).unwrap().as_array().unwrap().last(), Some(&added));
                let without = apply(&patch().remove(at.clone(), one()), &after).unwrap();
                let left = get(&without, &at).unwrap().as_array().unwrap();
                prop_assert!(!left.contains(&added));
            }
        }
    }
}
