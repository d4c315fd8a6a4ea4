//! A simple score, for stores that have no index of words.

use serde_json::{Map, Value};

use super::values::FieldReader;
use super::{Filter, TextQuery};
use crate::error::Result;
use crate::model::Model;

/// How often what a filter asks of texts stands in them: the words that are asked for, and the
/// phrases. What stands beneath a `Not` does not count.
///
/// It is the score that the in-memory store tells, so that tests know it beforehand. Search engines
/// weigh words by how rare they are and texts by how long they are; only that what fits better
/// comes first is common to all.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Body, FieldDeclaration, Kind, Model};
/// use strongroom_core::query::{Filter, Scorer, Words};
///
/// let model = Model::builder("notes")
///     .field(FieldDeclaration::new("text".parse()?, Kind::Text))
///     .build()?;
/// let scorer = Scorer::new(&Filter::text("text", "red fox", Words::Any)?, &model)?;
/// let note = Body::parse(r#"{"text":"A fox, a red fox."}"#)?.to_object()?;
/// assert_eq!(scorer.score(&note), 3.0);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scorer {
    asked: Vec<(FieldReader, TextQuery)>,
}

impl Scorer {
    /// Makes a filter's conditions on text ready.
    ///
    /// # Errors
    ///
    /// `Invalid` if a field is not declared, or a condition asks for no word.
    pub fn new(filter: &Filter, model: &Model) -> Result<Self> {
        let texts = filter.texts().into_iter();
        let asked = texts.map(|(field, text, words)| {
            let reader = FieldReader::new(model, field)?;
            Ok((reader, TextQuery::parse(text, words)?))
        });
        Ok(Self {
            asked: asked.collect::<Result<_>>()?,
        })
    }

    /// The score of a document.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "no text has 2^53 words")]
    pub fn score(&self, object: &Map<String, Value>) -> f64 {
        let counts = self.asked.iter().flat_map(|(reader, query)| {
            let texts = reader.texts(object).into_iter();
            texts.map(|text| query.occurrences(text).len())
        });
        counts.sum::<usize>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};
    use crate::query::Words;
    use serde_json::json;

    #[test]
    fn what_speaks_for_a_document_counts() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("m")
            .field(field("t", Kind::Text).many())
            .field(field("k", Kind::Keyword))
            .field(field("o", Kind::Nested).many())
            .field(field("o.t", Kind::Text).many())
            .build()
            .unwrap();
        let body =
            json!({"t": ["a b a", "b c", 7, null], "k": "a", "o": [{"t": "a"}, {"t": "b a"}]});
        let score = |filter: &Filter| {
            let scorer = Scorer::new(filter, &model).unwrap();
            scorer.score(body.as_object().unwrap())
        };
        let text = |words, mode| Filter::text("t", words, mode).unwrap();
        let inner = Filter::text("o.t", "a", Words::Any).unwrap();
        let a = text("a", Words::Any);
        for (filter, wanted) in [
            (Filter::all(), 0.0),
            (Filter::eq("k", "a").unwrap(), 0.0),
            (a.clone(), 2.0),
            (text("A b", Words::All), 4.0),
            (text("b a", Words::Phrase), 1.0),
            (text("z", Words::Any), 0.0),
            (!a.clone(), 0.0),
            (Filter::Not(Box::new(!a.clone())), 2.0),
            (a.clone().and(text("c", Words::Any)), 3.0),
            (text("c", Words::Any).or(Filter::eq("k", "a").unwrap()), 1.0),
            (Filter::nested("o", inner).unwrap().and(a), 4.0),
        ] {
            assert_eq!(score(&filter), wanted, "{filter:?}");
        }
        assert!(Scorer::new(&Filter::text("z", "a", Words::Any).unwrap(), &model).is_err());
    }
}
