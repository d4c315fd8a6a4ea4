//! What a question comes to here: a look at every document.

use std::fmt::Write as _;

use super::collection::Collection;
use super::shared::Moment;
use crate::error::Result;
use crate::query::{Aggregator, Filter, Placer, Sort};
use crate::store::{
    ExplainRequest, ExplainedStatement, Explanation, FindRequest, GroupRequest, MatchingAction,
    MatchingRequest, ScanRequest,
};

impl Collection {
    /// Says in words what is examined, after the checks that the question itself would meet.
    pub(super) fn explain(&self, request: &ExplainRequest, moment: &Moment) -> Result<Explanation> {
        let (model, filter, routing) = match request {
            ExplainRequest::Find(r) => (&r.model, &r.filter, &r.routing),
            ExplainRequest::Count(r) => (&r.model, &r.filter, &r.routing),
            ExplainRequest::Aggregate(r) => (&r.model, &r.filter, &r.routing),
            ExplainRequest::Group(r) => (&r.model, &r.filter, &r.routing),
            ExplainRequest::Scan(r) => (&r.model, &r.filter, &r.routing),
            ExplainRequest::Matching(r) => (&r.model, &r.filter, &r.routing),
        };
        self.hits(model, filter, routing.as_ref(), moment)?;
        let mut text = format!("look at the documents of collection {}", model.name());
        if let Some(routing) = routing {
            say(&mut text, format_args!(" with the routing {routing:?}"));
        }
        if let ExplainRequest::Matching(MatchingRequest {
            after: Some(key), ..
        }) = request
        {
            say(&mut text, format_args!(" behind {key:?}"));
        }
        if *filter != Filter::all() {
            say(
                &mut text,
                format_args!(", keep those that match {filter:?}"),
            );
        }
        let sort: &[Sort] = match request {
            ExplainRequest::Find(FindRequest { sort, .. })
            | ExplainRequest::Group(GroupRequest { sort, .. })
            | ExplainRequest::Scan(ScanRequest { sort, .. }) => sort,
            _ => &[],
        };
        Placer::for_query(sort, filter, model)?;
        if let ExplainRequest::Group(GroupRequest { by, .. }) = request {
            say(&mut text, format_args!(", group them by {by}"));
        }
        if !sort.is_empty() {
            say(&mut text, format_args!(", sort them by {sort:?}"));
        }
        match request {
            ExplainRequest::Find(r) => say(
                &mut text,
                format_args!(", hand out {} from {:?} on", r.limit, r.start),
            ),
            ExplainRequest::Count(_) => say(&mut text, format_args!(", count them")),
            ExplainRequest::Aggregate(r) => {
                Aggregator::<()>::new(&r.aggregations, model, moment.functions())?;
                say(&mut text, format_args!(", compute {:?}", r.aggregations));
            }
            ExplainRequest::Group(r) => say(
                &mut text,
                format_args!(
                    ", hand out {} of each of {} groups by {:?}",
                    r.size, r.groups, r.ranking
                ),
            ),
            ExplainRequest::Scan(r) => say(
                &mut text,
                format_args!(", hand them out in pieces of {}", r.batch),
            ),
            ExplainRequest::Matching(r) => match &r.action {
                MatchingAction::Patch(patch) => say(
                    &mut text,
                    format_args!(", patch the first {} by {patch:?}", r.limit),
                ),
                MatchingAction::Delete => {
                    say(&mut text, format_args!(", delete the first {}", r.limit));
                }
            },
        }
        let plan = vec![format!("{} documents are there", self.documents.len())];
        let statement = ExplainedStatement::new(text).with_plan(plan);
        Ok(Explanation::new(vec![statement]))
    }
}

fn say(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = text.write_fmt(words);
}
