//! What a page tells beside its documents: scores and fragments, and who refuses them.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use strongroom::ErrorKind;
use strongroom::prelude::*;
use strongroom::query::{FragmentText, Highlight};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "notes")]
struct Note {
    #[document(id)]
    id: String,
    #[document(text)]
    title: String,
    #[document(text)]
    #[serde(default)]
    text: String,
    #[document(keyword)]
    #[serde(default)]
    topic: String,
}

async fn notes(url: &str) -> Collection<Note> {
    let notes = strongroom::connect(url).await.unwrap().collection::<Note>();
    notes.ensure().await.unwrap();
    let note = |id: &str, title: &str, text: &str| Note {
        id: id.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
        topic: "all".to_owned(),
    };
    notes
        .insert_many([
            note("a", "Engines", "About one engine."),
            note("b", "Engine", "An engine, another engine & no other."),
            note("c", "Moths", "Found in an engine room."),
        ])
        .await
        .unwrap();
    notes
}

fn engines() -> Filter {
    let f = Note::fields();
    f.title()
        .has_any_word("engine")
        .or(f.text().has_any_word("engine"))
}

#[tokio::test]
async fn scores_and_fragments_stay_with_their_documents() {
    let notes = notes("memory:").await;
    let f = Note::fields();
    let highlight = Highlight::of(f.title()).and(f.text()).marks("[", "]");
    let find = notes.find(engines()).by_score().limit(2);
    let mut page = find
        .highlight(highlight.text(FragmentText::Plain))
        .page()
        .await
        .unwrap();
    let mut seen = Vec::new();
    loop {
        for hit in page.hits() {
            let fragments = [hit.fragments(f.title()), hit.fragments(f.text())].concat();
            seen.push((
                hit.document.id.clone(),
                hit.score.unwrap(),
                fragments.join(" | "),
            ));
        }
        match page.next().await.unwrap() {
            Some(next) => page = next,
            None => break,
        }
    }
    let wanted = [
        (
            "b",
            3.0,
            "[Engine] | An [engine], another [engine] & no other.",
        ),
        ("a", 1.0, "About one [engine]."),
        ("c", 1.0, "Found in an [engine] room."),
    ];
    let wanted = wanted.map(|(id, score, text)| (id.to_owned(), score, text.to_owned()));
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn other_types_have_fragments_of_what_they_do_not_hold() {
    #[derive(Deserialize)]
    struct Title {
        title: String,
    }
    let notes = notes("sqlite::memory:").await;
    let f = Note::fields();
    let find = notes.find(engines()).select(["title"]);
    let page = find.highlight(Highlight::of(f.text()).fragments(1).size(12));
    let page = page.page_as::<Title>().await.unwrap();
    let found: Vec<_> = page
        .hits()
        .map(|hit| {
            (
                hit.document.title.as_str(),
                hit.fragments(f.text()).join(""),
            )
        })
        .collect();
    let wanted = [
        ("Engines", "one <em>engine</em>."),
        ("Engine", "An <em>engine</em>,"),
        ("Moths", "an <em>engine</em>"),
    ];
    assert_eq!(found, wanted.map(|(title, text)| (title, text.to_owned())));
    assert!(page.hits().all(|hit| hit.score.is_none()));
}

#[tokio::test]
async fn what_has_no_place_for_them_refuses_them() {
    let notes = notes("memory:").await;
    let f = Note::fields();
    let asked = || notes.find(engines()).highlight(Highlight::of(f.text()));
    let stream = asked().stream().try_collect::<Vec<_>>().await;
    let groups = asked().per(f.topic()).page().await;
    for error in [stream.unwrap_err(), groups.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("highlight"), "{error}");
    }
    // The order of a stream or of groups may be that of scores all the same.
    let stream = notes.find(engines()).by_score().stream();
    let stream: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(stream.first().unwrap().id, "b");
    let groups = notes
        .find(engines())
        .by_score()
        .per(f.topic())
        .page()
        .await
        .unwrap();
    assert_eq!(groups.first().unwrap().documents.first().unwrap().id, "b");
}

#[tokio::test]
async fn a_store_without_scores_says_so() {
    let notes = notes("sqlite::memory:").await;
    let error = notes.find(engines()).by_score().page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("score"), "{error}");
    let error = notes
        .find(engines())
        .by_score()
        .explain()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
