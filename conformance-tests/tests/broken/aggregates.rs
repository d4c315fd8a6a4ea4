//! Stores that break a promise about aggregations, groups and writes of what matches.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_conformance::{Alter, Form};
use strongroom_core::Result;
use strongroom_core::model::{Expected, FieldPath, Key, RawDocument, Scalar, WriteId};
use strongroom_core::query::{Aggregation, FieldReader, Filter};
use strongroom_core::store::{
    Action, AggregateReply, AggregateRequest, AggregateResult, BulkRequest, CountRequest,
    FindRequest, GroupRequest, Groups, MAX_PAGE, MatchingAction, MatchingReply, MatchingRequest,
    Ranking, Store, Terms, Write,
};

use super::{rejected, rejected_in};

async fn all(inner: &Arc<dyn Store>, request: &AggregateRequest) -> Result<Vec<RawDocument>> {
    let mut find = FindRequest::new(request.model.clone(), request.filter.clone());
    (find.limit, find.routing) = (MAX_PAGE, request.routing.clone());
    Ok(inner.find(find).await?.documents)
}

/// The name and the field of the first terms aggregation.
fn first_terms(request: &AggregateRequest) -> Option<(&String, &FieldPath)> {
    request
        .aggregations
        .iter()
        .find_map(|(name, one)| match one {
            Aggregation::Terms { field, .. } => Some((name, field)),
            _ => None,
        })
}

/// Makes a bucket of the documents without a value, and counts them.
#[derive(Debug)]
struct CountsNulls;

#[async_trait]
impl Alter for CountsNulls {
    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        request: AggregateRequest,
    ) -> Result<AggregateReply> {
        let mut reply = inner.aggregate(request.clone()).await?;
        for (name, one) in &request.aggregations {
            let (Aggregation::Terms { field, .. } | Aggregation::Count { field }) = one else {
                continue;
            };
            let missing = Filter::Not(Box::new(Filter::Exists {
                field: field.clone(),
            }));
            let filter = request.filter.clone().and(missing);
            let mut count = CountRequest::new(request.model.clone(), filter);
            count.routing = request.routing.clone();
            let missing = inner.count(count).await?;
            match reply.results.get_mut(name) {
                Some(AggregateResult::Count(count)) => *count += missing,
                Some(AggregateResult::Terms(terms)) => terms.other += missing,
                _ => {}
            }
        }
        Ok(reply)
    }
}

#[test]
fn counts_documents_without_a_value() {
    rejected(|| CountsNulls, "aggregations::metrics", "\"count\"");
    rejected(|| CountsNulls, "terms::counts", "\"other\"");
    rejected_in(
        Form::Bare,
        || CountsNulls,
        "questions::random_aggregations",
        "the oracle",
    );
}

/// Counts each value of a document in its bucket.
#[derive(Debug)]
struct CountsValues;

#[async_trait]
impl Alter for CountsValues {
    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        request: AggregateRequest,
    ) -> Result<AggregateReply> {
        let mut reply = inner.aggregate(request.clone()).await?;
        let Some((name, field)) = first_terms(&request) else {
            return Ok(reply);
        };
        let reader = FieldReader::of(field, request.model.require(field)?.kind);
        let mut values: Vec<Scalar> = Vec::new();
        for document in all(inner, &request).await? {
            values.extend(reader.values(&document.body.to_object()?));
        }
        if let Some(AggregateResult::Terms(Terms { buckets, .. })) = reply.results.get_mut(name) {
            for bucket in buckets {
                let same = |value: &&Scalar| value.compare(&bucket.key).is_some_and(|o| o.is_eq());
                bucket.count = values.iter().filter(same).count() as u64;
            }
        }
        Ok(reply)
    }
}

#[test]
fn counts_values_instead_of_documents() {
    rejected(|| CountsValues, "terms::counts", "expected");
    rejected_in(
        Form::Bare,
        || CountsValues,
        "questions::random_aggregations",
        "the oracle",
    );
}

/// Rounds towards zero, as dividing whole numbers does.
#[derive(Debug)]
struct RoundsTowardsZero;

#[async_trait]
impl Alter for RoundsTowardsZero {
    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        request: AggregateRequest,
    ) -> Result<AggregateReply> {
        let mut reply = inner.aggregate(request.clone()).await?;
        for (name, one) in &request.aggregations {
            let width = match one {
                Aggregation::Histogram { interval, .. } => *interval,
                Aggregation::DateHistogram { .. } => 86_400_000.0,
                _ => continue,
            };
            if let Some(AggregateResult::Histogram(buckets)) = reply.results.get_mut(name) {
                for bucket in buckets {
                    bucket.key = match &bucket.key {
                        Scalar::Float(x) if *x < 0.0 => Scalar::from(x + width),
                        Scalar::Integer(n) if *n < 0 => Scalar::from(n + 86_400_000),
                        key => key.clone(),
                    };
                }
            }
        }
        Ok(reply)
    }
}

#[test]
fn rounds_buckets_towards_zero() {
    rejected(|| RoundsTowardsZero, "buckets::histograms", "expected");
    rejected(|| RoundsTowardsZero, "buckets::date_histograms", "expected");
}

/// Aggregates over every routing.
#[derive(Debug)]
struct IgnoresRouting;

#[async_trait]
impl Alter for IgnoresRouting {
    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        mut request: AggregateRequest,
    ) -> Result<AggregateReply> {
        request.routing = None;
        inner.aggregate(request).await
    }

    async fn group(&self, inner: &Arc<dyn Store>, mut request: GroupRequest) -> Result<Groups> {
        request.routing = None;
        inner.group(request).await
    }

    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        mut request: MatchingRequest,
    ) -> Result<MatchingReply> {
        request.routing = None;
        inner.write_matching(request).await
    }
}

#[test]
fn ignores_the_routing_of_a_computation() {
    let broken = || IgnoresRouting;
    rejected(
        broken,
        "aggregations::filters_and_routing",
        "over the routing",
    );
    rejected(broken, "groups::source_and_routing", "of the routing");
    rejected(broken, "matching::routing", "of one routing");
}

/// Leaves room after documents that tie, where none is to be left.
#[derive(Debug)]
struct RanksWithGaps;

#[async_trait]
impl Alter for RanksWithGaps {
    async fn group(&self, inner: &Arc<dyn Store>, mut request: GroupRequest) -> Result<Groups> {
        if request.ranking == Ranking::DenseRank {
            request.ranking = Ranking::Rank;
        }
        inner.group(request).await
    }
}

#[test]
fn ranks_with_gaps_instead_of_densely() {
    rejected(|| RanksWithGaps, "groups::rankings", "DenseRank");
    rejected_in(
        Form::Bare,
        || RanksWithGaps,
        "questions::random_groups",
        "the oracle",
    );
}

/// Says that no group follows.
#[derive(Debug)]
struct EndsItsGroups;

#[async_trait]
impl Alter for EndsItsGroups {
    async fn group(&self, inner: &Arc<dyn Store>, request: GroupRequest) -> Result<Groups> {
        let mut groups = inner.group(request).await?;
        groups.next = None;
        Ok(groups)
    }
}

#[test]
fn passes_some_groups_as_all() {
    rejected(|| EndsItsGroups, "groups::pages", "the groups");
}

/// Finds what matches, and writes it later whatever it has become.
#[derive(Debug)]
struct WritesBlindly;

#[async_trait]
impl Alter for WritesBlindly {
    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        request: MatchingRequest,
    ) -> Result<MatchingReply> {
        let mut find = FindRequest::new(request.model.clone(), request.filter.clone());
        (find.limit, find.routing) = (MAX_PAGE, request.routing.clone());
        let found = inner.find(find).await?.documents.into_iter();
        let after = request.after.as_ref();
        let keys = found.map(|d| d.key);
        let mut keys: Vec<Key> = keys.filter(|key| after.is_none_or(|a| key > a)).collect();
        let more = keys.len() > request.limit;
        keys.truncate(request.limit);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let action = match &request.action {
            MatchingAction::Patch(patch) => Action::Patch(patch.clone()),
            MatchingAction::Delete => Action::Delete,
        };
        let items = keys.iter().map(|key| {
            let mut write = Write::new(key.clone(), action.clone(), Expected::Present);
            write.write_id = request.write_id;
            write.into()
        });
        let bulk = BulkRequest::new(request.model.clone(), items.collect());
        let reply = inner.bulk(bulk).await?;
        let (mut written, mut failures) = (0, Vec::new());
        for (key, outcome) in keys.iter().zip(reply.outcomes) {
            match outcome {
                Ok(_) => written += 1,
                Err(error) => failures.push((key.clone(), error)),
            }
        }
        let next = keys.pop().filter(|_| more);
        Ok(MatchingReply::new(written, failures, next))
    }
}

#[test]
fn overwrites_what_changed_after_it_matched() {
    rejected(
        || WritesBlindly,
        "matching_races::changes_are_never_overwritten",
        "replaced at its version",
    );
    rejected(
        || WritesBlindly,
        "matching_races::changed_documents_are_not_deleted",
        "replaced at its version",
    );
}

/// Begins each step from the beginning.
#[derive(Debug)]
struct ForgetsItsPlace;

#[async_trait]
impl Alter for ForgetsItsPlace {
    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        mut request: MatchingRequest,
    ) -> Result<MatchingReply> {
        request.after = None;
        inner.write_matching(request).await
    }
}

#[test]
fn tries_what_was_refused_again_and_again() {
    rejected(
        || ForgetsItsPlace,
        "matching::refused_patches_are_told",
        "goes on after",
    );
}

/// Keeps silent about what was not written.
#[derive(Debug)]
struct HidesFailures;

#[async_trait]
impl Alter for HidesFailures {
    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        request: MatchingRequest,
    ) -> Result<MatchingReply> {
        let mut reply = inner.write_matching(request).await?;
        reply.failures.clear();
        Ok(reply)
    }
}

#[test]
fn hides_what_was_not_written() {
    rejected(
        || HidesFailures,
        "matching::refused_patches_are_told",
        "the patches that are refused",
    );
    rejected_in(
        Form::Bare,
        || HidesFailures,
        "matching::unique_values_are_kept",
        "the others",
    );
}

/// Draws an id of its own for each step.
#[derive(Debug)]
struct ForgetsWhoWrote;

#[async_trait]
impl Alter for ForgetsWhoWrote {
    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        mut request: MatchingRequest,
    ) -> Result<MatchingReply> {
        request.write_id = WriteId::random();
        inner.write_matching(request).await
    }
}

#[test]
fn writes_what_a_lost_step_wrote_again() {
    rejected(
        || ForgetsWhoWrote,
        "matching::sent_again_writes_what_is_left",
        "when sent again",
    );
}
