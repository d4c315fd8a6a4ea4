//! Single saves, joined into bulks.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::lane::Job;
use super::{each, is_of_all, told_to_each};
use crate::error::{Error, Result};
use crate::model::Key;
use crate::store::{Action, BulkItem, BulkRequest, Receipt, SaveRequest, Store};

impl Job for SaveRequest {
    type Reply = Receipt;

    fn key(&self) -> Option<&Key> {
        Some(&self.write.key)
    }

    fn joins(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model) && self.refresh == other.refresh
    }

    fn size(&self) -> (usize, usize) {
        match &self.write.action {
            Action::Put(body) => (1, body.len()),
            Action::Patch(_) | Action::Delete => (1, 0),
        }
    }

    fn lost() -> Error {
        Error::indeterminate("the request that the write was joined to was given up")
    }
}

/// Carries out saves that stand together, each about a document of its own.
pub(super) fn run(
    inner: Arc<dyn Store>,
    jobs: Vec<SaveRequest>,
) -> BoxFuture<'static, Vec<Result<Receipt>>> {
    async move {
        if let [_] = &jobs[..] {
            return each(jobs, |job| inner.save(job)).await;
        }
        let Some(first) = jobs.first() else {
            return Vec::new();
        };
        let writes = jobs.iter().map(|job| BulkItem::Write(job.write.clone()));
        let mut request = BulkRequest::new(first.model.clone(), writes.collect());
        request.refresh = first.refresh;
        match inner.bulk(request).await {
            Ok(reply) => reply.outcomes,
            Err(error) if is_of_all(&error) => told_to_each(error, jobs.len()),
            // Some item spoilt it: each is told for itself.
            Err(_) => each(jobs, |job| inner.save(job)).await,
        }
    }
    .boxed()
}
