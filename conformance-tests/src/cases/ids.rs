//! Ids that mean something to paths, URLs, shells, query languages or collations. To a store they
//! are bytes.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Cursor, Filter};
use strongroom_core::store::{BulkItem, Write};

use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Outcome, check_eq, refused};

/// Ids of which any two that an engine might take for one another are both here.
pub(super) fn hostile() -> Vec<String> {
    let mut ids: Vec<String> = [
        ".",
        "..",
        "...",
        "/",
        "a/b",
        "a/../b",
        "../a",
        "a\\b",
        "*",
        "a*",
        "?",
        "a?b",
        "_all",
        "_doc",
        "_",
        "%",
        "%2e%2e",
        "%2F",
        "%00",
        "a,b",
        "a",
        "b",
        "A",
        "a ",
        " a",
        " ",
        "  ",
        "\t",
        "a\n",
        "\r\n",
        "'",
        "\"",
        "`",
        "''",
        "';drop table things;--",
        "'; drop table things; --",
        "\" or 1=1 --",
        "$1",
        ":id",
        "@id",
        "{}",
        "[]",
        "{\"id\":1}",
        "null",
        "true",
        "0",
        "00",
        "1",
        "1.0",
        "-1",
        "+1",
        "1e0",
        "NaN",
        "<script>",
        "&amp;",
        "&",
        "#",
        "a#b",
        "a;b",
        "a=b",
        "a:b",
        "~",
        "^",
        "|",
        "\\",
        "\\\\",
        "\\0",
        "\\u0000",
        "ß",
        "ss",
        "SS",
        "ẞ",
        "ı",
        "i",
        "I",
        "İ",
        "ä",
        "a\u{308}",
        "Å",
        "\u{212b}",
        "e\u{301}",
        "é",
        "ﬁ",
        "fi",
        "𝒜",
        "🦀",
        "👩\u{200d}👩\u{200d}👧",
        "👩",
        "\u{feff}a",
        "\u{200b}a",
        "a\u{200b}",
        "\u{202e}a",
        "\u{1}",
        "\u{7f}",
        "\u{80}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "日本語",
        "Ω",
        "\u{2126}",
        "strongroom",
        "id",
        "_id",
        "rowid",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    ids.push("x".repeat(512));
    ids.push("x".repeat(511));
    ids.push(format!("{}y", "x".repeat(511)));
    ids.push("é".repeat(256));
    ids.push("🦀".repeat(128));
    ids.push("/".repeat(512));
    ids
}

async fn all_there(docs: &Docs, keys: &[Key], but: &[&Key]) -> Outcome {
    for (at, found) in keys.iter().zip(docs.load_many(keys).await?) {
        let expected = (!but.contains(&at)).then(|| json!({"id": at.id().as_str()}));
        let found = found.map(|d| crate::docs::value_of(&d)).transpose()?;
        check_eq!(found, expected, "what is stored under the id {at}");
    }
    Ok(())
}

fn keys() -> Outcome<Vec<Key>> {
    hostile().iter().map(|id| key(id)).collect()
}

pub(crate) async fn are_stored_apart(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let keys = keys()?;
    for at in &keys {
        docs.create(at, &json!({"id": at.id().as_str()})).await?;
    }
    all_there(&docs, &keys, &[]).await?;
    for at in &keys {
        refused(
            docs.put(at, &json!({}), Expected::Absent).await,
            ErrorKind::AlreadyExists,
            format_args!("creating {at} twice"),
        )?;
    }
    all_there(&docs, &keys, &[]).await
}

pub(crate) async fn are_changed_and_deleted_apart(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let keys = keys()?;
    let items = keys
        .iter()
        .map(|at| {
            let body = Body::encode(&json!({"id": at.id().as_str()}))?;
            Ok(Write::put(at.clone(), body, Expected::Absent).into())
        })
        .collect::<Outcome<Vec<BulkItem>>>()?;
    let reply = docs.bulk(items).await.during("a bulk of hostile ids")?;
    for (at, outcome) in keys.iter().zip(reply.outcomes) {
        outcome.during(format_args!("creating {at} in a bulk"))?;
    }
    all_there(&docs, &keys, &[]).await?;
    for at in &keys {
        let receipt = docs
            .patch(at, Patch::new().set("n".parse()?, 1), Expected::Present)
            .await
            .during(format_args!("patching {at}"))?;
        let version = crate::docs::version_of(&receipt, "patching")?;
        let body = json!({"id": at.id().as_str(), "n": 1});
        docs.expect(at, &body, version, None).await?;
        docs.remove(at, version).await?;
        docs.expect_absent(at).await?;
        docs.create(at, &json!({"id": at.id().as_str()})).await?;
    }
    all_there(&docs, &keys, &[]).await?;
    // Deleting one takes no other with it.
    let (gone, kept) = keys.split_at(keys.len() / 2);
    for at in gone {
        docs.remove(at, Expected::Present).await?;
    }
    all_there(&docs, &keys, &gone.iter().collect::<Vec<_>>()).await?;
    docs.refresh().await?;
    let count = docs.count(Filter::all()).await.during("counting")?;
    check_eq!(count, kept.len() as u64, "documents left");
    Ok(())
}

pub(crate) async fn are_found_in_order_of_bytes(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let mut keys = keys()?;
    for at in &keys {
        docs.create(at, &json!({"id": at.id().as_str(), "n": 1}))
            .await?;
    }
    docs.refresh().await?;
    keys.sort_by(|a, b| a.id().as_str().as_bytes().cmp(b.id().as_str().as_bytes()));
    check_eq!(
        docs.find_keys(Filter::all()).await?,
        keys,
        "all ids in order of their bytes"
    );
    // Page by page, so that each id once stands in a cursor.
    let mut found = Vec::new();
    let mut request = docs.query(Filter::eq("n", 1)?);
    request.limit = 1;
    loop {
        let page = docs
            .find(request.clone())
            .await
            .during("finding a page of one")?;
        found.extend(page.documents.into_iter().map(|d| d.key));
        match page.next {
            Some(next) if found.len() <= keys.len() => {
                let text = next.to_string();
                let cursor = text
                    .parse::<Cursor>()
                    .during("reading a cursor from its text")?;
                request.start = Some(cursor).into();
            }
            _ => break,
        }
    }
    check_eq!(found, keys, "all ids, in pages of one");
    Ok(())
}
