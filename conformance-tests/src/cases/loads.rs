//! Loading by key: realtime, in order, whole or in parts, with versions and write ids.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::SourceFilter;
use strongroom_core::store::{LoadRequest, Write};

use crate::context::Context;
use crate::docs::{Docs, key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe};

pub(crate) async fn realtime_after_each_write(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    for n in 0..20 {
        let at = key(&format!("doc-{}", n % 3))?;
        let put = Write::put(at.clone(), Body::encode(&json!({"n": n}))?, Expected::Any);
        let id = put.write_id;
        let receipt = docs.save(put).await.during("putting")?;
        let version = version_of(&receipt, "putting")?;
        docs.expect(&at, &json!({"n": n}), version, Some(id))
            .await
            .during("right after a put")?;

        let patch = Write::patch(
            at.clone(),
            Patch::new().increment("n".parse()?, 1_000),
            version,
        );
        let id = patch.write_id;
        let receipt = docs.save(patch).await.during("patching")?;
        let version = version_of(&receipt, "patching")?;
        docs.expect(&at, &json!({"n": n + 1_000}), version, Some(id))
            .await
            .during("right after a patch")?;

        if n % 4 == 3 {
            docs.remove(&at, version).await?;
            docs.expect_absent(&at)
                .await
                .during("right after a delete")?;
        }
    }
    Ok(())
}

pub(crate) async fn order_duplicates_and_missing(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    for id in ["a", "b", "c"] {
        docs.create(&key(id)?, &json!({"id": id})).await?;
    }
    let ids = ["c", "none", "a", "a", "b", "gone", "c", "none"];
    let keys = ids
        .iter()
        .map(|id| key(id))
        .collect::<Outcome<Vec<Key>>>()?;
    let loaded = docs.load_many(&keys).await?;
    for (place, (id, document)) in ids.iter().zip(&loaded).enumerate() {
        let there = matches!(*id, "a" | "b" | "c");
        check_eq!(
            document.is_some(),
            there,
            "whether entry {place} of the load, for {id:?}, has a document"
        );
        if let Some(document) = document {
            check_eq!(
                value_of(document)?,
                json!({"id": id}),
                "the body of entry {place}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn many_keys(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let keys = (0..1_000)
        .map(|n| key(&format!("doc-{n}")))
        .collect::<Outcome<Vec<Key>>>()?;
    for at in keys.iter().step_by(20) {
        docs.create(at, &json!({"id": at.id().as_str()})).await?;
    }
    let loaded = docs.load_many(&keys).await?;
    for (n, (at, document)) in keys.iter().zip(&loaded).enumerate() {
        check_eq!(document.is_some(), n % 20 == 0, "whether {at} is there");
        if let Some(document) = document {
            check_eq!(
                value_of(document)?,
                json!({"id": at.id().as_str()}),
                "the body of {at}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn write_ids_and_ages(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let began = std::time::Instant::now();
    let mut version = docs.create(&at, &json!({"n": 0})).await?;
    for n in 1..4 {
        let write = Write::put(at.clone(), Body::encode(&json!({"n": n}))?, version);
        let id = write.write_id;
        version = version_of(&docs.save(write).await.during("replacing")?, "replacing")?;
        let found = docs
            .expect(&at, &json!({"n": n}), version, Some(id))
            .await?;
        if let Some(age) = found.age {
            // Clocks of two machines tick alike, but not to the millisecond.
            let most = began.elapsed() * 2 + std::time::Duration::from_millis(250);
            check!(
                age <= most,
                "the document is said to be {age:?} old, and the case began {most:?} ago at most"
            );
        }
        // A write that loses leaves the id of the one that won.
        docs.put(&at, &json!({"n": -1}), Expected::Absent)
            .await
            .err();
        docs.expect(&at, &json!({"n": n}), version, Some(id))
            .await?;
    }
    Ok(())
}

pub(crate) async fn never_ensured(cx: &Context) -> Outcome {
    let model = Model::builder(cx.name("never")).build()?;
    let docs = Docs::new(cx.store().clone(), model);
    let request = LoadRequest::new(docs.model().clone(), vec![key("a")?]);
    match docs.store().load(request).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(loaded) if loaded.len() == 1 && loaded[0].is_none() => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "loading from a collection that was never ensured: expected `not found` or nothing, found `{}`",
            describe(&error)
        ))),
        Ok(loaded) => Err(Failure::new(format!(
            "loading from a collection that was never ensured: expected `not found` or nothing, found {loaded:?}"
        ))),
    }
}

pub(crate) async fn source_include(cx: &Context) -> Outcome {
    let rows: [(&[&str], Value); 8] = [
        (&["k"], json!({"k": "v"})),
        (&["n", "k"], json!({"k": "v", "n": 1})),
        (
            &["o"],
            json!({"o": {"k": "in", "n": 2, "more": {"z": null}}}),
        ),
        (&["o.k"], json!({"o": {"k": "in"}})),
        (
            &["o.more.z", "o.n"],
            json!({"o": {"n": 2, "more": {"z": null}}}),
        ),
        (&["list.a"], json!({"list": [{"a": 1}, {"a": 3}]})),
        (&["none", "b"], json!({"b": true})),
        (&["o.none"], json!({"o": {}})),
    ];
    for (paths, expected) in rows {
        let paths = parse(paths)?;
        by_source(cx, SourceFilter::Include(paths), &expected, &["list", "o"]).await?;
    }
    Ok(())
}

pub(crate) async fn source_exclude(cx: &Context) -> Outcome {
    let mut without_k = whole();
    without_k.as_object_mut().map(|o| o.remove("k"));
    let mut without_inner = whole();
    if let Some(o) = without_inner["o"].as_object_mut() {
        o.remove("more");
        o.remove("k");
    }
    let mut without_a = whole();
    without_a["list"] = json!([{"b": 2}, {}]);
    let rows: [(&[&str], Value); 4] = [
        (&["k"], without_k),
        (&["o.more", "o.k"], without_inner),
        (&["list.a"], without_a),
        (&["none", "o.none", "k.none"], whole()),
    ];
    for (paths, expected) in rows {
        let paths = parse(paths)?;
        by_source(cx, SourceFilter::Exclude(paths), &expected, &[]).await?;
    }
    Ok(())
}

pub(crate) async fn source_patterns(cx: &Context) -> Outcome {
    let rows: [(&[&str], Value); 6] = [
        (&["*"], whole()),
        (
            &["o.*"],
            json!({"o": {"k": "in", "n": 2, "more": {"z": null}}}),
        ),
        (&["o.m*e"], json!({"o": {"more": {"z": null}}})),
        (&["unknown*"], json!({"unknown field": {"kept": [1, [2]]}})),
        (
            &["l*t.*", "none*"],
            json!({"list": [{"a": 1, "b": 2}, {"a": 3}]}),
        ),
        (&["*k"], json!({"k": "v"})),
    ];
    for (paths, expected) in rows {
        let source = SourceFilter::Include(parse(paths)?);
        by_source(cx, source, &expected, &["list", "o"]).await?;
    }
    let without = |names: &[&str]| {
        let mut body = whole();
        for name in names {
            body.as_object_mut().map(|o| o.remove(*name));
        }
        body
    };
    let mut bare = whole();
    bare["o"] = json!({});
    let rows: [(&[&str], Value); 4] = [
        (&["*"], json!({})),
        (&["o*", "k*"], without(&["o", "k"])),
        (&["o.*"], bare),
        (&["none*", "k.*"], whole()),
    ];
    for (paths, expected) in rows {
        let source = SourceFilter::Exclude(parse(paths)?);
        by_source(cx, source, &expected, &[]).await?;
    }
    Ok(())
}

fn whole() -> Value {
    json!({
        "k": "v", "n": 1, "b": true,
        "o": {"k": "in", "n": 2, "more": {"z": null}},
        "list": [{"a": 1, "b": 2}, {"a": 3}],
        "unknown field": {"kept": [1, [2]]},
    })
}

fn parse(paths: &[&str]) -> Outcome<Vec<strongroom_core::query::FieldPattern>> {
    paths
        .iter()
        .map(|path| path.parse().during(format_args!("parsing {path}")))
        .collect()
}

/// Engines differ in whether an object of which nothing was selected is left as `{}` or left out,
/// so for the fields named in `may_be_empty` both pass.
async fn by_source(
    cx: &Context,
    source: SourceFilter,
    expected: &Value,
    may_be_empty: &[&str],
) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let version = docs.create(&at, &whole()).await?;
    let request =
        LoadRequest::new(docs.model().clone(), vec![at.clone()]).with_source(source.clone());
    let mut loaded = docs
        .store()
        .load(request)
        .await
        .during(format_args!("loading {source:?}"))?;
    let mut query = docs.query(strongroom_core::query::Filter::all());
    query.source = source.clone();
    docs.refresh().await?;
    let mut page = docs.find(query).await.during("finding a part")?;
    for (how, found) in [
        ("load", loaded.pop().flatten()),
        ("find", page.documents.pop()),
    ] {
        let found = found.ok_or_else(|| Failure::new(format!("{how}: found no document")))?;
        check_eq!(found.version, version, "the version of a part, by {how}");
        check!(
            found.write_id.is_some() || how == "find",
            "a part loaded by {how} has no write id"
        );
        let mut value = value_of(&found)?;
        let mut wanted = expected.clone();
        for field in may_be_empty {
            for body in [&mut value, &mut wanted] {
                if body.get(field).is_some_and(|v| *v == json!({})) {
                    body.as_object_mut().map(|o| o.remove(*field));
                }
            }
        }
        check_eq!(value, wanted, "the part {source:?}, by {how}");
    }
    docs.expect(&at, &whole(), version, None)
        .await
        .during("the whole document after a part was loaded")?;
    Ok(())
}
