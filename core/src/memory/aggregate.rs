//! Aggregations: all that matches, fed to the one meaning of them.

use std::sync::Arc;

use super::collection::{Collection, Stored};
use super::shared::Moment;
use crate::error::Result;
use crate::query::Aggregator;
use crate::store::{AggregateReply, AggregateRequest};

impl Collection {
    pub(super) fn aggregate(
        &self,
        request: &AggregateRequest,
        moment: &Moment,
    ) -> Result<AggregateReply> {
        let AggregateRequest {
            model,
            filter,
            routing,
            aggregations,
        } = request;
        let hits = self.hits(model, filter, routing.as_ref(), moment)?;
        let mut aggregator: Aggregator<Arc<Stored>> =
            Aggregator::new(aggregations, model, moment.functions())?;
        for hit in hits.among(self.documents.iter()) {
            let (key, stored) = hit?;
            aggregator.add(key, stored.object()?, stored)?;
        }
        let now = moment.now();
        let results = aggregator.finish(|key, stored, source| stored.hand_out(key, source, now))?;
        Ok(AggregateReply::new(results))
    }
}
