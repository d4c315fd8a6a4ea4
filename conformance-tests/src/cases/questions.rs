//! Random questions over random documents, of every kind that the store grants, against the
//! oracle.

use proptest::collection::vec;
use proptest::strategy::Strategy;
use serde_json::Value;
use strongroom_core::model::{Key, Routing};
use strongroom_core::query::{Aggregation, Filter};
use strongroom_core::store::{
    AggregateRequest, GroupRequest, MatchingRequest, PageStart, ScanRequest, Total,
};

use super::queries::{Both, both};
use super::{aggregations, backward, groups, matching, scans};
use crate::answers;
use crate::context::{Context, not_granted};
use crate::failure::{During, Outcome, check_eq};
use crate::random::property;
use crate::strategies::queries::{self as strategies, Grants, Which};

/// How many questions are asked of one collection: many, because making one costs more.
const OF_ONE: usize = 16;
/// How many times one collection is written to, which leaves less of it each time.
const WRITES_OF_ONE: usize = 6;

/// Asks random questions of random collections; `share` is the part of the scale's questions that
/// are of this kind, `of_one` how many are asked of one collection.
fn ask<Q: std::fmt::Debug>(
    cx: &Context,
    share: u32,
    of_one: usize,
    questions: impl Strategy<Value = Q>,
    asked: impl AsyncFn(&Both, &[Value], Q) -> Outcome,
) -> Outcome {
    let can = Grants::of(cx);
    let cases = (cx.scale().questions / share).div_ceil(of_one as u32);
    let inputs = (strategies::collection(), vec(questions, of_one));
    property(cases, inputs, async |((routed, bodies), questions)| {
        let model = can.model(cx.name("questions"), routed)?;
        let keyed = bodies
            .iter()
            .enumerate()
            .map(|(n, body)| {
                let at = if routed {
                    // Some ids are there under both routings.
                    Key::routed(["r", "s"][n % 2], format!("d{}", n / 3))?
                } else {
                    Key::new(format!("d{n}"))?
                };
                Ok((at, body.clone()))
            })
            .collect::<Outcome<Vec<_>>>()?;
        let both = both(cx.docs_of(model).await?, &keyed).await?;
        for question in questions {
            asked(&both, &bodies, question).await?;
        }
        cx.store()
            .drop_collection(both.docs.model().name().clone())
            .await
            .during("dropping the collection")?;
        Ok(())
    })
}

/// The filter, checked as every handle does, and the routing if the collection has any.
fn of(which: Which, both: &Both) -> Outcome<(Filter, Option<Routing>)> {
    let model = both.docs.model();
    which
        .filter
        .check(model)
        .during("a filter of the suite's own")?;
    let routing = which.routing.filter(|_| model.is_routed());
    Ok((which.filter, routing.map(Routing::new).transpose()?))
}

pub(crate) async fn random_pages(cx: &Context) -> Outcome {
    let pages = strategies::page(Grants::of(cx));
    ask(cx, 1, OF_ONE, pages, async |both, _, page| {
        let (filter, routing) = of(page.which, both)?;
        let mut request = both.docs.query(filter);
        (request.routing, request.sort) = (routing, page.sort);
        (request.limit, request.source) = (page.limit, page.source);
        if page.counted {
            request.total = Total::Exact;
        }
        if page.backward {
            request.start = PageStart::Last;
            return backward::walk(both, &request).await;
        }
        request.offset = page.offset;
        both.agree(&request).await
    })
}

pub(crate) async fn random_aggregations(cx: &Context) -> Outcome {
    if !aggregations::granted(cx)? {
        return Ok(());
    }
    let can = Grants::of(cx);
    let questions = (strategies::which(can), strategies::aggregations(can));
    ask(
        cx,
        1,
        OF_ONE,
        questions,
        async |both, bodies, (which, all)| {
            let (filter, routing) = of(which, both)?;
            let model = both.docs.model().clone();
            Aggregation::check_all(&all, &model).during("aggregations of the suite's own")?;
            let mut request = AggregateRequest::new(model, filter, all);
            request.routing = routing;
            aggregations::agree(both, &request, answers::magnitude(bodies)).await
        },
    )
}

pub(crate) async fn random_groups(cx: &Context) -> Outcome {
    if !cx.capabilities().groups {
        return not_granted("groups");
    }
    let questions = strategies::groups(Grants::of(cx));
    ask(cx, 1, OF_ONE, questions, async |both, _, asked| {
        let (filter, routing) = of(asked.which, both)?;
        let model = both.docs.model().clone();
        let mut request = GroupRequest::new(model, filter, asked.by.parse()?);
        (request.routing, request.sort) = (routing, asked.sort);
        (request.ranking, request.size) = (asked.ranking, asked.size);
        (request.groups, request.source) = (asked.groups, asked.source);
        groups::agree(both, &request).await
    })
}

pub(crate) async fn random_scans(cx: &Context) -> Outcome {
    if !cx.capabilities().scans {
        return not_granted("scans");
    }
    let pages = strategies::page(Grants::of(cx));
    ask(cx, 4, OF_ONE, pages, async |both, _, page| {
        let (filter, routing) = of(page.which, both)?;
        let mut request = ScanRequest::new(both.docs.model().clone(), filter);
        (request.routing, request.sort) = (routing, page.sort);
        (request.batch, request.source) = (page.limit, page.source);
        let found = scans::contents(&scans::whole(&both.docs, &request).await?)?;
        let right = scans::contents(&scans::whole(&both.oracle, &request).await?)?;
        check_eq!(found, right, "{request:?}, against the oracle");
        Ok(())
    })
}

pub(crate) async fn random_matching_writes(cx: &Context) -> Outcome {
    if !matching::granted(cx)? {
        return Ok(());
    }
    let questions = strategies::matching(Grants::of(cx));
    ask(
        cx,
        4,
        WRITES_OF_ONE,
        questions,
        async |both, _, (which, action, limit)| {
            let (filter, routing) = of(which, both)?;
            let mut request = matching::step(&both.docs, filter, action, limit);
            request.routing = routing;
            let found = matching::all_steps(&both.docs, &request).await?;
            let right = matching::all_steps(&both.oracle, &request).await?;
            check_eq!(
                found,
                right,
                "what was written and what was not by {request:?}, against the oracle"
            );
            all_alike(both, &request).await
        },
    )
}

/// Checks that the store and the oracle hold the same documents.
async fn all_alike(both: &Both, written: &MatchingRequest) -> Outcome {
    both.docs.refresh().await?;
    both.agree(&both.docs.query(Filter::all()))
        .await
        .during(format_args!("after {written:?}"))
}
