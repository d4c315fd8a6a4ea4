//! From a filter to a query that scores what it finds.
//!
//! What speaks for a document are its words: the conditions on text outside of a `Not`, and native
//! conditions, whose scores the engine knows. Everything else only decides whether it is found. A
//! word weighs what the engine makes of it (BM25: the rarer in all of the collection, the more, and
//! the more the shorter the text), conditions that hold together add up, and of the objects of a
//! nested field the best counts.

use serde_json::{Value, json};
use strongroom_core::query::{Filter, Sort};
use strongroom_core::{Error, Result};

use super::filter;
use super::path::Place;

/// The query that finds what a checked filter means, for an order.
///
/// # Errors
///
/// As for [`query`](filter::query).
pub(crate) fn asked(filter: &Filter, sorts: &[Sort], place: Place<'_>) -> Result<Value> {
    if sorts.iter().any(Sort::is_by_score) {
        scored(filter, place, 1)
    } else {
        filter::query(filter, place)
    }
}

fn scored(asked: &Filter, place: Place<'_>, depth: usize) -> Result<Value> {
    if !speaks(asked) {
        return decides(asked, place, depth);
    }
    filter::check_depth(depth)?;
    // What only decides is put together, so that it is compiled to as few clauses as ever.
    let apart = |filters: &[Filter]| -> Result<(Vec<Value>, Vec<Filter>)> {
        let (loud, quiet): (Vec<_>, Vec<_>) = filters.iter().cloned().partition(speaks);
        let loud = loud.iter().map(|f| scored(f, place, depth + 1));
        Ok((loud.collect::<Result<_>>()?, quiet))
    };
    Ok(match asked {
        Filter::Text { field, text, words } => {
            filter::text(field, text, *words, place, filter::Weight::Score)?
        }
        Filter::Nested { field, filter } => json!({"nested": {
            "path": place.path_of(field),
            "query": scored(filter, place.objects(field), depth + 1)?,
            "score_mode": "max",
        }}),
        Filter::And(filters) => {
            let (mut must, quiet) = apart(filters)?;
            if !quiet.is_empty() {
                must.push(decides(&Filter::And(quiet), place, depth + 1)?);
            }
            json!({"bool": {"must": must}})
        }
        Filter::Or(filters) => {
            let (mut should, quiet) = apart(filters)?;
            if !quiet.is_empty() {
                should.push(decides(&Filter::Or(quiet), place, depth + 1)?);
            }
            json!({"bool": {"should": should, "minimum_should_match": 1}})
        }
        Filter::Not(inner) => match &**inner {
            Filter::Not(twice) => scored(twice, place, depth)?,
            _ => return Err(Error::internal("a filter that is denied has a score")),
        },
        other => filter::compile(other, place, depth)?,
    })
}

/// A condition that only decides adds nothing to the score.
fn decides(asked: &Filter, place: Place<'_>, depth: usize) -> Result<Value> {
    let query = filter::compile(asked, place, depth + 1)?;
    Ok(json!({"bool": {"filter": [query]}}))
}

/// Whether a filter has a condition that makes a score.
fn speaks(filter: &Filter) -> bool {
    match filter {
        Filter::Text { .. } | Filter::Native(_) => true,
        Filter::Nested { filter, .. } => speaks(filter),
        Filter::And(filters) | Filter::Or(filters) => filters.iter().any(speaks),
        Filter::Not(inner) => match &**inner {
            Filter::Not(twice) => speaks(twice),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;
    use strongroom_core::model::{FieldDeclaration, Kind, Model};
    use strongroom_core::query::Words;

    fn model() -> std::sync::Arc<Model> {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        Model::builder("a")
            .field(field("k", Kind::Keyword))
            .field(field("t", Kind::Text))
            .field(field("i", Kind::Nested))
            .field(field("i.t", Kind::Text))
            .build()
            .unwrap()
    }

    fn text(words: &str, mode: Words) -> Filter {
        Filter::text("t", words, mode).unwrap()
    }

    #[track_caller]
    fn check(filter: &Filter, expected: &Value) {
        let model = model();
        filter.check(&model).unwrap();
        let place = Place::documents(&model);
        assert_eq!(
            &asked(filter, &[Sort::by_score()], place).unwrap(),
            expected
        );
        // Whatever does not look at the score is asked as ever.
        let unscored = asked(filter, &[], place).unwrap();
        assert_eq!(unscored, filter::query(filter, place).unwrap());
    }

    #[test]
    fn words_score() {
        let term = |word: &str| json!({"term": {"t.t": {"value": word}}});
        check(
            &text("a", Words::Any),
            &json!({"bool": {"should": [term("a")], "minimum_should_match": 1}}),
        );
        check(
            &text("a b", Words::Any),
            &json!({"bool": {"should": [term("a"), term("b")], "minimum_should_match": 1}}),
        );
        check(
            &text("a b", Words::All),
            &json!({"bool": {"must": [term("a"), term("b")]}}),
        );
        check(
            &text("a b", Words::Phrase),
            &json!({"match_phrase": {"t.t": {"query": "a b"}}}),
        );
    }

    #[test]
    fn other_conditions_only_decide() {
        let k = Filter::eq("k", "x").unwrap();
        let decides = json!({"bool": {"filter": [{"terms": {"body.k": ["x"]}}]}});
        check(&k, &decides);
        let phrase = json!({"match_phrase": {"t.t": {"query": "a"}}});
        let a = text("a", Words::Phrase);
        check(
            &a.clone().and(k.clone()),
            &json!({"bool": {"must": [phrase, decides]}}),
        );
        check(
            &a.clone().or(k.clone()),
            &json!({"bool": {"should": [phrase, decides], "minimum_should_match": 1}}),
        );
        // Many alternatives of one field stay one clause.
        let values = ["y", "z"].map(|value| Filter::eq("k", value).unwrap());
        let [y, z] = values;
        let both = json!({"bool": {"filter": [{"terms": {"body.k": ["y", "z"]}}]}});
        check(
            &Filter::Or(vec![y, a.clone(), z]),
            &json!({"bool": {"should": [phrase, both], "minimum_should_match": 1}}),
        );
        check(
            &!a.clone(),
            &json!({"bool": {"filter": [{"bool": {"must_not": [phrase]}}]}}),
        );
        check(&Filter::Not(Box::new(Filter::Not(Box::new(a)))), &phrase);
        let native = Filter::native("elasticsearch", r#"{"knn":{}}"#, Vec::<i64>::new());
        check(
            &native.and(k),
            &json!({"bool": {"must": [{"knn": {}}, decides]}}),
        );
    }

    #[test]
    fn the_best_object_counts() {
        let inner = Filter::text("i.t", "a", Words::Phrase).unwrap();
        check(
            &Filter::nested("i", inner).unwrap(),
            &json!({"nested": {
                "path": "n.i",
                "query": {"match_phrase": {"n.i.t.i%2et": {"query": "a"}}},
                "score_mode": "max",
            }}),
        );
    }

    #[test]
    fn too_deep_for_the_engine() {
        let mut filter = text("a", Words::Any);
        for _ in 0..30 {
            filter = Filter::And(vec![Filter::all(), filter]);
        }
        let model = model();
        let error = asked(&filter, &[Sort::by_score()], Place::documents(&model)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
