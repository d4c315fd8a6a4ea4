//! Fields that functions make while documents are written.

use serde_json::{Value, json};
use strongroom_core::model::{Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Call, Filter};
use strongroom_core::store::{BulkItem, Effect, FunctionSupport, Receipt, Write};
use strongroom_core::{ErrorKind, Result};

use super::transactions::{begin, inside};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Outcome, check, check_eq, refused};

fn granted(cx: &Context) -> Outcome<bool> {
    if !cx.calls_functions() {
        not_granted("functions in what is written")?;
    }
    Ok(cx.calls_functions())
}

fn put(at: &Key, body: Value, expected: impl Into<Expected>) -> Outcome<Write> {
    let body = serde_json::from_value(body).map(|body: serde_json::Map<_, _>| body);
    let body = body.map_err(|e| crate::failure::Failure::new(e.to_string()))?;
    let body = strongroom_core::model::Body::encode(&body)?;
    Ok(Write::put(at.clone(), body, expected))
}

/// The length of `k` goes to `n`.
fn counting(write: Write) -> Outcome<Write> {
    let call = Call::new("suite_length")?.field("k".parse()?);
    Ok(write.compute("n".parse()?, call))
}

fn made(receipt: &Receipt) -> Vec<(&str, &Value)> {
    let made = receipt.made.iter();
    made.map(|(field, value)| (field.as_str(), value)).collect()
}

async fn expect(docs: &Docs, at: &Key, body: Value) -> Outcome {
    let stored = docs.present(at).await?;
    check_eq!(value_of(&stored)?, body, "the document {at}");
    Ok(())
}

pub(crate) async fn see_the_document_as_it_is_written(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let at = key("a")?;
    let write = counting(put(
        &at,
        json!({"k": "äb🦀", "n": 9, "x": 1.5}),
        Expected::Absent,
    )?)?;
    let receipt = docs.save(write).await.during("a put that computes")?;
    check_eq!(receipt.effect, Effect::Created, "the effect of the put");
    check_eq!(made(&receipt), [("n", &json!(3))], "what the put made");
    expect(&docs, &at, json!({"k": "äb🦀", "n": 3, "x": 1.5})).await?;

    // Fields that are computed see the other changes, and not one another.
    let patch = Patch::new().set("k".parse()?, "four");
    let write = counting(Write::patch(at.clone(), patch, Expected::Present))?;
    let write = write.compute("x".parse()?, Call::new("suite_half")?.field("n".parse()?));
    let receipt = docs.save(write).await.during("a patch that computes")?;
    check_eq!(
        made(&receipt),
        [("n", &json!(4)), ("x", &json!(1.5))],
        "what the patch made"
    );
    expect(&docs, &at, json!({"k": "four", "n": 4, "x": 1.5})).await?;

    // A patch may do nothing else, and a field may get nothing.
    let write = Write::patch(at.clone(), Patch::new(), docs.present(&at).await?.version);
    let nothing = Call::new("suite_half")?.value("text");
    let write = write.compute("o.n".parse()?, nothing);
    let receipt = docs.save(write).await.during("a patch of nothing else")?;
    check_eq!(made(&receipt), [("o.n", &Value::Null)], "what was made");
    expect(
        &docs,
        &at,
        json!({"k": "four", "n": 4, "x": 1.5, "o": {"n": null}}),
    )
    .await?;
    let found = docs.count(Filter::eq("n", 4)?).await;
    docs.refresh().await?;
    let after = docs.count(Filter::eq("n", 4)?).await;
    check_eq!(
        found.and(after).during("counting what was made")?,
        1,
        "documents found by what was made"
    );
    Ok(())
}

pub(crate) async fn keep_the_guard(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let at = key("a")?;
    let old = docs.create(&at, &json!({"k": "one"})).await?;
    docs.replace(&at, &json!({"k": "two"}), old).await?;
    let stale = counting(put(&at, json!({"k": "three"}), old)?)?;
    refused(docs.save(stale).await, ErrorKind::Conflict, "a stale put")?;
    let there = counting(put(&at, json!({"k": "three"}), Expected::Absent)?)?;
    refused(docs.save(there).await, ErrorKind::AlreadyExists, "a create")?;
    let stale = Write::patch(at.clone(), Patch::new(), old);
    refused(
        docs.save(counting(stale)?).await,
        ErrorKind::Conflict,
        "a stale patch",
    )?;
    expect(&docs, &at, json!({"k": "two"})).await
}

pub(crate) async fn that_fail_write_nothing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({"k": "one", "n": 1})).await?;
    let failing = |write: Write, field: &str, call: Call| -> Outcome<Write> {
        Ok(write.compute(field.parse()?, call))
    };
    let fails = || Call::new("suite_fails");
    let patch = || Write::patch(at.clone(), Patch::new(), Expected::Any);
    for (write, says) in [
        (
            failing(put(&at, json!({"k": "two"}), Expected::Any)?, "n", fails()?)?,
            "suite_fails",
        ),
        (failing(patch(), "n", fails()?)?, "suite_fails"),
        (
            failing(patch(), "n", fails()?.field("k".parse()?))?,
            "suite_fails",
        ),
        // A text for a number.
        (
            failing(patch(), "n", Call::new("suite_text")?)?,
            "suite_text",
        ),
        // Beneath something that is no object.
        (
            failing(patch(), "o.n", Call::new("suite_length")?.value("x"))?,
            "o.n",
        ),
    ] {
        let saved: Result<Receipt> = match says {
            "o.n" => {
                let odd = json!({"k": "one", "n": 1, "o": 7});
                let odd = docs.put(&at, &odd, Expected::Any).await;
                odd.during("a body with a number for an object")?;
                docs.save(write.clone()).await
            }
            _ => docs.save(write.clone()).await,
        };
        let error = refused(saved, ErrorKind::Invalid, "a write whose function fails")?;
        let mut there = json!({"k": "one", "n": 1});
        if says == "o.n" {
            there["o"] = json!(7);
        }
        expect(&docs, &at, there.clone()).await?;
        check!(error.message().contains(says), "no {says} in {error}");
        let other = key("b")?;
        let items = vec![
            BulkItem::Write(write),
            BulkItem::Write(counting(put(
                &other,
                json!({"k": "other"}),
                Expected::Any,
            )?)?),
        ];
        let reply = docs.bulk(items).await.during("a bulk of both")?;
        let kinds = reply
            .outcomes
            .iter()
            .map(|o| o.as_ref().err().map(|e| e.kind()));
        check_eq!(
            kinds.collect::<Vec<_>>(),
            [Some(ErrorKind::Invalid), None],
            "the outcomes of a bulk of both"
        );
        expect(&docs, &other, json!({"k": "other", "n": 5})).await?;
        expect(&docs, &at, there).await?;
    }
    Ok(())
}

pub(crate) async fn belong_to_their_transaction(cx: &Context) -> Outcome {
    let (true, Some(transact)) = (granted(cx)?, cx.store().transact()) else {
        return not_granted("functions in the writes of transactions");
    };
    let docs = cx.docs().await?;
    let at = key("a")?;
    let tx = begin(&transact).await?;
    let within = inside(&docs, &tx);
    let write = counting(put(&at, json!({"k": "abc"}), Expected::Absent)?)?;
    let receipt = within.save(write).await.during("a put that computes")?;
    check_eq!(made(&receipt), [("n", &json!(3))], "what the put made");
    expect(&within, &at, json!({"k": "abc", "n": 3})).await?;
    tx.rollback().await.during("rolling back")?;
    docs.expect_absent(&at).await
}

pub(crate) async fn without_the_function_are_refused(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let docs = cx.checked(&docs);
    let at = key("a")?;
    if matches!(cx.capabilities().functions, FunctionSupport::Server) {
        return not_granted("a list of functions");
    }
    let write = put(&at, json!({"k": "a"}), Expected::Any)?;
    let write = write.compute("n".parse()?, Call::new("no_such_function")?);
    let error = refused(
        docs.save(write.clone()).await,
        ErrorKind::Unsupported,
        "a write by a function that is not there",
    )?;
    check!(
        error.message().contains("no_such_function"),
        "the error does not name the function: {error}"
    );
    let bulk = docs.bulk(vec![BulkItem::Write(write)]).await;
    refused(bulk, ErrorKind::Unsupported, "a bulk by such a function")?;
    docs.expect_absent(&at).await
}
