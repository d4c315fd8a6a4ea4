//! Stores that break a promise about fields that functions make.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::Alter;
use strongroom_core::Result;
use strongroom_core::store::{BulkItem, BulkReply, BulkRequest, Receipt, SaveRequest, Store};

use super::rejected;

/// Writes what it is given and calls no function.
#[derive(Debug)]
struct ComputesNothing;

#[async_trait]
impl Alter for ComputesNothing {
    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        request.write.computed.clear();
        inner.save(request).await
    }
}

#[test]
fn calls_no_function() {
    rejected(
        || ComputesNothing,
        "computed::see_the_document_as_it_is_written",
        "what the put made",
    );
}

/// Calls no function in bulks.
#[derive(Debug)]
struct BulksComputeNothing;

#[async_trait]
impl Alter for BulksComputeNothing {
    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        for item in Arc::make_mut(&mut request.items) {
            if let BulkItem::Write(write) = item {
                write
                    .computed
                    .retain(|computed| computed.field().as_str() != "n");
            }
        }
        inner.bulk(request).await
    }
}

#[test]
fn calls_no_function_in_bulks() {
    rejected(
        || BulksComputeNothing,
        "computed::that_fail_write_nothing",
        "the outcomes of a bulk of both",
    );
}

/// Calls the functions and does not tell what they made.
#[derive(Debug)]
struct ForgetsWhatWasMade;

#[async_trait]
impl Alter for ForgetsWhatWasMade {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let mut receipt = inner.save(request).await?;
        receipt.made.clear();
        Ok(receipt)
    }
}

#[test]
fn does_not_tell_what_functions_made() {
    rejected(
        || ForgetsWhatWasMade,
        "computed::see_the_document_as_it_is_written",
        "what the put made",
    );
}

/// Writes the document first, and its computed fields after it.
#[derive(Debug)]
struct ComputesAfterwards;

#[async_trait]
impl Alter for ComputesAfterwards {
    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        let mut plain = request.clone();
        plain.write.computed.clear();
        let written = inner.save(plain).await?;
        if request.write.computed.is_empty() {
            return Ok(written);
        }
        let mut computing = request;
        computing.write.expected = strongroom_core::model::Expected::Any;
        inner.save(computing).await
    }
}

#[test]
fn leaves_a_document_whose_function_failed() {
    rejected(
        || ComputesAfterwards,
        "computed::that_fail_write_nothing",
        "the document \"a\"",
    );
}
