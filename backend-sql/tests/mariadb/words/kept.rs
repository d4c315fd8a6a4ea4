//! Whatever is written, the index holds the words of the documents that are there.

use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Words};
use strongroom_core::store::{
    BeginOptions, Bulk, BulkItem, BulkRequest, CountRequest, Isolation, Load, LoadRequest,
    MatchingAction, MatchingRequest, Save, SaveRequest, Search, Store, Write,
};

use super::{Texts, model, put, text};

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

/// Texts as JSON, and some values that are none.
fn texts() -> Vec<String> {
    let x = |n: usize| "x".repeat(n);
    let wide = "ß".repeat(64);
    let wider = format!("x{wide}");
    let many: Vec<_> = (0..900).map(|n| format!("w{n}")).collect();
    let others: Vec<_> = (300..1_200).map(|n| format!("w{n}")).collect();
    let mut texts: Vec<String> = [
        "The quick, brown FOX",
        "quick quick: QUICK",
        "fox the",
        "",
        " ... ",
        "a\0b \u{1} c",
        "Größe ÄÖ \u{1f600} 東京 ١٢",
        "say \"hi\" \\ back\\slash\n'quoted' `%_",
        "12 007 1e5",
        &x(127),
        &x(128),
        &x(129),
        &format!("{} {}y", x(128), x(128)),
        &format!("{}z", x(200)),
        &format!("{wide}a {wide}b"),
        &format!("{wider}a {wider}"),
        &many.join(" "),
        &others.join("\t"),
    ]
    .iter()
    .map(|text| serde_json::to_string(text).unwrap())
    .collect();
    let others = ["12", "null", "true", r#"{"quick":"fox"}"#, r#"["quick"]"#];
    texts.extend(others.map(str::to_owned));
    texts
}

#[tokio::test]
async fn any_text_can_become_any_other() {
    let kept = Texts::new(1).await;
    let texts = texts();
    let pairs = || (0..texts.len()).flat_map(|one| (0..texts.len()).map(move |two| (one, two)));
    let all = |which: fn((usize, usize)) -> usize, expected: Expected| {
        let texts = &texts;
        pairs().map(move |(one, two)| {
            put(&format!("{one}-{two}"), &texts[which((one, two))], expected)
        })
    };
    let outcomes = kept.bulk(all(|(one, _)| one, Expected::Absent)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    kept.check().await;
    assert!(kept.count("quick").await > 0);
    let outcomes = kept.bulk(all(|(_, two)| two, Expected::Present)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    kept.check().await;
    let outcomes = kept
        .bulk(pairs().map(|(one, two)| Write::delete(key(&format!("{one}-{two}")), Expected::Any)))
        .await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(kept.indexed("t").await.is_empty() && kept.indexed("o.many").await.is_empty());
    kept.done().await;
}

#[tokio::test]
async fn every_kind_of_write_keeps_it() {
    let stamped = model("texts").created("made").updated("changed");
    for kept in [Texts::new(1).await, Texts::of(1, stamped).await] {
        let receipt = kept.save(put("a", r#""one two""#, Expected::Absent)).await;
        let first = receipt.unwrap().version.unwrap();
        kept.check().await;
        let receipt = kept.save(put("a", r#""two three""#, first)).await;
        kept.check().await;
        assert_eq!(receipt.unwrap().version, kept.version("a").await);
        for text in [r#""three four""#, r#""four five""#] {
            let receipt = kept.save(put("a", text, Expected::Present)).await;
            assert_eq!(receipt.unwrap().version, kept.version("a").await);
            kept.check().await;
        }
        for (id, text) in [("a", r#""six""#), ("b", r#""six seven""#)] {
            kept.save(put(id, text, Expected::Any)).await.unwrap();
            kept.check().await;
        }
        let refused = kept.save(put("a", r#""eight""#, first)).await;
        assert!(refused.is_err());
        let refused = kept.save(put("c", r#""eight""#, Expected::Present)).await;
        assert!(refused.is_err());
        kept.check().await;
        let patch = Patch::new().set("t".parse().unwrap(), "nine ten");
        let patch = Write::patch(key("a"), patch, Expected::Present);
        kept.save(patch).await.unwrap();
        kept.check().await;
        // Those that are not there are inserted, and taken away again.
        let outcomes = kept
            .bulk([
                put("a", r#""eleven""#, Expected::Present),
                put("d", r#""eleven twelve""#, Expected::Present),
                put("e", r#""twelve""#, first),
                put("f", r#""twelve""#, Expected::Absent),
            ])
            .await;
        let is_ok: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(is_ok, [true, false, false, true]);
        kept.check().await;
        let matching = Filter::text("t", "twelve", Words::Any).unwrap();
        let patch = Patch::new().set("t".parse().unwrap(), "thirteen");
        for (filter, action) in [
            (matching, MatchingAction::Patch(patch)),
            (
                Filter::text("t", "thirteen", Words::Any).unwrap(),
                MatchingAction::Delete,
            ),
        ] {
            let request = MatchingRequest::new(kept.model.clone(), filter, action);
            let reply = kept.named.store.write_matching(request).await.unwrap();
            assert_eq!(reply.written, 1);
            kept.check().await;
        }
        assert_eq!(kept.count("twelve").await + kept.count("thirteen").await, 0);
        let deleted = kept.save(Write::delete(key("b"), Expected::Present)).await;
        deleted.unwrap();
        kept.check().await;
        kept.done().await;
    }
}

#[tokio::test]
async fn transactions_see_their_own_words_and_leave_none_behind() {
    let kept = Texts::new(3).await;
    kept.save(put("a", r#""old words""#, Expected::Absent))
        .await
        .unwrap();
    let transact = kept.named.store.transact().unwrap();
    let one = transact.begin(BeginOptions::new()).await.unwrap();
    let snapshot = BeginOptions::new().isolation(Isolation::Snapshot);
    let snapshot = transact.begin(snapshot).await.unwrap();
    let having = |word| kept.having(word, Words::All);
    assert_eq!(snapshot.count(having("old")).await.unwrap(), 1);
    for write in [
        put("a", r#""new words""#, Expected::Present),
        put("b", r#""new words""#, Expected::Absent),
    ] {
        let request = SaveRequest::new(kept.model.clone(), write);
        one.save(request).await.unwrap();
    }
    for (word, within, beside) in [("old", 0, 1), ("new", 2, 0), ("words", 2, 1)] {
        assert_eq!(one.count(having(word)).await.unwrap(), within, "{word}");
        assert_eq!(kept.count(word).await, beside, "{word}");
    }
    one.rollback().await.unwrap();
    kept.check().await;
    assert_eq!(kept.count("new").await, 0);
    let two = transact.begin(BeginOptions::new()).await.unwrap();
    let write = put("a", r#""newer words""#, Expected::Present);
    let request = SaveRequest::new(kept.model.clone(), write);
    two.save(request).await.unwrap();
    two.commit().await.unwrap();
    kept.check().await;
    // One state of the data has one state of the words.
    for (word, before, now) in [("old", 1, 0), ("newer", 0, 1)] {
        assert_eq!(
            snapshot.count(having(word)).await.unwrap(),
            before,
            "{word}"
        );
        assert_eq!(kept.count(word).await, now, "{word}");
    }
    snapshot.rollback().await.unwrap();
    kept.done().await;
}

#[tokio::test]
async fn a_write_that_leaves_a_text_as_it_is_does_not_touch_its_words() {
    let kept = Texts::of(1, model("texts").created("made").updated("changed")).await;
    let first = put("a", r#""one two""#, Expected::Absent);
    kept.save(first).await.unwrap();
    kept.send("DELETE FROM `texts:w:t`; DELETE FROM `texts:w:o.many`")
        .await;
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    let patch = Write::patch(key("a"), patch, Expected::Present);
    kept.save(patch).await.unwrap();
    for expected in [Expected::Any, Expected::Present] {
        kept.save(put("a", r#""one two""#, expected)).await.unwrap();
        let outcomes = kept.bulk([put("a", r#""one two""#, expected)]).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    assert!(kept.indexed("t").await.is_empty() && kept.indexed("o.many").await.is_empty());
    // Only what is new is added.
    kept.save(put("a", r#""two three""#, Expected::Any))
        .await
        .unwrap();
    let added = [("three".to_owned(), "a".to_owned())];
    assert_eq!(kept.indexed("t").await, added.clone().into());
    assert_eq!(kept.indexed("o.many").await, added.into());
    kept.done().await;
}

/// What the server tells of an update is lost where a trigger inserts something.
#[tokio::test]
async fn stamps_are_told_as_they_are_stored() {
    let kept = Texts::of(1, model("texts").created("made").updated("changed")).await;
    let first = kept.save(put("a", r#""one""#, Expected::Absent)).await;
    let first = first.unwrap();
    let made = first.stamps.created.unwrap().as_millis();
    let body = format!(r#"{{"t":"two","made":{made},"changed":{made}}}"#);
    let again = Write::put(key("a"), Body::parse(body).unwrap(), first.version.unwrap());
    let told = kept.save(again).await.unwrap().stamps;
    let request = LoadRequest::new(kept.model.clone(), vec![key("a")]);
    let loaded = kept.named.store.load(request).await.unwrap();
    let body = loaded.first().unwrap().as_ref().unwrap().body.to_object();
    let body = body.unwrap();
    for (name, told) in [("made", told.created), ("changed", told.updated)] {
        let stored = body.get(name).unwrap().as_i64().unwrap();
        assert_eq!(told.unwrap().as_millis(), stored, "{name}");
    }
    kept.check().await;
    kept.done().await;
}

#[tokio::test]
async fn long_texts_are_indexed_as_short_ones_are() {
    let kept = Texts::new(1).await;
    let words = |from: usize, to: usize| {
        let words: Vec<_> = (from..to).map(|n| format!("{n}")).collect();
        format!("\"{}\"", words.join(" "))
    };
    let before = put("a", &words(10_000, 30_000), Expected::Absent);
    kept.save(before).await.unwrap();
    kept.check().await;
    let after = put("a", &words(20_000, 40_000), Expected::Present);
    kept.save(after).await.unwrap();
    kept.check().await;
    assert_eq!(kept.count("20000 39999").await, 1);
    let one = put("a", "1", Expected::Present);
    kept.save(one).await.unwrap();
    kept.check().await;
    kept.done().await;
}

/// A number below the limit, by a generator that needs no seed from outside.
fn drawn(state: &mut u64, below: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below
}

/// Writers of different documents have words in common, but nothing to wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_do_not_wait_for_the_words_of_others_in_a_circle() {
    let kept = Texts::new(6).await;
    let write = |state: &mut u64, id: String| {
        let words: Vec<_> = (0..8).map(|_| format!("w{}", drawn(state, 30))).collect();
        let text = format!("\"{}\"", words.join(" "));
        if drawn(state, 5) == 0 {
            Write::delete(key(&id), Expected::Any)
        } else {
            put(&id, &text, Expected::Any)
        }
    };
    let tasks = (0..6_u64).map(|task| {
        let (store, model) = (kept.named.store.clone(), kept.model.clone());
        tokio::spawn(async move {
            let mut state = task;
            for round in 0..15 {
                // In transactions, each writer has documents of its own, in no order.
                if round % 2 == 0 {
                    let transact = store.transact().unwrap();
                    let one = transact.begin(BeginOptions::new()).await.unwrap();
                    for _ in 0..10 {
                        let id = format!("{task}-{}", drawn(&mut state, 10));
                        let write = write(&mut state, id);
                        one.save(SaveRequest::new(model.clone(), write))
                            .await
                            .unwrap();
                    }
                    if drawn(&mut state, 3) == 0 {
                        one.rollback().await.unwrap();
                    } else {
                        one.commit().await.unwrap();
                    }
                    continue;
                }
                let mut items: Vec<BulkItem> = Vec::new();
                for n in 0..30 {
                    if drawn(&mut state, 2) == 0 {
                        let text = format!("\"w{} w{}\"", drawn(&mut state, 30), n % 7);
                        items.push(put(&format!("all-{n}"), &text, Expected::Any).into());
                    }
                }
                let request = BulkRequest::new(model.clone(), items);
                let reply = store.bulk(request).await.unwrap();
                assert!(reply.is_ok(), "{reply:?}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    kept.check().await;
    kept.done().await;
}

#[tokio::test]
async fn what_the_index_cannot_tell_is_looked_up_in_the_texts() {
    let kept = Texts::new(1).await;
    let x = "x".repeat(200);
    let bodies = [
        format!("one two three four five six seven eight nine {x}y"),
        format!("two one four three six five eight seven {x}z"),
        format!("{} end", "x".repeat(128)),
    ];
    let items = bodies.iter().enumerate().map(|(n, text)| {
        let text = serde_json::to_string(text).unwrap();
        put(&n.to_string(), &text, Expected::Absent)
    });
    assert!(kept.bulk(items).await.iter().all(Result::is_ok));
    let (y, z) = (format!("{x}y"), format!("{x}z"));
    let eight = "one two three four five six seven eight";
    for (text, mode, count) in [
        (eight, Words::All, 2),
        (eight, Words::Phrase, 1),
        (
            "one two three four five six seven eight nine",
            Words::All,
            1,
        ),
        ("one two three four five six seven eight ten", Words::All, 0),
        ("one one ONE", Words::All, 2),
        ("two one", Words::Phrase, 1),
        ("one", Words::Phrase, 2),
        (&y, Words::All, 1),
        (&z, Words::Any, 1),
        (&x, Words::All, 0),
        (&"x".repeat(128), Words::Any, 1),
        ("ten end nowhere", Words::Any, 1),
        ("ten nowhere", Words::Any, 0),
    ] {
        for field in ["t", "o.many"] {
            let filter = Filter::text(field, text, mode).unwrap();
            for (filter, count) in [
                (filter.clone(), count),
                (!filter.clone(), 3 - count),
                (filter.clone().or(Filter::eq("n", 2).unwrap()), count),
                (filter.and(Filter::eq("n", 1).unwrap()), count),
            ] {
                let request = CountRequest::new(kept.model.clone(), filter);
                let counted = kept.named.store.count(request).await.unwrap();
                assert_eq!(counted, count, "{field}: {text} {mode:?}");
            }
        }
    }
    kept.done().await;
}

#[tokio::test]
async fn words_go_by_id_and_routing() {
    let routed = Model::builder("texts").routed();
    let kept = Texts::of(1, routed.field(text("t")).field(text("o.many").many())).await;
    let write = |routing: &str, text: &str, expected: Expected| {
        let mut write = put("a", text, expected);
        write.key = Key::routed(routing, "a").unwrap();
        write
    };
    let outcomes = kept
        .bulk([
            write("eu", r#""red fox""#, Expected::Absent),
            write("us", r#""red dog""#, Expected::Absent),
        ])
        .await;
    assert!(outcomes.iter().all(Result::is_ok));
    kept.check().await;
    assert_eq!(
        (kept.count("red").await, kept.count("red dog").await),
        (2, 1)
    );
    kept.save(write("us", r#""cat""#, Expected::Present))
        .await
        .unwrap();
    kept.check().await;
    assert_eq!((kept.count("red").await, kept.count("dog").await), (1, 0));
    let gone = Write::delete(Key::routed("eu", "a").unwrap(), Expected::Present);
    kept.save(gone).await.unwrap();
    kept.check().await;
    assert_eq!(
        kept.indexed("t").await,
        [("cat".to_owned(), "us/a".to_owned())].into()
    );
    kept.done().await;
}
