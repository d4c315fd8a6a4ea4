//! Stores that break a promise about bulks.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::Alter;
use strongroom_core::model::Expected;
use strongroom_core::store::{BulkItem, BulkReply, BulkRequest, Store};
use strongroom_core::{Error, ErrorKind, Result};

use super::rejected;

/// Hands the outcomes of a bulk out in another order.
#[derive(Debug)]
struct SwapsOutcomes;

#[async_trait]
impl Alter for SwapsOutcomes {
    async fn bulk(&self, inner: &Arc<dyn Store>, request: BulkRequest) -> Result<BulkReply> {
        let mut reply = inner.bulk(request).await?;
        if reply.outcomes.len() > 1 {
            reply.outcomes.swap(0, 1);
        }
        Ok(reply)
    }
}

#[test]
fn swaps_the_outcomes_of_a_bulk() {
    rejected(|| SwapsOutcomes, "bulk::mixed_outcomes_in_order", "item 0");
    rejected(
        || SwapsOutcomes,
        "bulk::one_key_twice_first_wins",
        "first save",
    );
}

/// Carries an atomic bulk out item by item.
#[derive(Debug)]
struct AtomicInName;

#[async_trait]
impl Alter for AtomicInName {
    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        let atomic = std::mem::replace(&mut request.atomic, false);
        let mut reply = inner.bulk(request).await?;
        if atomic && !reply.is_ok() {
            for outcome in &mut reply.outcomes {
                if outcome.is_ok() {
                    *outcome = Err(Error::new(ErrorKind::Cancelled, "another item failed"));
                }
            }
        }
        Ok(reply)
    }
}

#[test]
fn carries_an_atomic_bulk_out_in_part() {
    rejected(|| AtomicInName, "bulk::atomic_fails_as_a_whole", "expected");
    rejected(
        || AtomicInName,
        "writes::check_at_stale",
        "expected no document",
    );
}

/// Carries the items of a bulk out from the last to the first.
#[derive(Debug)]
struct BulkBackwards;

#[async_trait]
impl Alter for BulkBackwards {
    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        Arc::make_mut(&mut request.items).reverse();
        let mut reply = inner.bulk(request).await?;
        reply.outcomes.reverse();
        Ok(reply)
    }
}

#[test]
fn carries_bulk_items_out_in_another_order() {
    rejected(
        || BulkBackwards,
        "bulk::one_key_twice_first_wins",
        "first save",
    );
    rejected(
        || BulkBackwards,
        "bulk::one_key_in_order",
        "build on each other",
    );
}

/// Stops a bulk at its first failure.
#[derive(Debug)]
struct BulkStops;

#[async_trait]
impl Alter for BulkStops {
    async fn bulk(&self, inner: &Arc<dyn Store>, request: BulkRequest) -> Result<BulkReply> {
        if request.atomic {
            return inner.bulk(request).await;
        }
        let mut outcomes = Vec::new();
        let mut failed = false;
        for item in request.items.iter().cloned() {
            if failed {
                outcomes.push(Err(Error::new(
                    ErrorKind::Cancelled,
                    "an item before failed",
                )));
                continue;
            }
            let single = BulkRequest::new(request.model.clone(), vec![item]);
            let mut reply = inner.bulk(single).await?;
            failed = !reply.is_ok();
            outcomes.append(&mut reply.outcomes);
        }
        Ok(BulkReply::new(outcomes))
    }
}

#[test]
fn stops_a_bulk_at_its_first_failure() {
    rejected(|| BulkStops, "bulk::mixed_outcomes_in_order", "item 1");
}

/// Lets checks of a bulk pass.
#[derive(Debug)]
struct ChecksPass;

#[async_trait]
impl Alter for ChecksPass {
    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        for item in Arc::make_mut(&mut request.items) {
            if let BulkItem::Check { expected, .. } = item {
                *expected = Expected::Any;
            }
        }
        inner.bulk(request).await
    }
}

#[test]
fn lets_every_check_pass() {
    rejected(|| ChecksPass, "writes::check_at_stale", "expected");
    rejected(|| ChecksPass, "writes::check_absent_present", "expected");
}
