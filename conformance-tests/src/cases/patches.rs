//! Patches by an adapter mean what `Patch::apply` means.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected};
use strongroom_core::patch::Patch;
use strongroom_core::store::Write;

use crate::context::Context;
use crate::docs::{Docs, key, version_of};
use crate::failure::{During, Outcome, check_eq, refused};

fn body() -> Value {
    json!({
        "n": 5, "x": 1.5, "k": "text", "b": true, "nothing": null,
        "big": i64::MAX, "small": i64::MIN,
        "tags": ["a", "b", "a"], "empty": [],
        "o": {"k": "in", "n": 1, "deep": {"er": {"n": 1}}},
        "it's \"quoted\"": 1, "größe": 1, "$where": {"a;b": 1},
        "list": [{"a": 1}, 2, "three", null, {"a": 1}],
    })
}

/// Applies each patch to the same document, in the store and by `Patch::apply`.
async fn agree(cx: &Context, patches: Vec<Patch>) -> Outcome {
    let docs = cx.docs().await?;
    for (place, patch) in patches.into_iter().enumerate() {
        one(&docs, &format!("p{place}"), &body(), patch.clone())
            .await
            .during(format_args!("{patch:?}"))?;
    }
    Ok(())
}

/// Checks that the store and `Patch::apply` agree on one patch of one body.
pub(super) async fn one(docs: &Docs, id: &str, body: &Value, patch: Patch) -> Outcome {
    let at = key(id)?;
    let before = Write::put(at.clone(), Body::encode(body)?, Expected::Any);
    let before_id = before.write_id;
    let receipt = docs.save(before).await.during("putting the document")?;
    let version = version_of(&receipt, "putting the document")?;
    let write = Write::patch(at.clone(), patch.clone(), version);
    let id = write.write_id;
    match patch.apply(&Body::encode(body)?) {
        Ok(after) => {
            let receipt = docs.save(write).await.during("patching")?;
            let new = version_of(&receipt, "patching")?;
            docs.expect(&at, &after.decode::<Value>()?, new, Some(id))
                .await?;
        }
        Err(error) => {
            refused(
                docs.save(write).await,
                error.kind(),
                "a patch that does not apply",
            )?;
            docs.expect(&at, body, version, Some(before_id)).await?;
        }
    }
    Ok(())
}

pub(crate) async fn set_and_unset(cx: &Context) -> Outcome {
    let set =
        |path: &str, value: Value| -> Outcome<Patch> { Ok(Patch::new().set(path.parse()?, value)) };
    let unset = |path: &str| -> Outcome<Patch> { Ok(Patch::new().unset(path.parse()?)) };
    agree(
        cx,
        vec![
            set("n", json!(6))?,
            set("new", json!({"a": [1, {"b": null}]}))?,
            set("o.k", json!(null))?,
            set("o.deep.er.n", json!("text"))?,
            set("made.on.the.way", json!(1))?,
            set("größe", json!("ä"))?,
            set("it's 'new'", json!(1))?,
            set("$where.a;b", json!(2))?,
            set("tags", json!([]))?,
            set("k.under.text", json!(1))?,
            set("list.a", json!(1))?,
            set("nothing.under", json!(1))?,
            set("x", json!(1e300))?,
            set("n", json!(i64::MIN))?,
            unset("k")?,
            unset("o.k")?,
            unset("o.deep")?,
            unset("none")?,
            unset("o.none.deeper")?,
            unset("k.under.text")?,
            unset("list.a")?,
            unset("$where.a;b")?,
        ],
    )
    .await
}

pub(crate) async fn increment(cx: &Context) -> Outcome {
    let add =
        |path: &str, by: Value| -> Outcome<Patch> { Ok(Patch::new().increment(path.parse()?, by)) };
    agree(
        cx,
        vec![
            add("n", json!(1))?,
            add("n", json!(-7))?,
            add("n", json!(0.5))?,
            add("x", json!(1))?,
            add("x", json!(-1.5))?,
            add("missing", json!(3))?,
            add("nothing", json!(3))?,
            add("o.deep.er.n", json!(41))?,
            add("o.new.n", json!(1))?,
            add("big", json!(0))?,
            add("big", json!(-1))?,
            add("small", json!(1))?,
            add("n", json!(9_007_199_254_740_993_i64))?,
            add("k", json!(1))?,
            add("b", json!(1))?,
            add("tags", json!(1))?,
            add("o", json!(1))?,
        ],
    )
    .await
}

pub(crate) async fn overflow_is_invalid(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let version = docs.create(&at, &body()).await?;
    for (path, by) in [
        ("big", 1),
        ("small", -1),
        ("big", i64::MAX),
        ("small", i64::MIN),
    ] {
        let patch = Patch::new()
            .set("k".parse()?, "changed")
            .increment(path.parse()?, by);
        refused(
            docs.patch(&at, patch, version).await,
            ErrorKind::Invalid,
            format_args!("adding {by} to {path}"),
        )?;
        docs.expect(&at, &body(), version, None).await?;
    }
    Ok(())
}

pub(crate) async fn min_and_max(cx: &Context) -> Outcome {
    let mut patches = Vec::new();
    for path in [
        "n", "x", "k", "b", "big", "missing", "nothing", "o.n", "tags", "o",
    ] {
        for value in [
            json!(3),
            json!(5),
            json!(7),
            json!(1.5),
            json!(-2.5),
            json!("sea"),
            json!("z"),
            json!(9_007_199_254_740_993_i64),
        ] {
            patches.push(Patch::new().min(path.parse()?, value.clone()));
            patches.push(Patch::new().max(path.parse()?, value));
        }
    }
    agree(cx, patches).await
}

pub(crate) async fn append_and_remove(cx: &Context) -> Outcome {
    let mut patches = Vec::new();
    for path in [
        "tags", "empty", "missing", "nothing", "list", "o.tags", "k", "n", "o",
    ] {
        let values = [
            vec![json!("a")],
            vec![json!("a"), json!("c"), json!("a")],
            vec![json!({"a": 1})],
            vec![json!(2), json!(null), json!(2.0)],
            vec![],
        ];
        for values in values {
            patches.push(Patch::new().append(path.parse()?, values.clone()));
            patches.push(Patch::new().remove(path.parse()?, values));
        }
    }
    agree(cx, patches).await
}

pub(crate) async fn merge(cx: &Context) -> Outcome {
    let merges = [
        (
            None,
            json!({"n": 6, "o": {"k": null, "new": {"a": 1}}, "tags": ["x"]}),
        ),
        (None, json!({"k": null, "none": null})),
        (None, json!({"k": {"now": "an object", "without": null}})),
        (None, json!({})),
        (Some("o"), json!({"k": null, "deep": {"er": {"m": 2}}})),
        (Some("o.deep"), json!({"er": null})),
        (Some("made.here"), json!({"a": {"b": null, "c": 1}})),
        (Some("nothing"), json!({"a": 1})),
        (Some("k"), json!({"a": 1})),
        (Some("tags"), json!({"a": 1})),
    ];
    let mut patches = Vec::new();
    for (path, object) in merges {
        let path = path.map(str::parse).transpose()?;
        let object = object.as_object().cloned().unwrap_or_default();
        patches.push(Patch::new().merge(path, object));
    }
    agree(cx, patches).await
}

pub(crate) async fn rename(cx: &Context) -> Outcome {
    let mut patches = Vec::new();
    for (from, to) in [
        ("n", "m"),
        ("n", "k"),
        ("n", "n"),
        ("none", "k"),
        ("o.deep.er", "er"),
        ("k", "o.deep.k"),
        ("k", "new.place"),
        ("k", "n.under"),
        ("o", "p"),
        ("größe", "it's here"),
    ] {
        patches.push(Patch::new().rename(from.parse()?, to.parse()?));
    }
    agree(cx, patches).await
}

pub(crate) async fn several_in_order_or_none(cx: &Context) -> Outcome {
    let patches = vec![
        Patch::new()
            .set("n".parse()?, 1)
            .increment("n".parse()?, 1)
            .rename("n".parse()?, "m".parse()?)
            .max("m".parse()?, 40)
            .increment("m".parse()?, 2),
        Patch::new()
            .append("tags".parse()?, ["c"])
            .remove("tags".parse()?, ["a"])
            .append("tags".parse()?, ["a"]),
        Patch::new()
            .unset("o".parse()?)
            .set("o.k".parse()?, "again"),
        // The last change does not apply, so none does.
        Patch::new()
            .set("n".parse()?, 1)
            .unset("o".parse()?)
            .append("k".parse()?, [1]),
    ];
    agree(cx, patches).await
}

pub(crate) async fn unguarded_patches_all_count(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({"n": 0, "tags": []})).await?;
    let tasks = cx.scale().tasks;
    let mut running = Vec::new();
    for n in 0..tasks {
        let (docs, at) = (docs.clone(), at.clone());
        let patch = Patch::new()
            .increment("n".parse()?, 1)
            .append("tags".parse()?, [format!("t{n}")]);
        running.push(tokio::spawn(async move {
            docs.patch(&at, patch, Expected::Present).await
        }));
    }
    let mut versions = Vec::new();
    for task in running {
        let result = task
            .await
            .map_err(|e| crate::Failure::new(format!("a task ended: {e}")))?;
        match result {
            Ok(receipt) => versions.push(version_of(&receipt, "patching")?),
            // An engine without native patches may give up after bounded attempts; it says so.
            Err(error) if error.kind() == ErrorKind::Contended => {}
            Err(error) => return Err(crate::Failure::from(error).during("patching at once")),
        }
    }
    let found = docs.present(&at).await?;
    let value = crate::docs::value_of(&found)?;
    check_eq!(
        value["n"],
        json!(versions.len()),
        "the sum of all patches that succeeded"
    );
    check_eq!(
        value["tags"].as_array().map(Vec::len),
        Some(versions.len()),
        "how many patches left their tag"
    );
    versions.sort_by_key(ToString::to_string);
    versions.dedup();
    check_eq!(
        json!(versions.len()),
        value["n"],
        "how many different versions were given out"
    );
    Ok(())
}
