//! Fragments of texts: cut out by the handle, of what the store hands out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_core::ErrorKind;
use strongroom_core::handle::{Collection, Database, Document as _};
use strongroom_core::query::{Filter, Highlight, SourceFilter};
use strongroom_derive::Document;

use crate::alter::altered;
use crate::context::{Context, not_granted};
use crate::failure::{During, Outcome, check, check_eq, refused};
use crate::renamed::Renamed;

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "notes", crate = strongroom_core)]
struct Note {
    #[document(id)]
    id: String,
    #[document(text)]
    title: String,
    #[serde(default)]
    #[document(text)]
    lines: Vec<String>,
    #[serde(default)]
    stars: u64,
}

async fn notes(cx: &Context) -> Outcome<Collection<Note>> {
    let model = Note::model().during("the model of notes")?;
    let renamed = Renamed::new([(model, cx.name("notes"))], Arc::default())?;
    let db = Database::builder(altered(cx.store().clone(), renamed)).build();
    let notes = db.collection::<Note>();
    notes.ensure().await.during("ensuring notes")?;
    let note = |id: &str, title: &str, lines: &[&str]| Note {
        id: id.to_owned(),
        title: title.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        stars: 7,
    };
    notes
        .insert_many([
            note("a", "red <fox>", &["a fox", "a hen", "fox & fox"]),
            note("b", "blue whale", &["a red fox"]),
            note("c", "red hen", &[]),
        ])
        .await
        .during("inserting notes")?;
    notes.refresh().await.during("refreshing")?;
    Ok(notes)
}

pub(crate) async fn show_what_was_asked_for(cx: &Context) -> Outcome {
    if !cx.capabilities().text_search {
        return not_granted("filters by the words of text");
    }
    let notes = notes(cx).await?;
    let f = Note::fields();
    let either = || {
        f.title()
            .has_any_word("fox")
            .or(f.lines().has_phrase("fox"))
    };
    let highlight = || Highlight::of(f.title()).and(f.lines());
    let title = ["red &lt;<em>fox</em>&gt;"];
    let lines = ["a <em>fox</em>", "<em>fox</em> &amp; <em>fox</em>"];
    // What is not selected is fetched for it, and left out of the document.
    for selection in [
        SourceFilter::All,
        SourceFilter::include(["title".parse::<strongroom_core::model::FieldPath>()?]),
        SourceFilter::exclude(["lines".parse::<strongroom_core::model::FieldPath>()?]),
    ] {
        let cut = !selection.is_all();
        let find = notes.find(either()).select(selection.clone());
        let page = find.highlight(highlight()).limit(1).page();
        let page = page.await.during("a page with fragments")?;
        let mut shown = Vec::new();
        for hit in page.hits() {
            shown.push(hit.document.id.as_str());
            check_eq!(hit.fragments(f.title()), title, "{selection:?}: the title");
            check_eq!(hit.fragments(f.lines()), lines, "{selection:?}: the lines");
            check_eq!(hit.score, None, "{selection:?}: a score nobody asked for");
            check_eq!(
                hit.document.lines.is_empty(),
                cut,
                "{selection:?}: whether the lines are left out of the document"
            );
        }
        check_eq!(shown, ["a"], "{selection:?}: the first page");
        let next = page.next().await.during("the next page")?;
        let next: Vec<usize> = next
            .iter()
            .flat_map(|page| page.hits())
            .map(|hit| hit.fragments(f.lines()).len())
            .collect();
        check_eq!(next, [1], "{selection:?}: fragments of the next page");
        // A document that was cut is still one that saves what was loaded of it.
        let mut documents = page.into_documents();
        for note in &mut documents {
            note.title.push('!');
            notes.save(note).await.during("saving what was found")?;
            let stored = notes.get("a").await.during("loading")?;
            let kept = stored.map(|stored| (stored.lines.len(), stored.stars));
            check_eq!(kept, Some((3, 7)), "{selection:?}: what was kept");
            note.title.pop();
            notes.save(note).await.during("saving it again")?;
        }
        notes.refresh().await.during("refreshing")?;
    }
    Ok(())
}

pub(crate) async fn refuse_what_they_cannot_show(cx: &Context) -> Outcome {
    let notes = notes(cx).await?;
    let f = Note::fields();
    let all = || notes.find(Filter::all());
    let id = strongroom_core::model::FieldPath::new("id")?;
    for (what, highlight) in [
        ("an id", Highlight::of(id)),
        ("no fragment", Highlight::of(f.title()).fragments(0)),
        ("a million", Highlight::of(f.title()).size(1_000_000)),
    ] {
        let page = all().highlight(highlight).page().await;
        refused(page.map(drop), ErrorKind::Invalid, what)?;
    }
    let page = all().highlight(Highlight::of(f.title())).page().await;
    let page = page.during("a page without words")?;
    check!(
        page.hits().all(|hit| hit.highlights.is_empty()),
        "fragments of words that nobody asked for"
    );
    Ok(())
}
