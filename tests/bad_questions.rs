//! Questions that are wrong in themselves are told so, naming what is wrong, before any I/O.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::aggregate::CalendarUnit;
use strongroom::model::FieldPath;
use strongroom::prelude::*;
use strongroom::query::{Aggregation, Aggregations, Call, Cursor, DateInterval, TermsOrder};
use strongroom::store::{
    AggregateRequest, FindRequest, GroupRequest, PageStart, ScanRequest, Search as _,
};
use support::{Watched, watched};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "posts")]
struct Post {
    #[document(id)]
    id: String,
    #[document(text)]
    words: String,
    #[document(keyword)]
    author: String,
    at: Timestamp,
    reads: i64,
}

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

#[tokio::test]
async fn are_refused_before_any_io() -> Result<()> {
    let Watched { db, spy, .. } = watched();
    let posts = db.collection::<Post>();
    posts.ensure().await?;
    let post = |n: i64| Post {
        id: format!("p{n}"),
        words: "some words".to_owned(),
        author: "ada".to_owned(),
        at: Timestamp::from_millis(n).unwrap(),
        reads: n,
    };
    posts.insert_many((0..3).map(post)).await?;
    let f = Post::fields();
    let first = posts.find(f.reads().gte(0)).limit(1).page().await?;
    let cursor = first.cursor().unwrap().clone();
    let store = db.store().clone();
    let model = posts.model()?.clone();
    spy.take();

    let deep = (0..40).fold(f.reads().eq(1), |filter, _| Filter::Not(Box::new(filter)));
    let stars = "*a".repeat(200);
    let mut filters = vec![
        ("nowhere", Filter::eq("nowhere", 1)?),
        ("nowhere", Filter::exists("nowhere")?),
        ("at", Filter::eq("at", "2026-02-30")?),
        ("at", Filter::gte("at", "yesterday")?),
        ("reads", Filter::eq("reads", "many")?),
        ("words", Filter::eq("words", "some words")?),
        ("words", Filter::prefix("words", "some")?),
        (
            "author",
            Filter::text("author", "ada", strongroom::query::Words::All)?,
        ),
        ("no word", f.words().has_any_word("--- !")),
        ("reads", Filter::wildcard("reads", "1*")?),
        ("levels", deep),
        ("not a finite number", Filter::gt("reads", f64::NAN)?),
        ("function nosuch", Filter::call(Call::new("nosuch")?)),
        (
            "native conditions of sqlite",
            Filter::native("sqlite", "1 = 1", Vec::<i64>::new()),
        ),
    ];
    filters.push(("wildcard", f.author().wildcard(&stars)));
    for (says, filter) in filters {
        let error = posts.find(filter.clone()).page().await.unwrap_err();
        let unsupported = says.contains("function") || says.contains("native");
        let kind = if unsupported {
            ErrorKind::Unsupported
        } else {
            ErrorKind::Invalid
        };
        assert_eq!(error.kind(), kind, "{filter:?}: {error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        let counted = posts.find(filter.clone()).count().await.unwrap_err();
        assert_eq!(counted.kind(), kind, "{counted}");
        let deleted = posts.delete_matching(filter).send().await.unwrap_err();
        assert_eq!(deleted.kind(), kind, "{deleted}");
    }

    let all = || FindRequest::new(model.clone(), Filter::all());
    let mut by_text = all();
    by_text.sort = vec![Sort::ascending(path("words"))];
    let mut by_nothing = all();
    by_nothing.sort = vec![Sort::ascending(path("nowhere"))];
    let mut huge = all();
    huge.limit = 10_001;
    let mut empty = all();
    empty.limit = 0;
    let mut far = all();
    (far.offset, far.limit) = (9_990, 11);
    let mut elsewhere = all();
    elsewhere.start = PageStart::After(cursor.clone());
    for (says, request) in [
        ("words", by_text),
        ("nowhere", by_nothing),
        ("10001", huge),
        ("limit of 0", empty),
        ("10001", far),
        ("cursor", elsewhere),
    ] {
        let error = store.find(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(says), "{says}: {error}");
    }
    // A cursor that was changed on its way.
    let text = cursor.to_string();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        let other = if changed[at] == b'A' { b'B' } else { b'A' };
        changed[at] = other;
        let changed = String::from_utf8(changed).unwrap().parse::<Cursor>();
        assert_eq!(changed.unwrap_err().kind(), ErrorKind::Invalid);
    }
    spy.take();

    let field = || path("reads");
    let histogram = |interval: f64| Aggregation::Histogram {
        field: field(),
        interval,
        offset: 0.0,
        within: Aggregations::new(),
    };
    let dates = |field: &str, milliseconds| Aggregation::DateHistogram {
        field: path(field),
        interval: DateInterval::Fixed { milliseconds },
        within: Aggregations::new(),
    };
    let terms = |field: &str, size| Aggregation::Terms {
        field: path(field),
        size,
        order: TermsOrder::default(),
        within: Aggregations::new(),
    };
    for (says, aggregation) in [
        ("interval of 0", histogram(0.0)),
        ("interval of -1", histogram(-1.0)),
        ("interval of NaN", histogram(f64::NAN)),
        ("interval of 0 ms", dates("at", 0)),
        ("timestamps", dates("reads", 1)),
        ("words", terms("words", 10)),
        ("size of 0", terms("author", 0)),
        ("size of 10001", terms("author", 10_001)),
        ("nowhere", terms("nowhere", 1)),
        (
            "author",
            Aggregation::Sum {
                field: path("author"),
            },
        ),
    ] {
        let aggregations = BTreeMap::from([("it".to_owned(), aggregation)]);
        let request = AggregateRequest::new(model.clone(), Filter::all(), aggregations);
        let error = store.aggregate(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(says), "{says}: {error}");
    }
    let by_month = f.at().date_histogram(CalendarUnit::Month);
    assert_eq!(
        posts.find(Filter::all()).aggregate(by_month).await?.len(),
        1
    );

    spy.take();
    let mut group = GroupRequest::new(model.clone(), Filter::all(), path("words"));
    let error = store.group(group.clone()).await.unwrap_err();
    assert!(error.message().contains("words"), "{error}");
    group.by = path("author");
    (group.size, group.groups) = (101, 100);
    let error = store.group(group).await.unwrap_err();
    assert!(error.message().contains("10000"), "{error}");
    let mut scan = ScanRequest::new(model, Filter::all());
    scan.batch = 0;
    assert_eq!(
        store.scan(scan).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    for pattern in ["", "a..b", ".", "a.\0"] {
        let pattern = pattern.parse::<strongroom::query::FieldPattern>();
        assert!(pattern.is_err(), "{pattern:?}");
    }
    assert_eq!(spy.take(), [], "nothing of it reached the store");
    Ok(())
}
