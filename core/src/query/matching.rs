//! What a filter means.

use std::cmp::Ordering;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::Filter;
use super::values::{FieldReader, compare};
use crate::error::Result;
use crate::model::{Body, Model, Scalar};

/// A filter made ready to be asked about many documents of one collection.
///
/// It is the one meaning of a filter: the in-memory store asks it, and every engine's answers are
/// compared with it.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{Body, FieldDeclaration, Kind, Model};
/// use strongroom_core::query::{Filter, Matcher};
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("tags".parse()?, Kind::Keyword).many())
///     .build()?;
/// let matcher = Matcher::new(&Filter::prefix("tags", "b")?, &model)?;
/// assert!(matcher.matches_body(&Body::parse(r#"{"tags":["a","bc"]}"#)?)?);
/// assert!(!matcher.matches_body(&Body::parse(r#"{"tags":[]}"#)?)?);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Matcher(Node);

#[derive(Clone, Debug)]
enum Node {
    In(FieldReader, Vec<Scalar>),
    Range(FieldReader, Bound<Scalar>, Bound<Scalar>),
    Prefix(FieldReader, String),
    Exists(FieldReader),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
}

impl Matcher {
    /// Checks a filter against a model and makes it ready.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Filter::check`].
    pub fn new(filter: &Filter, model: &Model) -> Result<Self> {
        filter.check(model)?;
        compile(filter, model).map(Self)
    }

    /// Whether a parsed body matches.
    #[must_use]
    pub fn matches(&self, object: &Map<String, Value>) -> bool {
        holds(&self.0, object)
    }

    /// Whether a body matches.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted body is not a JSON object.
    pub fn matches_body(&self, body: &Body) -> Result<bool> {
        Ok(self.matches(&body.to_object()?))
    }
}

fn compile(filter: &Filter, model: &Model) -> Result<Node> {
    let reader = |field| FieldReader::new(model, field);
    let nodes = |filters: &[Filter]| -> Result<Vec<Node>> {
        filters.iter().map(|f| compile(f, model)).collect()
    };
    Ok(match filter {
        Filter::Eq { field, value } => Node::In(reader(field)?, vec![value.clone()]),
        Filter::In { field, values } => Node::In(reader(field)?, values.clone()),
        Filter::Range {
            field,
            lower,
            upper,
        } => Node::Range(reader(field)?, lower.clone(), upper.clone()),
        Filter::Prefix { field, prefix } => Node::Prefix(reader(field)?, prefix.clone()),
        Filter::Exists { field } => Node::Exists(reader(field)?),
        Filter::And(all) => Node::All(nodes(all)?),
        Filter::Or(any) => Node::Any(nodes(any)?),
        Filter::Not(inner) => Node::Not(Box::new(compile(inner, model)?)),
    })
}

fn holds(node: &Node, object: &Map<String, Value>) -> bool {
    match node {
        Node::In(field, values) => field.any_value(object, |leaf| {
            values
                .iter()
                .any(|value| compare(leaf, value) == Some(Ordering::Equal))
        }),
        Node::Range(field, lower, upper) => field.any_value(object, |leaf| {
            within(leaf, lower, Ordering::Greater) && within(leaf, upper, Ordering::Less)
        }),
        Node::Prefix(field, prefix) => field.any_value(object, |leaf| {
            leaf.as_str()
                .is_some_and(|text| text.as_bytes().starts_with(prefix.as_bytes()))
        }),
        Node::Exists(field) => field.exists(object),
        Node::All(all) => all.iter().all(|node| holds(node, object)),
        Node::Any(any) => any.iter().any(|node| holds(node, object)),
        Node::Not(inner) => !holds(inner, object),
    }
}

/// Whether a leaf lies on the `side` of the bound where the range is.
fn within(leaf: &Value, bound: &Bound<Scalar>, side: Ordering) -> bool {
    match bound {
        Bound::Unbounded => true,
        Bound::Excluded(value) => compare(leaf, value) == Some(side),
        Bound::Included(value) => {
            compare(leaf, value).is_some_and(|order| order == side || order == Ordering::Equal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};
    use serde_json::json;
    use std::sync::Arc;

    fn model() -> Arc<Model> {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        Model::builder("c")
            .field(field("k", Kind::Keyword).many())
            .field(field("n", Kind::Integer).many())
            .field(field("x", Kind::Float))
            .field(field("b", Kind::Boolean))
            .field(field("t", Kind::Timestamp))
            .field(field("o.n", Kind::Integer).many())
            .build()
            .unwrap()
    }

    #[track_caller]
    fn check(filter: Result<Filter>, yes: &[Value], no: &[Value]) {
        let filter = filter.unwrap();
        let matcher = Matcher::new(&filter, &model()).unwrap();
        let complement = Matcher::new(&!filter, &model()).unwrap();
        for (bodies, wanted) in [(yes, true), (no, false)] {
            for body in bodies {
                let object = body.as_object().unwrap();
                assert_eq!(matcher.matches(object), wanted, "{body}");
                assert_eq!(complement.matches(object), !wanted, "not of {body}");
            }
        }
    }

    #[test]
    fn equality_is_of_one_type_and_of_some_value() {
        check(
            Filter::eq("n", 1),
            &[json!({"n":1}), json!({"n":1.0}), json!({"n":[0,1]})],
            &[
                json!({}),
                json!({"n":null}),
                json!({"n":"1"}),
                json!({"n":true}),
                json!({"n":[]}),
                json!({"n":1.5}),
            ],
        );
        check(
            Filter::eq("n", 9_007_199_254_740_993_i64),
            &[json!({"n":9_007_199_254_740_993_i64})],
            &[
                json!({"n":9_007_199_254_740_992_i64}),
                json!({"n":9_007_199_254_740_992.0}),
            ],
        );
        check(
            Filter::eq("k", "é"),
            &[json!({"k":"é"}), json!({"k":["a","é"]})],
            &[json!({"k":"e\u{301}"}), json!({"k":"É"}), json!({"k":"é "})],
        );
        check(
            Filter::eq("b", false),
            &[json!({"b":false})],
            &[json!({"b":0}), json!({"b":true}), json!({})],
        );
        check(
            Filter::eq("o.n", 2),
            &[json!({"o":[{"n":1},{"n":[2]}]})],
            &[json!({"o":[{"m":2}]}), json!({"o":2})],
        );
    }

    #[test]
    fn lists() {
        check(
            Filter::is_in("n", [1, 3]),
            &[json!({"n":3}), json!({"n":[2,1]})],
            &[json!({"n":2}), json!({})],
        );
        check(
            Filter::is_in("n", Vec::<i64>::new()),
            &[],
            &[json!({"n":1}), json!({})],
        );
    }

    #[test]
    fn ranges_hold_of_one_value() {
        let between = Filter::range(
            "n",
            Bound::Included(Scalar::from(2)),
            Bound::Excluded(Scalar::from(4)),
        );
        check(
            between,
            &[json!({"n":2}), json!({"n":3.9}), json!({"n":[9,2]})],
            // 1 and 9 lie on the two sides, and neither lies between.
            &[json!({"n":4}), json!({"n":[1,9]}), json!({})],
        );
        check(
            Filter::range("n", Bound::Unbounded, Bound::Unbounded),
            &[json!({"n":0})],
            &[json!({}), json!({"n":"x"})],
        );
        check(
            Filter::gt("k", "a"),
            &[json!({"k":"a\0"}), json!({"k":"b"}), json!({"k":"ä"})],
            &[json!({"k":"a"}), json!({"k":"Z"}), json!({"k":5})],
        );
        check(
            Filter::gte("b", true),
            &[json!({"b":true})],
            &[json!({"b":false})],
        );
        check(
            Filter::lte("t", 10),
            &[json!({"t":10}), json!({"t":-1})],
            // No timestamp has a fraction.
            &[json!({"t":11}), json!({"t":1.5})],
        );
    }

    #[test]
    fn prefixes_by_bytes() {
        check(
            Filter::prefix("k", "a%"),
            &[json!({"k":"a%"}), json!({"k":["x","a%b"]})],
            &[json!({"k":"ab"}), json!({"k":"A%"}), json!({})],
        );
        check(
            Filter::prefix("k", ""),
            &[json!({"k":""})],
            &[json!({}), json!({"k":1})],
        );
    }

    #[test]
    fn connectives() {
        check(Ok(Filter::all()), &[json!({})], &[]);
        check(Ok(Filter::Or(vec![])), &[], &[json!({})]);
        let n = |n| Filter::eq("n", n).unwrap();
        check(Ok(n(1).and(n(2))), &[json!({"n":[1,2]})], &[json!({"n":1})]);
        check(
            Ok(n(1).or(n(2))),
            &[json!({"n":2})],
            &[json!({"n":3}), json!({})],
        );
    }

    #[test]
    fn a_filter_is_checked_first() {
        assert!(Matcher::new(&Filter::eq("z", 1).unwrap(), &model()).is_err());
        assert!(Matcher::new(&Filter::eq("k", 1).unwrap(), &model()).is_err());
    }
}
