//! Loads of a few documents, joined into loads of many.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::lane::Job;
use super::{each, is_of_all, told_to_each};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Key, RawDocument};
use crate::store::{LoadRequest, Store};

impl Job for LoadRequest {
    type Reply = Vec<Option<RawDocument>>;

    fn key(&self) -> Option<&Key> {
        None
    }

    fn joins(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model) && self.source == other.source
    }

    fn size(&self) -> (usize, usize) {
        (self.keys.len(), 0)
    }

    fn lost() -> Error {
        Error::new(
            ErrorKind::Unavailable,
            "the request that the load was joined to was given up",
        )
    }
}

type Documents = Vec<Option<RawDocument>>;

/// Carries out loads that stand together.
pub(super) fn run(
    inner: Arc<dyn Store>,
    jobs: Vec<LoadRequest>,
) -> BoxFuture<'static, Vec<Result<Documents>>> {
    async move {
        let Some((first, [_, ..])) = jobs.split_first() else {
            return each(jobs, |job| inner.load(job)).await;
        };
        let keys: Vec<Key> = jobs.iter().flat_map(|job| job.keys.clone()).collect();
        let asked = keys.len();
        let mut request = LoadRequest::new(first.model.clone(), keys);
        request.source = first.source.clone();
        match inner.load(request).await {
            Ok(found) if found.len() == asked => {
                let mut found = found.into_iter();
                let parts = jobs
                    .iter()
                    .map(|job| Ok(found.by_ref().take(job.keys.len()).collect()));
                parts.collect()
            }
            Ok(_) => each(jobs, |job| inner.load(job)).await,
            Err(error) if is_of_all(&error) => told_to_each(error, jobs.len()),
            Err(_) => each(jobs, |job| inner.load(job)).await,
        }
    }
    .boxed()
}
