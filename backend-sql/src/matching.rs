//! Writing what matches: which documents, and what became of them.

use strongroom_core::error::Result;
use strongroom_core::model::Expected;
use strongroom_core::store::{
    Action, BulkItem, MatchingAction, MatchingReply, MatchingRequest, Write,
};

use crate::ask::Ask;
use crate::failure::Failure;
use crate::outcomes::Outcomes;

/// The documents of one step, as items that write each under the version at which it matched.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) items: Vec<BulkItem>,
    more: bool,
}

/// Finds the documents of one step.
pub(crate) async fn find<C: Ask>(
    connection: &mut C,
    request: &MatchingRequest,
) -> Result<Step, Failure> {
    let statement = strongroom_sql::matching(C::dialect(), request)?;
    let rows = connection.ask(&statement).await?;
    let action = match &request.action {
        MatchingAction::Patch(patch) => Action::Patch(patch.clone()),
        MatchingAction::Delete => Action::Delete,
    };
    let mut items = Vec::with_capacity(rows.len());
    for found in rows.iter().take(request.limit) {
        let (key, next) = C::key(found, request.model.is_routed())?;
        let expected = Expected::Exactly(C::version(found, next)?);
        let mut write = Write::new(key, action.clone(), expected);
        write.write_id = request.write_id;
        items.push(BulkItem::Write(write));
    }
    Ok(Step {
        items,
        more: rows.len() > request.limit,
    })
}

impl Step {
    /// What to answer when the items have these outcomes.
    pub(crate) fn reply(self, outcomes: Outcomes) -> MatchingReply {
        let Some(last) = self.items.last().map(|item| item.key().clone()) else {
            return MatchingReply::default();
        };
        let mut written = 0;
        let mut failures = Vec::new();
        for (item, outcome) in self.items.iter().zip(outcomes) {
            match outcome {
                Ok(_) => written += 1,
                Err(error) => failures.push((item.key().clone(), error)),
            }
        }
        MatchingReply::new(written, failures, Some(last).filter(|_| self.more))
    }
}
