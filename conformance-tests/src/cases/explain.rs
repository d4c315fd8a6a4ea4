//! Explanations: every question that is granted has one, with its statement, and nothing is done.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Aggregation, Aggregations, Filter, Sort, SourceFilter, TermsOrder};
use strongroom_core::store::{
    AggregateRequest, CountRequest, ExplainRequest, GroupRequest, MatchingAction, MatchingRequest,
    PageStart, ScanRequest, Total,
};

use crate::context::{Context, not_granted};
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, check, check_eq};

/// Questions of every kind that the store grants.
fn questions(docs: &Docs, cx: &Context) -> Outcome<Vec<ExplainRequest>> {
    let can = cx.capabilities();
    let model = || docs.model().clone();
    let filter = || Filter::gte("n", 1).map(|f| f.and(!Filter::all().and(!Filter::all())));
    let mut find = docs.query(filter()?);
    find.sort = vec![Sort::descending("n".parse()?).missing_first()];
    (find.limit, find.offset, find.total) = (3, 1, Total::Exact);
    find.source = SourceFilter::Include(vec!["k".parse()?]);
    let mut all = vec![
        ExplainRequest::Find(docs.query(Filter::all())),
        ExplainRequest::Find(find.clone()),
        ExplainRequest::Count(CountRequest::new(model(), filter()?)),
    ];
    if can.backward_pages {
        (find.offset, find.start) = (0, PageStart::Last);
        all.push(ExplainRequest::Find(find));
    }
    if can.aggregations {
        let terms = Aggregation::Terms {
            field: "k".parse()?,
            size: 3,
            order: TermsOrder::default(),
            within: Aggregations::from([(
                "m".to_owned(),
                Aggregation::Max {
                    field: "n".parse()?,
                },
            )]),
        };
        let asked = Aggregations::from([
            ("t".to_owned(), terms),
            (
                "c".to_owned(),
                Aggregation::Count {
                    field: "n".parse()?,
                },
            ),
        ]);
        all.push(ExplainRequest::Aggregate(AggregateRequest::new(
            model(),
            filter()?,
            asked,
        )));
    }
    if can.groups {
        all.push(ExplainRequest::Group(GroupRequest::new(
            model(),
            filter()?,
            "k".parse()?,
        )));
    }
    if can.scans {
        all.push(ExplainRequest::Scan(ScanRequest::new(model(), filter()?)));
    }
    if can.matching_writes {
        let patch = Patch::new().set("k".parse()?, "explained");
        for action in [MatchingAction::Delete, MatchingAction::Patch(patch)] {
            for after in [None, Some(key("d1")?)] {
                let mut request = MatchingRequest::new(model(), Filter::all(), action.clone());
                request.after = after;
                all.push(ExplainRequest::Matching(request));
            }
        }
    }
    Ok(all)
}

async fn filled(cx: &Context) -> Outcome<Docs> {
    let docs = cx.docs().await?;
    for n in 0..5 {
        docs.create(&key(&format!("d{n}"))?, &json!({"n": n, "k": "v"}))
            .await?;
    }
    docs.refresh().await?;
    Ok(docs)
}

/// Whether the store explains anything; one that does not has to say so.
async fn explains(docs: &Docs) -> Outcome<bool> {
    let request = ExplainRequest::Find(docs.query(Filter::all()));
    match docs.store().explain(request).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            not_granted("explanations").map(|()| false)
        }
        other => other.during("explaining").map(|_| true),
    }
}

pub(crate) async fn every_question(cx: &Context) -> Outcome {
    let docs = filled(cx).await?;
    if !explains(&docs).await? {
        return Ok(());
    }
    for question in questions(&docs, cx)? {
        let what = format!("explaining {question:?}");
        let explained = docs.store().explain(question).await.during(&what)?;
        check!(
            !explained.statements.is_empty(),
            "{what}: there is no statement"
        );
        for statement in &explained.statements {
            check!(
                !statement.text.trim().is_empty(),
                "{what}: a statement without text"
            );
        }
        let shown = explained.to_string();
        check!(
            explained.statements.iter().all(|s| shown.contains(&s.text)),
            "{what}: the text {shown:?} leaves a statement out"
        );
    }
    Ok(())
}

pub(crate) async fn writes_nothing(cx: &Context) -> Outcome {
    let docs = filled(cx).await?;
    if !explains(&docs).await? {
        return Ok(());
    }
    let keys = (0..5)
        .map(|n| key(&format!("d{n}")))
        .collect::<Outcome<Vec<Key>>>()?;
    let before = docs.load_many(&keys).await?;
    for question in questions(&docs, cx)? {
        let what = format!("after explaining {question:?}");
        docs.store().explain(question).await.during(&what)?;
        let after = docs.load_many(&keys).await?;
        for ((at, before), after) in keys.iter().zip(&before).zip(&after) {
            let (Some(before), Some(after)) = (before, after) else {
                return Err(Failure::new(format!("{what}: {at} is gone")));
            };
            check_eq!(
                (after.version, after.write_id),
                (before.version, before.write_id),
                "{what}: version and write id of {at}"
            );
            check!(
                after.body.same_value(&before.body),
                "{what}: the body of {at} is another"
            );
        }
    }
    docs.refresh().await?;
    let count = docs.count(Filter::all()).await.during("counting")?;
    check_eq!(count, 5, "documents after explanations");
    docs.remove(&keys[0], Expected::Any).await
}
