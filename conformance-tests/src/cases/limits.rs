//! Limits: what is just allowed works, and one more is refused as `Invalid`, with nothing done.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, MAX_DEPTH, MAX_KEYWORD_BYTES};
use strongroom_core::query::{Filter, Sort};
use strongroom_core::store::{BulkItem, LoadRequest, MAX_PAGE, Write};

use crate::context::Context;
use crate::docs::{key, version_of};
use crate::failure::{During, Outcome, check, check_eq, refused};

pub(crate) async fn keys(cx: &Context) -> Outcome {
    refused(Key::new(""), ErrorKind::Invalid, "an empty id")?;
    refused(
        Key::new("x".repeat(513)),
        ErrorKind::Invalid,
        "an id of 513 bytes",
    )?;
    refused(Key::new("a\0"), ErrorKind::Invalid, "an id with a NUL")?;
    refused(
        Key::routed("r".repeat(254), "i".repeat(255)),
        ErrorKind::Invalid,
        "routing and id of 509 bytes",
    )?;
    let docs = cx.routed_docs().await?;
    for (routing, id) in [
        ("r".repeat(254), "i".repeat(254)),
        ("r".repeat(507), "i".into()),
        ("r".into(), "🦀".repeat(126)),
    ] {
        let at = Key::routed(&routing, &id).during("the longest routed key")?;
        let version = docs.create(&at, &json!({"n": 1})).await?;
        docs.expect(&at, &json!({"n": 1}), version, None).await?;
        docs.refresh().await?;
        let mut request = docs.query(Filter::all());
        request.routing = at.routing().cloned();
        let page = docs
            .find(request)
            .await
            .during("finding within the longest routing")?;
        check_eq!(page.documents.len(), 1, "documents within the routing");
    }
    Ok(())
}

pub(crate) async fn bodies(cx: &Context) -> Outcome {
    let docs = cx.checked(&cx.docs().await?);
    // Engines keep less than the family allows; a limit beyond a few megabytes is taken at its word.
    let most = cx.capabilities().max_body_bytes.min(4 << 20);
    let at = key("large")?;
    let sized = |bytes: usize| Body::parse(format!(r#"{{"v":"{}"}}"#, "x".repeat(bytes - 8)));
    let body = sized(most)?;
    check_eq!(body.len(), most, "the size of the body");
    let receipt = docs
        .save(Write::put(at.clone(), body.clone(), Expected::Absent))
        .await
        .during(format_args!("a body of {most} bytes"))?;
    let version = version_of(&receipt, "a large body")?;
    let found = docs.present(&at).await?;
    check!(
        found.body.same_value(&body),
        "the large body came back as another value"
    );
    if most == cx.capabilities().max_body_bytes {
        let too_large = Write::put(at.clone(), sized(most + 1)?, version);
        refused(
            docs.save(too_large).await,
            ErrorKind::Invalid,
            format_args!("a body of {} bytes", most + 1),
        )?;
        check_eq!(
            docs.present(&at).await?.version,
            version,
            "the version after the refusal"
        );
    }
    Ok(())
}

pub(crate) async fn loads_and_bulks(cx: &Context) -> Outcome {
    let docs = cx.checked(&cx.docs().await?);
    let (keys, items) = (
        cx.capabilities().max_load_keys,
        cx.capabilities().max_bulk_items,
    );
    check!(
        keys > 0 && items > 0,
        "a store that loads or writes nothing: {keys} {items}"
    );
    let names = |n: usize| {
        (0..n)
            .map(|i| key(&format!("k{i}")))
            .collect::<Outcome<Vec<Key>>>()
    };
    let load = |n: usize| -> Outcome<LoadRequest> {
        Ok(LoadRequest::new(docs.model().clone(), names(n)?))
    };
    let loaded = docs.store().load(load(keys)?).await;
    let loaded = loaded.during(format_args!("loading {keys} keys"))?;
    check_eq!(loaded.len(), keys, "entries of the largest load");
    refused(
        docs.store().load(load(keys + 1)?).await,
        ErrorKind::Invalid,
        format_args!("loading {} keys", keys + 1),
    )?;
    // Checks are items like any other, and cost the least.
    let bulk = |n: usize| -> Outcome<Vec<BulkItem>> {
        let check = |key| BulkItem::Check {
            key,
            expected: Expected::Absent,
        };
        Ok(names(n)?.into_iter().map(check).collect())
    };
    let reply = docs.bulk(bulk(items)?).await;
    let reply = reply.during(format_args!("a bulk of {items} items"))?;
    check_eq!(reply.outcomes.len(), items, "outcomes of the largest bulk");
    check!(reply.is_ok(), "a check of the largest bulk failed");
    refused(
        docs.bulk(bulk(items + 1)?).await,
        ErrorKind::Invalid,
        format_args!("a bulk of {} items", items + 1),
    )?;
    Ok(())
}

pub(crate) async fn pages(cx: &Context) -> Outcome {
    let docs = cx.checked(&cx.docs().await?);
    for n in 0..3 {
        docs.create(&key(&format!("d{n}"))?, &json!({"n": n}))
            .await?;
    }
    docs.refresh().await?;
    let page = |limit: usize, offset: usize| {
        let mut request = docs.query(Filter::all());
        (request.limit, request.offset) = (limit, offset);
        request
    };
    for (limit, offset, found) in [
        (1, 0, 1),
        (2, 1, 2),
        (MAX_PAGE, 0, 3),
        (MAX_PAGE - 2, 2, 1),
        (1, MAX_PAGE - 1, 0),
        (5, 3, 0),
    ] {
        let what = format!("a page of {limit} from {offset}");
        let page = docs.find(page(limit, offset)).await.during(&what)?;
        check_eq!(page.documents.len(), found, "documents of {what}");
    }
    for (limit, offset) in [
        (0, 0),
        (MAX_PAGE + 1, 0),
        (1, MAX_PAGE),
        (MAX_PAGE, 1),
        (1, usize::MAX),
    ] {
        refused(
            docs.find(page(limit, offset)).await,
            ErrorKind::Invalid,
            format_args!("a page of {limit} from {offset}"),
        )?;
    }
    let first = docs.find(page(1, 0)).await.during("the first page")?;
    let mut both = page(1, 1);
    both.start = first.next.into();
    check!(
        both.start.cursor().is_some(),
        "a page of one of three has no next page"
    );
    refused(
        docs.find(both).await,
        ErrorKind::Invalid,
        "a page with cursor and offset",
    )?;
    Ok(())
}

pub(crate) async fn filters_and_sorts(cx: &Context) -> Outcome {
    let docs = cx.checked(&cx.docs().await?);
    let at = key("a")?;
    let long = "k".repeat(MAX_KEYWORD_BYTES);
    docs.create(&at, &json!({"k": long, "n": 1})).await?;
    docs.refresh().await?;
    let mut deep = Filter::eq("n", 1)?;
    for _ in 1..MAX_DEPTH {
        deep = Filter::Not(Box::new(deep));
    }
    // 31 negations are an odd number, so the deepest filter is the complement.
    check_eq!(
        docs.find_keys(deep.clone()).await?,
        [],
        "what the deepest filter finds"
    );
    let too_deep = Filter::Not(Box::new(deep));
    refused(
        docs.count(too_deep).await,
        ErrorKind::Invalid,
        "a filter of 33 levels",
    )?;

    let many = |n: usize| Filter::is_in("n", (0..n).map(|i| i as i64 - 5));
    check_eq!(
        docs.find_keys(many(1_000)?).await?,
        [at.clone()],
        "what a list of 1000 finds"
    );
    refused(
        docs.count(many(1_001)?).await,
        ErrorKind::Invalid,
        "a list of 1001 values",
    )?;

    let wide = |n: usize| -> Outcome<Filter> {
        let any = (0..n)
            .map(|i| Filter::eq("n", i as i64))
            .collect::<Result<_, _>>()?;
        Ok(Filter::Or(any))
    };
    check_eq!(
        docs.find_keys(wide(999)?).await?,
        [at.clone()],
        "what a filter of 1000 nodes finds"
    );
    refused(
        docs.count(wide(1_000)?).await,
        ErrorKind::Invalid,
        "a filter of 1001 nodes",
    )?;

    let found = docs.find_keys(Filter::eq("k", long.as_str())?).await?;
    check_eq!(found, [at.clone()], "what the longest keyword finds");
    let longer = Filter::eq("k", format!("{long}k"))?;
    refused(
        docs.count(longer).await,
        ErrorKind::Invalid,
        "a keyword of 1025 bytes",
    )?;

    let mut request = docs.query(Filter::all());
    request.sort = vec![Sort::ascending("n".parse()?); 8];
    let page = docs
        .find(request.clone())
        .await
        .during("a query of 8 sort keys")?;
    check_eq!(
        page.documents.len(),
        1,
        "documents of a query of 8 sort keys"
    );
    request.sort.push(Sort::ascending("k".parse()?));
    refused(
        docs.find(request).await,
        ErrorKind::Invalid,
        "a query of 9 sort keys",
    )?;
    Ok(())
}

pub(crate) async fn undeclared_fields_are_refused(cx: &Context) -> Outcome {
    let docs = cx.checked(&cx.docs().await?);
    docs.create(&key("a")?, &json!({"undeclared": 1, "k": "v"}))
        .await?;
    docs.refresh().await?;
    let filters = [
        Filter::eq("undeclared", 1)?,
        !Filter::exists("undeclared")?,
        Filter::eq("k", "v")?.and(Filter::gt("o.undeclared", 1)?),
        Filter::eq("k", 1)?,
        Filter::prefix("n", "1")?,
        Filter::eq("n", f64::INFINITY)?,
    ];
    for filter in filters {
        let what = format!("{filter:?}");
        refused(docs.count(filter.clone()).await, ErrorKind::Invalid, &what)?;
        refused(
            docs.find(docs.query(filter)).await,
            ErrorKind::Invalid,
            &what,
        )?;
    }
    let mut request = docs.query(Filter::all());
    request.sort = vec![Sort::descending("undeclared".parse()?)];
    let error = refused(
        docs.find(request).await,
        ErrorKind::Invalid,
        "sorting by an undeclared field",
    )?;
    check!(
        error.message().contains("undeclared"),
        "the refusal `{error}` does not name the field"
    );
    Ok(())
}
