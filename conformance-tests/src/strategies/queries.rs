//! Random questions, of what a store grants only.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};
use strongroom_core::model::{DocumentId, FieldDeclaration, Kind, Model, ModelBuilder, Scalar};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, Call, DateInterval, FieldPattern, Filter, Sort,
    SourceFilter, TermsOrder, Words,
};
use strongroom_core::store::{MatchingAction, Ranking};

use super::{between, body, combined, equal, integer, keyword, leaf, maybe, one_of, path, sorts};
use crate::context::{Context, usual_fields};
use crate::failure::{During, Outcome};

/// Most documents of a random collection.
pub(crate) const MOST_DOCUMENTS: usize = 24;

/// What of the optional questions are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grants {
    text: bool,
    nested: bool,
    calls: bool,
    pub(crate) backward: bool,
}

impl Grants {
    pub(crate) fn of(cx: &Context) -> Self {
        let can = cx.capabilities();
        Self {
            text: can.text_search,
            nested: can.nested_filters,
            calls: cx.calls_functions(),
            backward: can.backward_pages,
        }
    }

    /// A collection with the fields that the questions name.
    pub(crate) fn model(self, name: String, routed: bool) -> Outcome<ModelBuilder> {
        let mut builder = usual_fields(Model::builder(name));
        if routed {
            builder = builder.routed();
        }
        let mut fields = vec![("ns", Kind::Integer)];
        if self.text {
            fields.extend([("w", Kind::Text), ("ws", Kind::Text)]);
        }
        if self.nested {
            fields.extend([
                ("e", Kind::Nested),
                ("e.k", Kind::Keyword),
                ("e.n", Kind::Integer),
            ]);
        }
        for (path, kind) in fields {
            let field = FieldDeclaration::new(path.parse().during("a field")?, kind);
            builder = builder.field(match path {
                "ns" => field.many().indexed(),
                "ws" => field.many(),
                "e.k" => field.indexed(),
                _ => field,
            });
        }
        Ok(builder)
    }
}

/// A text of a few words that every engine takes apart alike.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["red", "fox", "quick", "dog", "x1"]);
    vec(word, 0..5).prop_map(|words| words.join(" "))
}

/// A body with members for every field that questions name.
pub(crate) fn rich_body() -> impl Strategy<Value = Value> {
    let object = (maybe(keyword()), maybe(integer())).prop_map(|(k, n)| {
        let mut object = json!({});
        for (name, value) in [("k", k), ("n", n)] {
            if let Some(value) = value {
                object[name] = value;
            }
        }
        object
    });
    // Values that come again, in one document and in several, and others.
    let numbers = prop_oneof![3 => vec(-1..2_i64, 0..4), 1 => vec(integer(), 0..4)];
    (
        body(),
        maybe(numbers),
        option::weighted(0.6, vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4)),
        option::weighted(0.5, prop::sample::select(vec!["a", "b"])),
        maybe(words()),
        maybe(vec(words(), 0..3)),
        maybe(vec(object, 0..4)),
    )
        .prop_map(|(mut body, ns, tags, k, w, ws, e)| {
            let (tags, k) = (tags.map(Value::from), k.map(Value::from));
            for (name, value) in [
                ("ns", ns),
                ("tags", tags),
                ("k", k),
                ("w", w),
                ("ws", ws),
                ("e", e),
            ] {
                if let Some(value) = value {
                    body[name] = value;
                }
            }
            body
        })
}

/// The bodies of a collection, and whether it is routed.
pub(crate) fn collection() -> impl Strategy<Value = (bool, Vec<Value>)> {
    (
        prop::bool::weighted(0.3),
        vec(rich_body(), 0..=MOST_DOCUMENTS),
    )
}

fn pattern() -> impl Strategy<Value = String> {
    let likely = vec!["?", "a?", "?b", "??", "?*", "*b", "a*", "*", "*?b*", ""];
    let piece = vec!["*", "?", "a", "b", "ab", "ä", "%", "_", "\\*", "\\?"];
    prop_oneof![
        2 => prop::sample::select(likely).prop_map(str::to_owned),
        1 => vec(prop::sample::select(piece), 0..5).prop_map(|pieces| pieces.concat()),
    ]
}

fn wildcard(fields: Vec<&'static str>) -> impl Strategy<Value = Filter> {
    let field = prop::sample::select(fields).prop_map(path);
    (field, pattern()).prop_map(|(field, pattern)| Filter::Wildcard { field, pattern })
}

fn ids() -> impl Strategy<Value = Filter> {
    let id = (0..MOST_DOCUMENTS + 2).prop_map(|n| {
        DocumentId::new(format!("d{n}")).unwrap_or_else(|e| panic!("an id is not allowed: {e}"))
    });
    vec(id, 0..6).prop_map(Filter::Ids)
}

fn text() -> impl Strategy<Value = Filter> {
    let asked = vec!["red", "fox", "quick red", "red fox dog", "none", "x1 fox"];
    let mode = prop::sample::select(vec![Words::Any, Words::All, Words::Phrase]);
    let field = prop::sample::select(vec!["w", "ws"]).prop_map(path);
    (field, prop::sample::select(asked), mode).prop_map(|(field, text, words)| Filter::Text {
        field,
        text: text.to_owned(),
        words,
    })
}

fn nested() -> impl Strategy<Value = Filter> {
    let k = || Just(path("e.k"));
    let n = || Just(path("e.n"));
    let leaf = prop_oneof![
        equal(k(), keyword().prop_map(Scalar::from)),
        equal(n(), integer().prop_map(Scalar::from)),
        one_of(n(), integer().prop_map(Scalar::from)),
        between(n(), integer().prop_map(Scalar::from)),
        between(k(), keyword().prop_map(Scalar::from)),
        wildcard(vec!["e.k"]),
        prop::sample::select(vec!["e.k", "e.n"])
            .prop_map(|field| Filter::Exists { field: path(field) }),
    ];
    combined(leaf.boxed(), 2).prop_map(|filter| Filter::Nested {
        field: path("e"),
        filter: Box::new(filter),
    })
}

fn call() -> impl Strategy<Value = Filter> {
    let of = |name: &str| {
        Call::new(name).unwrap_or_else(|e| panic!("the function {name} is not allowed: {e}"))
    };
    let text = || keyword().prop_map(Scalar::from);
    let number = || integer().prop_map(Scalar::from);
    prop_oneof![
        (prop::sample::select(vec!["k", "o.k"]), text())
            .prop_map(move |(field, v)| of("suite_same").field(path(field)).value(v))
            .prop_map(Filter::call),
        (prop::sample::select(vec!["n", "o.n", "x"]), number())
            .prop_map(move |(field, v)| of("suite_same").field(path(field)).value(v))
            .prop_map(Filter::call),
        (prop::sample::select(vec!["k", "o.k"]), 0..4_i64).prop_map(move |(field, length)| {
            Filter::call_eq(of("suite_length").field(path(field)), length)
        }),
        prop::sample::select(vec!["n", "x", "at", "b"]).prop_map(move |field| {
            let half = of("suite_half").field(path(field));
            Filter::call(of("suite_same").call(half).field(path("n")))
        }),
        prop::sample::select(vec!["k", "n", "b", "at"]).prop_map(move |field| {
            Filter::call_eq(of("suite_text").field(path(field)), "none")
        }),
    ]
}

/// A filter of a few levels with every node that is granted.
pub(crate) fn rich_filter(can: Grants) -> BoxedStrategy<Filter> {
    let mut leaves = vec![
        (6, leaf().boxed()),
        (2, wildcard(vec!["k", "o.k", "tags"]).boxed()),
        (1, ids().boxed()),
        (
            1,
            between(Just(path("ns")), integer().prop_map(Scalar::from)).boxed(),
        ),
        (
            1,
            one_of(Just(path("ns")), integer().prop_map(Scalar::from)).boxed(),
        ),
    ];
    if can.text {
        leaves.push((1, text().boxed()));
    }
    if can.nested {
        leaves.push((2, nested().boxed()));
    }
    if can.calls {
        leaves.push((1, call().boxed()));
    }
    combined(Union::new_weighted(leaves).boxed(), 3)
}

/// Which parts of the bodies.
pub(crate) fn source() -> impl Strategy<Value = SourceFilter> {
    let pattern = prop::sample::select(vec![
        "k",
        "n",
        "o",
        "o.*",
        "*.n",
        "tags",
        "e.k",
        "extra",
        "*",
        "t*s",
        "none.deeper",
    ]);
    let pattern = pattern.prop_map(|text| {
        text.parse::<FieldPattern>()
            .unwrap_or_else(|e| panic!("the pattern {text} is not allowed: {e}"))
    });
    let patterns = vec(pattern, 0..3).boxed();
    prop_oneof![
        3 => Just(SourceFilter::All),
        1 => patterns.clone().prop_map(SourceFilter::Include),
        1 => patterns.prop_map(SourceFilter::Exclude),
    ]
}

/// What every question has: a filter, a routing of those that there are, or none.
#[derive(Clone, Debug)]
pub(crate) struct Which {
    pub(crate) filter: Filter,
    pub(crate) routing: Option<&'static str>,
}

pub(crate) fn which(can: Grants) -> impl Strategy<Value = Which> {
    let routing = option::weighted(0.3, prop::sample::select(vec!["r", "s", "none"]));
    let filter = prop_oneof![2 => rich_filter(can), 1 => Just(Filter::all())];
    (filter, routing).prop_map(|(filter, routing)| Which { filter, routing })
}

/// A page, forwards or backwards.
#[derive(Clone, Debug)]
pub(crate) struct PageOf {
    pub(crate) which: Which,
    pub(crate) sort: Vec<Sort>,
    pub(crate) source: SourceFilter,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) counted: bool,
    pub(crate) backward: bool,
}

pub(crate) fn page(can: Grants) -> impl Strategy<Value = PageOf> {
    (
        which(can),
        sorts(),
        source(),
        1..12_usize,
        prop_oneof![3 => Just(0), 1 => 1..6_usize],
        any::<bool>(),
        prop::bool::weighted(0.4),
    )
        .prop_map(
            move |(which, sort, source, limit, offset, counted, backward)| PageOf {
                which,
                sort,
                source,
                limit,
                offset,
                counted,
                backward: backward && can.backward,
            },
        )
}

fn field(fields: Vec<&'static str>) -> impl Strategy<Value = strongroom_core::model::FieldPath> {
    prop::sample::select(fields).prop_map(path)
}

fn metric(numbers: Vec<&'static str>, others: Vec<&'static str>) -> BoxedStrategy<Aggregation> {
    let mut any = numbers.clone();
    any.extend(others);
    prop_oneof![
        field(any.clone()).prop_map(|field| Aggregation::Count { field }),
        field(any).prop_map(|field| Aggregation::Cardinality { field }),
        field(numbers.clone()).prop_map(|field| Aggregation::Min { field }),
        field(numbers.clone()).prop_map(|field| Aggregation::Max { field }),
        field(numbers.clone()).prop_map(|field| Aggregation::Sum { field }),
        field(numbers.clone()).prop_map(|field| Aggregation::Average { field }),
        field(numbers).prop_map(|field| Aggregation::Stats { field }),
    ]
    .boxed()
}

fn of_documents() -> BoxedStrategy<Aggregation> {
    let hits = (sorts(), 1..4_usize, source());
    prop_oneof![
        4 => metric(vec!["n", "x", "at", "o.n", "ns"], vec!["k", "b", "tags", "o.k"]),
        1 => hits.prop_map(|(sort, size, source)| Aggregation::TopHits { sort, size, source }),
    ]
    .boxed()
}

fn inner(one: BoxedStrategy<Aggregation>) -> impl Strategy<Value = Aggregations> {
    btree_map("[a-c]", one, 0..3)
}

fn interval() -> impl Strategy<Value = DateInterval> {
    let units = vec![
        CalendarUnit::Minute,
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
    ];
    let lengths = vec![1, 1_000, 3_600_000, 2_592_000_000];
    prop_oneof![
        2 => prop::sample::select(units).prop_map(DateInterval::Calendar),
        1 => prop::sample::select(lengths)
            .prop_map(|milliseconds| DateInterval::Fixed { milliseconds }),
    ]
}

/// A few aggregations, with some in their buckets.
pub(crate) fn aggregations(can: Grants) -> impl Strategy<Value = Aggregations> {
    let orders = vec![
        TermsOrder::CountDescending,
        TermsOrder::CountAscending,
        TermsOrder::KeyAscending,
        TermsOrder::KeyDescending,
    ];
    let comparable = vec!["k", "n", "x", "b", "at", "tags", "o.k", "o.n", "ns"];
    let terms = (
        field(comparable),
        1..6_usize,
        prop::sample::select(orders),
        inner(of_documents()),
    );
    let histogram = (
        field(vec!["n", "x", "o.n", "ns"]),
        prop::sample::select(vec![0.5, 1.0, 2.0, 10.0, 1e6]),
        prop::sample::select(vec![0.0, 0.25, -3.0]),
        inner(of_documents()),
    );
    let dates = (Just(path("at")), interval(), inner(of_documents()));
    let mut one = vec![
        (3, of_documents()),
        (
            3,
            terms
                .prop_map(|(field, size, order, within)| Aggregation::Terms {
                    field,
                    size,
                    order,
                    within,
                })
                .boxed(),
        ),
        (
            2,
            histogram
                .prop_map(|(field, interval, offset, within)| Aggregation::Histogram {
                    field,
                    interval,
                    offset,
                    within,
                })
                .boxed(),
        ),
        (
            1,
            dates
                .prop_map(|(field, interval, within)| Aggregation::DateHistogram {
                    field,
                    interval,
                    within,
                })
                .boxed(),
        ),
        (
            1,
            (rich_filter(can), inner(of_documents()))
                .prop_map(|(filter, within)| Aggregation::Filter { filter, within })
                .boxed(),
        ),
    ];
    if can.nested {
        let within = inner(metric(vec!["e.n"], vec!["e.k"]));
        let nested = within.prop_map(|within| Aggregation::Nested {
            field: path("e"),
            within,
        });
        one.push((1, nested.boxed()));
    }
    btree_map("[a-z]", Union::new_weighted(one), 1..4)
}

/// One sort key by which many documents tie.
fn ties() -> impl Strategy<Value = Vec<Sort>> {
    field(vec!["b", "k", "tags", "ns"]).prop_map(|field| vec![Sort::ascending(field)])
}

/// Groups by a field.
#[derive(Clone, Debug)]
pub(crate) struct GroupsBy {
    pub(crate) which: Which,
    pub(crate) by: &'static str,
    pub(crate) sort: Vec<Sort>,
    pub(crate) ranking: Ranking,
    pub(crate) size: usize,
    pub(crate) groups: usize,
    pub(crate) source: SourceFilter,
}

pub(crate) fn groups(can: Grants) -> impl Strategy<Value = GroupsBy> {
    let rankings = vec![Ranking::RowNumber, Ranking::Rank, Ranking::DenseRank];
    (
        which(can),
        prop::sample::select(vec!["k", "k", "b", "b", "n", "x", "at", "o.k", "o.n"]),
        prop_oneof![1 => sorts().boxed(), 2 => ties().boxed()],
        prop::sample::select(rankings),
        1..5_usize,
        1..6_usize,
        source(),
    )
        .prop_map(
            |(which, by, sort, ranking, size, groups, source)| GroupsBy {
                which,
                by,
                sort,
                ranking,
                size,
                groups,
                source,
            },
        )
}

/// What is done to what matches, in steps of so many.
pub(crate) fn matching(can: Grants) -> impl Strategy<Value = (Which, MatchingAction, usize)> {
    let action = prop_oneof![
        4 => super::patch().prop_map(MatchingAction::Patch),
        1 => Just(MatchingAction::Delete),
    ];
    (which(can), action, 1..8_usize)
}
