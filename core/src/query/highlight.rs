//! Fragments of texts that show the words that were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Map, Value};

use super::values::FieldReader;
use super::{Filter, TextQuery};
use crate::error::{Error, Result};
use crate::model::{Body, FieldPath, Kind, Model, in_range};

/// Most fragments of one field of one document.
pub const MAX_FRAGMENTS: usize = 100;
/// Longest fragment, in characters.
pub const MAX_FRAGMENT_CHARS: usize = 10_000;
/// Most fields of one highlight.
const MAX_FIELDS: usize = 32;
/// Longest mark, in bytes.
const MAX_MARK_BYTES: usize = 256;

/// How the text of a fragment is written. Marks are written as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FragmentText {
    /// As HTML that shows it: `&`, `<`, `>`, `"` and `'` become entities, so nothing in a document
    /// is taken for a mark or any other tag.
    #[default]
    Html,
    /// As it is. A document may hold what looks like a mark, or a script: never put it into a page.
    Plain,
}

/// What is shown of the texts in which the words of a filter were found.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Body, FieldDeclaration, Kind, Model};
/// use strongroom_core::query::{Filter, Highlight, Highlighter, Words};
///
/// let model = Model::builder("notes")
///     .field(FieldDeclaration::new("text".parse()?, Kind::Text))
///     .build()?;
/// let filter = Filter::text("text", "fox", Words::Any)?;
/// let highlight = Highlight::of("text".parse::<strongroom_core::model::FieldPath>()?).size(30);
/// let highlighter = Highlighter::new(&highlight, &filter, &model)?;
/// let note = Body::parse(r#"{"text":"Once upon a time there was a Fox & a grape, far too high."}"#)?;
/// let found = highlighter.of_body(&note)?;
/// assert_eq!(
///     found.of(&"text".parse()?),
///     ["there was a <em>Fox</em> &amp; a grape,"]
/// );
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The text fields that are shown.
    pub fields: Vec<FieldPath>,
    /// What is written before a word that was asked for. `<em>`.
    pub before: String,
    /// What is written behind it. `</em>`.
    pub after: String,
    /// Most fragments of a field: 1 to [`MAX_FRAGMENTS`]. 5.
    pub fragments: usize,
    /// Most characters of a fragment, marks not counted: 1 to [`MAX_FRAGMENT_CHARS`]. A text that
    /// is no longer is one fragment. 100.
    pub size: usize,
    /// How the text is written.
    pub text: FragmentText,
}

impl Highlight {
    /// Fragments of one field, or of several together with [`and`](Self::and).
    #[must_use]
    pub fn of(field: impl Into<FieldPath>) -> Self {
        Self {
            fields: vec![field.into()],
            before: "<em>".to_owned(),
            after: "</em>".to_owned(),
            fragments: 5,
            size: 100,
            text: FragmentText::default(),
        }
    }

    /// Shows another field as well.
    #[must_use]
    pub fn and(mut self, field: impl Into<FieldPath>) -> Self {
        self.fields.push(field.into());
        self
    }

    /// Sets what is written before and behind a word that was asked for, at most 256 bytes each.
    #[must_use]
    pub fn marks(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        (self.before, self.after) = (before.into(), after.into());
        self
    }

    /// Sets how many fragments of a field are shown at most.
    #[must_use]
    pub fn fragments(mut self, fragments: usize) -> Self {
        self.fragments = fragments;
        self
    }

    /// Sets how many characters a fragment has at most.
    #[must_use]
    pub fn size(mut self, characters: usize) -> Self {
        self.size = characters;
        self
    }

    /// Sets how the text is written.
    #[must_use]
    pub fn text(mut self, text: FragmentText) -> Self {
        self.text = text;
        self
    }

    /// Checks it against a model.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming what is wrong, if a field is not declared as text, there are more than 32,
    /// or a number or a mark is out of range.
    pub fn check(&self, model: &Model) -> Result<()> {
        in_range(
            "number of highlighted fields is",
            self.fields.len(),
            MAX_FIELDS,
        )?;
        in_range(
            "highlight has a number of fragments of",
            self.fragments,
            MAX_FRAGMENTS,
        )?;
        in_range("highlight has a size of", self.size, MAX_FRAGMENT_CHARS)?;
        for mark in [&self.before, &self.after] {
            if mark.len() > MAX_MARK_BYTES {
                return Err(Error::invalid(format!(
                    "a mark of a highlight has {} bytes, allowed are {MAX_MARK_BYTES}",
                    mark.len()
                )));
            }
        }
        self.fields
            .iter()
            .try_for_each(|field| match model.require(field)?.kind {
                Kind::Text => Ok(()),
                kind => Err(Error::invalid(format!(
                    "field {field} is declared as {}, and only text is highlighted",
                    kind.as_str()
                ))),
            })
    }
}

/// The fragments of one document, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Highlights(BTreeMap<FieldPath, Vec<String>>);

impl Highlights {
    /// No fragment of any field.
    pub(crate) const NONE: &'static Self = &Self(BTreeMap::new());

    /// The fragments of a field, in the order of the text; none if the field has no word that was
    /// asked of it, or was not to be shown.
    #[must_use]
    pub fn of(&self, field: &FieldPath) -> &[String] {
        self.0.get(field).map_or(&[], Vec::as_slice)
    }

    /// The fields that have fragments, with these.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldPath, &[String])> {
        self.0
            .iter()
            .map(|(field, found)| (field, found.as_slice()))
    }

    /// Whether there is no fragment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A highlight made ready for many documents that match one filter.
///
/// It marks what the core takes for the words asked for, whatever engine found the document: where
/// an engine reads text by an analyser of its own, which knows stems or synonyms, only words that
/// stand in the text as they were asked for are marked. Conditions beneath a `Not` ask for nothing.
#[derive(Clone, Debug)]
pub struct Highlighter {
    highlight: Highlight,
    fields: Vec<(FieldPath, FieldReader, Vec<TextQuery>)>,
}

impl Highlighter {
    /// Checks a highlight and a filter's conditions on text and makes them ready.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Highlight::check`], and if a condition asks for no word.
    pub fn new(highlight: &Highlight, filter: &Filter, model: &Model) -> Result<Self> {
        highlight.check(model)?;
        let texts = filter.texts();
        let mut fields = Vec::with_capacity(highlight.fields.len());
        for field in &highlight.fields {
            let asked = texts.iter().filter(|(asked, ..)| *asked == field);
            let asked = asked.map(|(_, text, words)| TextQuery::parse(text, *words));
            let asked = asked.collect::<Result<_>>()?;
            fields.push((field.clone(), FieldReader::new(model, field)?, asked));
        }
        Ok(Self {
            highlight: highlight.clone(),
            fields,
        })
    }

    /// The fragments of a parsed body.
    #[must_use]
    pub fn of(&self, object: &Map<String, Value>) -> Highlights {
        let fields = self.fields.iter().map(|(field, reader, asked)| {
            let found = self.fragments(&reader.texts(object), asked);
            (field.clone(), found)
        });
        Highlights(fields.filter(|(_, found)| !found.is_empty()).collect())
    }

    /// The fragments of a body.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted body is not a JSON object.
    pub fn of_body(&self, body: &Body) -> Result<Highlights> {
        Ok(self.of(&body.to_object()?))
    }

    /// The best fragments of the texts of a field, in their order.
    fn fragments(&self, texts: &[&str], asked: &[TextQuery]) -> Vec<String> {
        let mut all = Vec::new();
        for text in texts {
            let marks = merged(asked.iter().flat_map(|query| query.occurrences(text)));
            for range in cut(text, &marks, self.highlight.size) {
                let marks: Vec<Range<usize>> = marks
                    .iter()
                    .map(|mark| mark.start.max(range.start)..mark.end.min(range.end))
                    .filter(|mark| !mark.is_empty())
                    .collect();
                all.push(Fragment { text, range, marks });
            }
        }
        let mut best: Vec<(usize, &Fragment<'_>)> = all.iter().enumerate().collect();
        // What shows more of what was asked for comes first; a stable sort keeps earlier places.
        best.sort_by_cached_key(|(_, fragment)| std::cmp::Reverse(fragment.worth()));
        best.truncate(self.highlight.fragments);
        best.sort_unstable_by_key(|(place, _)| *place);
        let best = best.into_iter();
        best.map(|(_, fragment)| fragment.write(&self.highlight))
            .collect()
    }
}

/// A part of a text, and what is marked in it.
struct Fragment<'t> {
    text: &'t str,
    range: Range<usize>,
    marks: Vec<Range<usize>>,
}

impl Fragment<'_> {
    /// How many different words it shows, and how many in all.
    fn worth(&self) -> (usize, usize) {
        let shown = self
            .marks
            .iter()
            .filter_map(|mark| self.text.get(mark.clone()));
        let different: BTreeSet<String> = shown.map(str::to_lowercase).collect();
        (different.len(), self.marks.len())
    }

    fn write(&self, highlight: &Highlight) -> String {
        let mut written = String::new();
        let mut at = self.range.start;
        for mark in &self.marks {
            write_text(&mut written, self.part(at..mark.start), highlight.text);
            written.push_str(&highlight.before);
            write_text(&mut written, self.part(mark.clone()), highlight.text);
            written.push_str(&highlight.after);
            at = mark.end;
        }
        write_text(&mut written, self.part(at..self.range.end), highlight.text);
        written
    }

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

fn write_text(to: &mut String, text: &str, how: FragmentText) {
    if how == FragmentText::Plain {
        to.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&#39;"),
            c => to.push(c),
        }
    }
}

/// Places in their order, with those that overlap in one.
fn merged(places: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut places: Vec<_> = places.collect();
    places.sort_unstable_by_key(|place| place.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places {
        match merged.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    merged
}

/// The parts of a text that show all its marks, each of at most `size` characters, in order and
/// without overlap.
fn cut(text: &str, marks: &[Range<usize>], size: usize) -> Vec<Range<usize>> {
    if marks.is_empty() {
        return Vec::new();
    }
    if text.chars().nth(size).is_none() {
        return std::iter::once(0..text.len()).collect();
    }
    let cores = cores(text, marks, size);
    let mut parts: Vec<Range<usize>> = Vec::with_capacity(cores.len());
    for (at, core) in cores.iter().enumerate() {
        let least = parts.last().map_or(0, |part| part.end);
        let most = cores.get(at + 1).map_or(text.len(), |next| next.start);
        parts.push(widened(text, core, least..most, size));
    }
    parts
}

/// Marks that fit into one part together, as the stretches from the first of them to the last.
fn cores(text: &str, marks: &[Range<usize>], size: usize) -> Vec<Range<usize>> {
    let mut cores: Vec<Range<usize>> = Vec::new();
    let mut characters = 0;
    for mark in marks {
        if let Some(core) = cores.last_mut() {
            let more = text.get(core.end..mark.end).unwrap_or_default();
            // No character has more than four bytes: what is far away is not counted.
            if more.len() <= size * 4 && characters + more.chars().count() <= size {
                characters += more.chars().count();
                core.end = mark.end;
                continue;
            }
        }
        let marked = text.get(mark.clone()).unwrap_or_default();
        // A word or phrase longer than a part is cut.
        let end = marked.char_indices().nth(size);
        let end = end.map_or(mark.end, |(length, _)| mark.start + length);
        characters = text
            .get(mark.start..end)
            .unwrap_or_default()
            .chars()
            .count();
        cores.push(mark.start..end);
    }
    cores
}

/// A stretch with what is around it, as far as there is room, in whole words.
fn widened(text: &str, core: &Range<usize>, room: Range<usize>, size: usize) -> Range<usize> {
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    let spare = size.saturating_sub(part(core.clone()).chars().count());
    let left = part(room.start..core.start);
    let right = part(core.end..room.end);
    // Both sides get half, and what one does not need goes to the other.
    let half = spare / 2;
    let needed = left.chars().rev().take(half).count();
    let behind = right.chars().take(spare - needed).count();
    let before = left.chars().rev().take(spare - behind).count();
    let start = left.char_indices().rev().take(before).last();
    let start = start.map_or(core.start, |(at, _)| room.start + at);
    let end = right.char_indices().nth(behind);
    let end = end.map_or(room.end, |(at, _)| core.end + at);
    let start = match part(room.start..start).chars().next_back() {
        // A word is torn: the part begins behind it, unless all up to the mark is one word.
        Some(c) if !c.is_whitespace() => {
            let torn = part(start..core.start).find(char::is_whitespace);
            torn.map_or(start, |at| start + at)
        }
        _ => start,
    };
    let end = match part(end..room.end).chars().next() {
        Some(c) if !c.is_whitespace() => {
            let torn = part(core.end..end).rfind(char::is_whitespace);
            torn.map_or(end, |at| core.end + at)
        }
        _ => end,
    };
    let start = core.start - part(start..core.start).trim_start().len();
    let end = core.end + part(core.end..end).trim_end().len();
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldDeclaration;
    use crate::query::Words;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn model() -> Arc<Model> {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        Model::builder("m")
            .field(field("t", Kind::Text).many())
            .field(field("u", Kind::Text))
            .field(field("k", Kind::Keyword))
            .field(field("o", Kind::Nested).many())
            .field(field("o.t", Kind::Text).many())
            .build()
            .unwrap()
    }

    fn path(text: &str) -> FieldPath {
        text.parse().unwrap()
    }

    fn any(words: &str) -> Filter {
        Filter::text("t", words, Words::Any).unwrap()
    }

    #[track_caller]
    fn check(highlight: &Highlight, filter: &Filter, body: &Value, wanted: &[&str]) {
        let highlighter = Highlighter::new(highlight, filter, &model()).unwrap();
        let found = highlighter.of(body.as_object().unwrap());
        assert_eq!(found.of(&highlight.fields[0]), wanted);
        assert_eq!(found.is_empty(), wanted.is_empty());
    }

    #[test]
    fn short_texts_are_shown_whole_and_safe() {
        let t = Highlight::of(path("t"));
        let body = json!({"t": [" <em>Fox</em> & 'fox\" ", "no", 7, "fox"], "u": "fox"});
        let html = " &lt;em&gt;<em>Fox</em>&lt;/em&gt; &amp; &#39;<em>fox</em>&quot; ";
        // `em` is a word of the text as well, and was not asked for.
        check(&t, &any("FOX"), &body, &[html, "<em>fox</em>"]);
        let plain = t.clone().marks("[", "]").text(FragmentText::Plain);
        let wanted = [" <em>[Fox]</em> & '[fox]\" ", "[fox]"];
        check(&plain, &any("fox"), &body, &wanted);
        check(&t, &any("none"), &body, &[]);
        check(&t, &any("fox"), &json!({}), &[]);
        check(&t, &Filter::all(), &body, &[]);
        check(&t, &!any("fox"), &body, &[]);
        // Each field is marked by what was asked of it.
        check(&Highlight::of(path("u")), &any("fox"), &body, &[]);
    }

    #[test]
    fn phrases_are_marked_as_a_whole() {
        let phrase = Filter::text("t", "red fox", Words::Phrase).unwrap();
        let body = json!({"t": ["a fox, a Red, FOX and red"]});
        let t = Highlight::of(path("t"));
        check(&t, &phrase, &body, &["a fox, a <em>Red, FOX</em> and red"]);
        let both = phrase.or(any("fox and"));
        let wanted = ["a <em>fox</em>, a <em>Red, FOX</em> <em>and</em> red"];
        check(&t, &both, &body, &wanted);
    }

    #[test]
    fn objects_of_nested_fields() {
        let inner = Filter::text("o.t", "fox", Words::All).unwrap();
        let filter = Filter::nested("o", inner).unwrap();
        let body = json!({"o": [{"t": "a fox"}, {"t": ["x", "fox!"]}]});
        let wanted = ["a <em>fox</em>", "<em>fox</em>!"];
        check(&Highlight::of(path("o.t")), &filter, &body, &wanted);
    }

    #[test]
    fn long_texts_are_cut_at_white_space() {
        let text = "one two three four five six seven eight nine ten eleven twelve";
        let body = json!({"t": text});
        let t = Highlight::of(path("t")).size(20);
        check(&t, &any("five"), &body, &["four <em>five</em> six"]);
        check(&t, &any("one"), &body, &["<em>one</em> two three four"]);
        check(&t, &any("twelve"), &body, &["ten eleven <em>twelve</em>"]);
        let wanted = [
            "four <em>five</em> <em>six</em> seven",
            "nine <em>ten</em> eleven",
        ];
        check(&t, &any("five six ten"), &body, &wanted);
        // The best of them, in the order of the text.
        let best = t.clone().fragments(1);
        check(
            &best,
            &any("one five six"),
            &body,
            &["<em>five</em> <em>six</em> seven"],
        );
        check(&t.clone().size(3), &any("three"), &body, &["<em>thr</em>"]);
        // Without white space there is nothing to cut at but characters.
        let body = json!({"t": "äöü-äöü-fox-äöü-äöü"});
        check(&t.size(7), &any("fox"), &body, &["ü-<em>fox</em>-ä"]);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let t = Highlight::of(path("t"));
        for (bad, named) in [
            (t.clone().fragments(0), "fragments of 0"),
            (t.clone().fragments(101), "fragments of 101"),
            (t.clone().size(0), "size of 0"),
            (t.clone().size(10_001), "size of 10001"),
            (t.clone().marks("x".repeat(257), ""), "257 bytes"),
            (t.clone().and(path("k")), "field k"),
            (t.and(path("z")), "field z"),
        ] {
            let error = Highlighter::new(&bad, &Filter::all(), &model()).unwrap_err();
            assert!(error.message().contains(named), "{named}: {error}");
        }
    }

    proptest! {
        /// Whatever the text, fragments are parts of it of the size allowed, in order and without
        /// overlap, and each shows a mark.
        #[test]
        fn fragments_are_parts(
            text in "([ab\u{e4}\u{4e2d}]{0,4}[ ,\n]{0,2}){0,30}",
            word in "[ab\u{e4}]{1,2}",
            size in 1_usize..20,
        ) {
            let highlight = Highlight::of(path("t")).marks("[", "]").size(size).fragments(100);
            let highlight = highlight.text(FragmentText::Plain);
            let highlighter = Highlighter::new(&highlight, &any(&word), &model()).unwrap();
            let found = highlighter.of(json!({"t": text}).as_object().unwrap());
            let mut rest = text.as_str();
            for fragment in found.of(&path("t")) {
                prop_assert!(fragment.contains('['), "{fragment}");
                let plain = fragment.replace(['[', ']'], "");
                prop_assert!(plain.chars().count() <= size, "{fragment}");
                let at = rest.find(&plain);
                prop_assert!(at.is_some(), "{fragment:?} in {rest:?}");
                rest = &rest[at.unwrap() + plain.len()..];
            }
            let query = TextQuery::parse(&word, Words::Any).unwrap();
            prop_assert_eq!(found.is_empty(), !query.matches(&text));
        }
    }
}
