//! Stores that break a promise about loads and searches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use strongroom_conformance::Alter;
use strongroom_core::Result;
use strongroom_core::model::{Body, Key, RawDocument};
use strongroom_core::query::{Filter, SourceFilter};
use strongroom_core::store::{
    BulkReply, BulkRequest, CountRequest, FindRequest, LoadRequest, Page, Store,
};

use super::rejected;

/// Serves loads from a cache that writes do not empty.
#[derive(Debug, Default)]
struct StaleLoads(Mutex<HashMap<(String, Key), RawDocument>>);

#[async_trait]
impl Alter for StaleLoads {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        let name = request.model.name().to_string();
        let found = inner.load(request).await?;
        let mut cache = self.0.lock().unwrap();
        Ok(found
            .into_iter()
            .map(|found| {
                let found = found?;
                let key = (name.clone(), found.key.clone());
                Some(cache.entry(key).or_insert(found).clone())
            })
            .collect())
    }
}

#[test]
fn returns_stale_loads() {
    rejected(
        StaleLoads::default,
        "loads::realtime_after_each_write",
        "expected",
    );
    rejected(
        StaleLoads::default,
        "versions::differ_after_each_write",
        "the loaded version",
    );
}

/// Leaves out of a load what is not there.
#[derive(Debug)]
struct FewerEntries;

#[async_trait]
impl Alter for FewerEntries {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        let mut found = inner.load(request).await?;
        if found.len() > 1 {
            found.retain(Option::is_some);
        }
        Ok(found)
    }
}

#[test]
fn leaves_out_missing_documents() {
    rejected(
        || FewerEntries,
        "loads::order_duplicates_and_missing",
        "entries",
    );
}

/// Loads in order of the ids.
#[derive(Debug)]
struct SortsLoads;

#[async_trait]
impl Alter for SortsLoads {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        mut request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        request.keys.sort();
        inner.load(request).await
    }
}

#[test]
fn loads_in_another_order() {
    rejected(
        || SortsLoads,
        "loads::order_duplicates_and_missing",
        "the key of",
    );
}

/// Selects nothing: the whole body comes.
#[derive(Debug)]
struct IgnoresSource;

#[async_trait]
impl Alter for IgnoresSource {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        mut request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        request.source = SourceFilter::All;
        inner.load(request).await
    }
}

#[test]
fn ignores_the_source_filter() {
    rejected(|| IgnoresSource, "loads::source_include", "the part");
    rejected(|| IgnoresSource, "loads::source_exclude", "the part");
}

/// Hands out a page that a failing part of the engine cut short, as if it was whole.
#[derive(Debug)]
struct PartialPages;

#[async_trait]
impl Alter for PartialPages {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut page = inner.find(request).await?;
        if page.documents.len() > 3 {
            page.documents.truncate(3);
            page.next = None;
        }
        Ok(page)
    }
}

#[test]
fn passes_a_partial_page_as_whole() {
    rejected(
        || PartialPages,
        "ids::are_found_in_order_of_bytes",
        "all ids",
    );
    rejected(|| PartialPages, "queries::filters_agree", "the oracle");
    rejected(|| PartialPages, "questions::random_pages", "the oracle");
}

/// Ends each page with a cursor, though nothing follows.
#[derive(Debug)]
struct NeverLastPage;

#[async_trait]
impl Alter for NeverLastPage {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut longer = request.clone();
        longer.limit = 1;
        let mark = inner.find(longer).await?.next;
        let mut page = inner.find(request).await?;
        page.next = page.next.or(mark);
        Ok(page)
    }
}

#[test]
fn never_ends_its_pages() {
    rejected(|| NeverLastPage, "queries::pages_agree", "");
}

/// Finds documents whose field has no value when the complement is asked for, not at all.
#[derive(Debug)]
struct NotNeedsAValue;

impl NotNeedsAValue {
    fn narrow(filter: Filter) -> Filter {
        match filter {
            Filter::Not(inner) => match &*inner {
                Filter::Eq { field, .. } => {
                    let exists = Filter::Exists {
                        field: field.clone(),
                    };
                    Filter::Not(inner).and(exists)
                }
                _ => Filter::Not(inner),
            },
            other => other,
        }
    }
}

#[async_trait]
impl Alter for NotNeedsAValue {
    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        request.filter = Self::narrow(request.filter);
        inner.find(request).await
    }

    async fn count(&self, inner: &Arc<dyn Store>, mut request: CountRequest) -> Result<u64> {
        request.filter = Self::narrow(request.filter);
        inner.count(request).await
    }
}

#[test]
fn leaves_out_of_a_complement_what_has_no_value() {
    rejected(|| NotNeedsAValue, "queries::filters_agree", "the oracle");
}

/// Answers loads of documents that a bulk of many items wrote with nothing: they are on their way.
#[derive(Debug)]
struct BulkWritesLess;

#[async_trait]
impl Alter for BulkWritesLess {
    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        let asked = request.items.len();
        Arc::make_mut(&mut request.items).truncate(100);
        let mut reply = inner.bulk(request).await?;
        while reply.outcomes.len() < asked {
            let first = reply.outcomes[1].as_ref().unwrap().clone();
            reply.outcomes.push(Ok(first));
        }
        Ok(reply)
    }
}

#[test]
fn loses_the_end_of_a_large_bulk() {
    rejected(|| BulkWritesLess, "bulk::many_items", "the outcome of item");
}

/// Hands bodies out in lower case.
#[derive(Debug)]
struct FoldsCase;

#[async_trait]
impl Alter for FoldsCase {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        let mut found = inner.load(request).await?;
        for document in found.iter_mut().flatten() {
            document.body = Body::parse(document.body.as_str()?.replace("\u{308}", ""))?;
        }
        Ok(found)
    }
}

#[test]
fn normalises_text() {
    rejected(|| FoldsCase, "bodies::text_of_any_script", "another value");
}
