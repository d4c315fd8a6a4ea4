use super::text;
use crate::support::Named;
use std::time::Instant;
use strongroom_core::model::*;
use strongroom_core::query::{Filter, Words};
use strongroom_core::store::*;

fn drawn(state: &mut u64, below: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below
}

fn body(state: &mut u64, n: usize) -> String {
    let words: Vec<_> = (0..19)
        .map(|_| {
            let r = drawn(state, 5000);
            let r = r * (drawn(state, 5000)) / 5000;
            format!("word{r}")
        })
        .collect();
    format!(r#"{{"t":"{} unique{n}"}}"#, words.join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_words() {
    let named = Named::connect(16).await;
    for (name, field) in [
        (
            "none",
            FieldDeclaration::new("t".parse().unwrap(), Kind::Keyword),
        ),
        ("one", text("t")),
        ("many", text("t").many()),
    ] {
        let model = Model::builder(name).field(field).build().unwrap();
        named
            .store
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .unwrap();
        let mut state = 7;
        let begun = Instant::now();
        for part in 0..10 {
            let items = (0..1000)
                .map(|n| {
                    let n = part * 1000 + n;
                    Write::put(
                        Key::new(format!("id{n:06}")).unwrap(),
                        Body::parse(body(&mut state, n)).unwrap(),
                        Expected::Absent,
                    )
                    .into()
                })
                .collect();
            assert!(
                named
                    .store
                    .bulk(BulkRequest::new(model.clone(), items))
                    .await
                    .unwrap()
                    .is_ok()
            );
        }
        println!("{name}: 10000 by bulks of 1000: {:?}", begun.elapsed());
        let begun = Instant::now();
        for n in 10_000..10_500 {
            let write = Write::put(
                Key::new(format!("id{n:06}")).unwrap(),
                Body::parse(body(&mut state, n)).unwrap(),
                Expected::Absent,
            );
            named
                .store
                .save(SaveRequest::new(model.clone(), write))
                .await
                .unwrap();
        }
        println!("{name}: 500 one after another: {:?}", begun.elapsed());
        let begun = Instant::now();
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let (store, model) = (named.store.clone(), model.clone());
                tokio::spawn(async move {
                    let mut state = task as u64;
                    for n in 0..625 {
                        let n = 20_000 + task * 1000 + n;
                        let write = Write::put(
                            Key::new(format!("id{n:06}")).unwrap(),
                            Body::parse(body(&mut state, n)).unwrap(),
                            Expected::Absent,
                        );
                        store
                            .save(SaveRequest::new(model.clone(), write))
                            .await
                            .unwrap();
                    }
                })
            })
            .collect();
        for t in tasks {
            t.await.unwrap();
        }
        println!("{name}: 10000 single at 16: {:?}", begun.elapsed());
        let mut state = 99;
        let begun = Instant::now();
        for part in 0..2 {
            let items = (0..1000)
                .map(|n| {
                    let n = part * 1000 + n;
                    Write::put(
                        Key::new(format!("id{n:06}")).unwrap(),
                        Body::parse(body(&mut state, n)).unwrap(),
                        Expected::Present,
                    )
                    .into()
                })
                .collect();
            assert!(
                named
                    .store
                    .bulk(BulkRequest::new(model.clone(), items))
                    .await
                    .unwrap()
                    .is_ok()
            );
        }
        println!("{name}: 2000 replaced, other words: {:?}", begun.elapsed());
        let mut state = 99;
        let begun = Instant::now();
        for part in 0..2 {
            let items = (0..1000)
                .map(|n| {
                    let n = part * 1000 + n;
                    let b = body(&mut state, n).replace(r#""}"#, r#" more"}"#);
                    Write::put(
                        Key::new(format!("id{n:06}")).unwrap(),
                        Body::parse(b).unwrap(),
                        Expected::Present,
                    )
                    .into()
                })
                .collect();
            assert!(
                named
                    .store
                    .bulk(BulkRequest::new(model.clone(), items))
                    .await
                    .unwrap()
                    .is_ok()
            );
        }
        println!(
            "{name}: 2000 replaced, one word more: {:?}",
            begun.elapsed()
        );
        let mut state = 99;
        let begun = Instant::now();
        for part in 0..2 {
            let items = (0..1000)
                .map(|n| {
                    let n = part * 1000 + n;
                    let b = body(&mut state, n).replace(r#""}"#, r#" more"}"#);
                    Write::put(
                        Key::new(format!("id{n:06}")).unwrap(),
                        Body::parse(b).unwrap(),
                        Expected::Present,
                    )
                    .into()
                })
                .collect();
            assert!(
                named
                    .store
                    .bulk(BulkRequest::new(model.clone(), items))
                    .await
                    .unwrap()
                    .is_ok()
            );
        }
        println!("{name}: 2000 replaced, same words: {:?}", begun.elapsed());
        if name == "none" {
            continue;
        }
        for (what, mode) in [
            ("unique7", Words::All),
            ("word1 unique20077", Words::All),
            ("unique7 unique8", Words::Any),
            ("word1", Words::All),
            ("word1 word2", Words::All),
            ("word4900", Words::All),
            ("nowhere", Words::All),
            ("word1 word2", Words::Phrase),
        ] {
            let filter = Filter::text("t", what, mode).unwrap();
            for _ in 0..2 {
                let begun = Instant::now();
                let count = named
                    .store
                    .count(CountRequest::new(model.clone(), filter.clone()))
                    .await
                    .unwrap();
                let counted = begun.elapsed();
                let begun = Instant::now();
                let page = named
                    .store
                    .find(FindRequest::new(model.clone(), filter.clone()))
                    .await
                    .unwrap();
                println!(
                    "{name}: {what} {mode:?}: {count} counted in {counted:?}, page of {} in {:?}",
                    page.documents.len(),
                    begun.elapsed()
                );
            }
            let explained = named
                .store
                .explain(ExplainRequest::Find(FindRequest::new(
                    model.clone(),
                    filter.clone(),
                )))
                .await
                .unwrap();
            println!("{explained}");
        }
    }
    named.done().await;
}
