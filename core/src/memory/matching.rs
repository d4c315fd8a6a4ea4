//! Writing what matches, step by step.

use std::ops::Bound;

use super::collection::Collection;
use super::shared::Moment;
use crate::error::Result;
use crate::model::{Expected, Key, Version, in_range};
use crate::store::{Action, MAX_PAGE, MatchingAction, MatchingReply, MatchingRequest, Write};

impl Collection {
    /// Carries out one step. All that matches is found before the first write, so that an error of
    /// the whole step has written nothing, and no write changes what is found.
    pub(super) fn write_matching(
        &mut self,
        request: &MatchingRequest,
        moment: &Moment,
    ) -> Result<MatchingReply> {
        in_range(
            "write of what matches has a limit of",
            request.limit,
            MAX_PAGE,
        )?;
        let action = match &request.action {
            MatchingAction::Patch(patch) => {
                patch.check()?;
                Action::Patch(patch.clone())
            }
            MatchingAction::Delete => Action::Delete,
        };
        let mut found = self.first_matching(request, moment)?;
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        let next = found.last().filter(|_| more).map(|(key, _)| key.clone());
        let mut written = 0;
        let mut failures = Vec::new();
        for (key, version) in found {
            let mut write = Write::new(key, action.clone(), Expected::Exactly(version));
            write.write_id = request.write_id;
            match self.save(&write, moment) {
                Ok(_) => written += 1,
                Err(error) => {
                    let error = error
                        .with_collection(request.model.name().clone())
                        .with_key(write.key.clone());
                    failures.push((write.key, error));
                }
            }
        }
        Ok(MatchingReply::new(written, failures, next))
    }

    /// One more than the step writes, which tells whether another step follows.
    fn first_matching(
        &self,
        request: &MatchingRequest,
        moment: &Moment,
    ) -> Result<Vec<(Key, Version)>> {
        let MatchingRequest {
            model,
            filter,
            routing,
            after,
            ..
        } = request;
        let hits = self.hits(model, filter, routing.as_ref(), moment)?;
        if let Some(after) = after {
            model.check_key(after)?;
        }
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.documents.range::<Key, _>((start, Bound::Unbounded));
        // What the write itself left, when it was sent before, is passed over.
        let others = range.filter(|(_, stored)| stored.write_id != request.write_id);
        hits.among(others)
            .take(request.limit + 1)
            .map(|hit| hit.map(|(key, stored)| (key.clone(), stored.version)))
            .collect()
    }
}
