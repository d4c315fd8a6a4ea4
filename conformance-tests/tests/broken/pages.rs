//! Stores that break a promise about pages, filters, scans and explanations.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_conformance::{Alter, Form};
use strongroom_core::model::RawDocument;
use strongroom_core::query::{Filter, Placer, Words};
use strongroom_core::store::{
    CountRequest, ExplainRequest, Explanation, FindRequest, Page, PageStart, Scan, ScanRequest,
    Store,
};
use strongroom_core::{Error, ErrorKind, Result};

use super::{rejected, rejected_in};

/// Goes on behind a page's last sort value, which leaves out what ties with it.
#[derive(Debug)]
struct DropsTies;

#[async_trait]
impl Alter for DropsTies {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut page = inner.find(request.clone()).await?;
        let FindRequest {
            model,
            filter,
            sort,
            routing,
            start: PageStart::After(cursor) | PageStart::Before(cursor),
            ..
        } = &request
        else {
            return Ok(page);
        };
        if sort.is_empty() {
            return Ok(page);
        }
        let at = cursor.position(model.name(), filter, sort, routing.as_ref())?;
        let placer = Placer::new(sort, model)?;
        page.documents.retain(|document| {
            let body = document.body.to_object().unwrap();
            placer.place(&document.key, &body).values != at.values
        });
        Ok(page)
    }
}

#[test]
fn drops_ties_at_the_border_of_a_page() {
    rejected(
        || DropsTies,
        "paging::no_document_twice_or_missing",
        "the documents that stayed",
    );
    rejected(|| DropsTies, "queries::sorts_agree", "the oracle");
    rejected(|| DropsTies, "backward::there_and_back", "the oracle");
    rejected_in(
        Form::Bare,
        || DropsTies,
        "questions::random_pages",
        "the oracle",
    );
}

/// Hands out a document again that ties with the last one of the page before.
#[derive(Debug)]
struct RepeatsTheLast;

#[async_trait]
impl Alter for RepeatsTheLast {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut page = inner.find(request.clone()).await?;
        let PageStart::After(cursor) = &request.start else {
            return Ok(page);
        };
        let FindRequest {
            model,
            filter,
            sort,
            routing,
            ..
        } = &request;
        let at = cursor.position(model.name(), filter, sort, routing.as_ref())?;
        let load = strongroom_core::store::LoadRequest::new(model.clone(), vec![at.key.clone()]);
        if let Some(last) = inner.load(load).await?.pop().flatten() {
            page.documents.insert(0, last);
            page.documents.truncate(request.limit);
        }
        Ok(page)
    }
}

#[test]
fn repeats_the_last_document_of_a_page() {
    rejected(
        || RepeatsTheLast,
        "paging::no_document_twice_or_missing",
        "documents seen twice",
    );
}

/// Takes a failing part of the engine for the end of the data.
#[derive(Debug)]
struct EndsEarly;

#[async_trait]
impl Alter for EndsEarly {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let behind = request.start != PageStart::First;
        let mut page = inner.find(request).await?;
        if behind && page.documents.len() > 1 {
            page.documents.pop();
            (page.next, page.previous) = (None, None);
        }
        Ok(page)
    }

    async fn scan(&self, inner: &Arc<dyn Store>, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let scan = inner.scan(request).await?;
        Ok(Box::new(CutShort { scan, pieces: 2 }))
    }
}

/// A scan that says it is at its end after a few pieces.
#[derive(Debug)]
struct CutShort {
    scan: Box<dyn Scan>,
    pieces: usize,
}

#[async_trait]
impl Scan for CutShort {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        if self.pieces == 0 {
            return Ok(Vec::new());
        }
        self.pieces -= 1;
        self.scan.next().await
    }

    async fn close(&mut self) -> Result<()> {
        self.scan.close().await
    }
}

#[test]
fn passes_a_part_as_the_whole() {
    rejected(
        || EndsEarly,
        "paging::no_document_twice_or_missing",
        "the documents that stayed",
    );
    rejected_in(
        Form::Bare,
        || EndsEarly,
        "questions::random_pages",
        "the oracle",
    );
    rejected(
        || EndsEarly,
        "scans::pieces_make_up_the_whole",
        "the oracle",
    );
    rejected(
        || EndsEarly,
        "scans::one_state_among_writers",
        "documents of a scan",
    );
}

/// Begins anew with a cursor that belongs to another query.
#[derive(Debug)]
struct TakesAnyCursor;

#[async_trait]
impl Alter for TakesAnyCursor {
    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        match inner.find(request.clone()).await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                request.start = PageStart::First;
                inner.find(request).await
            }
            other => other,
        }
    }
}

#[test]
fn honours_the_cursor_of_another_query() {
    // Under the layers such a request never arrives.
    let case = "paging::cursors_of_other_queries";
    rejected_in(Form::Bare, || TakesAnyCursor, case, "another filter");
    rejected_in(
        Form::Bare,
        || TakesAnyCursor,
        "paging::routing",
        "another routing",
    );
}

/// Looks under every routing.
#[derive(Debug)]
struct IgnoresRouting;

#[async_trait]
impl Alter for IgnoresRouting {
    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        request.routing = None;
        inner.find(request).await
    }

    async fn count(&self, inner: &Arc<dyn Store>, mut request: CountRequest) -> Result<u64> {
        request.routing = None;
        inner.count(request).await
    }

    async fn scan(
        &self,
        inner: &Arc<dyn Store>,
        mut request: ScanRequest,
    ) -> Result<Box<dyn Scan>> {
        request.routing = None;
        inner.scan(request).await
    }
}

#[test]
fn ignores_the_routing_of_a_search() {
    rejected(|| IgnoresRouting, "paging::routing", "the oracle");
    rejected(|| IgnoresRouting, "routing::found_within_a_routing", "");
    rejected(|| IgnoresRouting, "scans::routing", "under the routing");
}

/// Applies a change to every node of a filter.
fn mapped(filter: Filter, change: &dyn Fn(Filter) -> Filter) -> Filter {
    let each = |all: Vec<Filter>| all.into_iter().map(|f| mapped(f, change)).collect();
    change(match filter {
        Filter::And(all) => Filter::And(each(all)),
        Filter::Or(all) => Filter::Or(each(all)),
        Filter::Not(inner) => Filter::Not(Box::new(mapped(*inner, change))),
        other => other,
    })
}

/// Understands some filters in another way.
#[derive(Debug)]
struct Understands(fn(Filter) -> Filter);

#[async_trait]
impl Alter for Understands {
    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        request.filter = mapped(request.filter, &self.0);
        inner.find(request).await
    }

    async fn count(&self, inner: &Arc<dyn Store>, mut request: CountRequest) -> Result<u64> {
        request.filter = mapped(request.filter, &self.0);
        inner.count(request).await
    }
}

#[test]
fn ignores_wildcards_of_one_character() {
    fn without(filter: Filter) -> Filter {
        match filter {
            Filter::Wildcard { field, pattern } => Filter::Wildcard {
                field,
                pattern: pattern
                    .replace("\\?", "\0")
                    .replace('?', "")
                    .replace('\0', "\\?"),
            },
            other => other,
        }
    }
    rejected(|| Understands(without), "filters::wildcards", "a?c");
    rejected_in(
        Form::Bare,
        || Understands(without),
        "questions::random_pages",
        "the oracle",
    );
}

#[test]
fn takes_a_phrase_for_words() {
    fn loose(filter: Filter) -> Filter {
        match filter {
            Filter::Text {
                field,
                text,
                words: Words::Phrase,
            } => Filter::Text {
                field,
                text,
                words: Words::All,
            },
            other => other,
        }
    }
    rejected(|| Understands(loose), "filters::text", "Phrase");
}

#[test]
fn mixes_the_objects_of_a_nested_field() {
    fn flat(filter: Filter) -> Filter {
        match filter {
            Filter::Nested { filter, .. } => *filter,
            other => other,
        }
    }
    rejected(|| Understands(flat), "filters::nested", "Nested");
}

/// A scan that asks for each of its pieces when it is wanted.
#[derive(Debug)]
struct AsksAgain {
    store: Arc<dyn Store>,
    request: FindRequest,
    over: bool,
    closed: bool,
}

#[async_trait]
impl Scan for AsksAgain {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        if self.closed {
            return Err(Error::new(ErrorKind::Cancelled, "the scan is closed"));
        }
        if self.over {
            return Ok(Vec::new());
        }
        let page = self.store.find(self.request.clone()).await?;
        self.over = page.next.is_none();
        self.request.start = page.next.into();
        Ok(page.documents)
    }

    async fn close(&mut self) -> Result<()> {
        self.closed = true;
        Ok(())
    }
}

/// Scans by pages.
#[derive(Debug)]
struct ScansByPages;

#[async_trait]
impl Alter for ScansByPages {
    async fn scan(&self, inner: &Arc<dyn Store>, scan: ScanRequest) -> Result<Box<dyn Scan>> {
        let mut request = FindRequest::new(scan.model, scan.filter);
        (request.sort, request.limit) = (scan.sort, scan.batch);
        (request.source, request.routing) = (scan.source, scan.routing);
        Ok(Box::new(AsksAgain {
            store: inner.clone(),
            request,
            over: false,
            closed: false,
        }))
    }
}

#[test]
fn shows_later_writes_in_a_scan() {
    rejected(
        || ScansByPages,
        "scans::one_state_while_documents_change",
        "a scan while all changes",
    );
    rejected(
        || ScansByPages,
        "scans::one_state_among_writers",
        "no state that ever was",
    );
}

/// Carries out what it is to explain.
#[derive(Debug)]
struct ExplainsByDoing;

#[async_trait]
impl Alter for ExplainsByDoing {
    async fn explain(
        &self,
        inner: &Arc<dyn Store>,
        request: ExplainRequest,
    ) -> Result<Explanation> {
        if let ExplainRequest::Matching(request) = &request {
            inner.write_matching(request.clone()).await?;
        }
        inner.explain(request).await
    }
}

#[test]
fn writes_what_it_explains() {
    rejected(|| ExplainsByDoing, "explain::writes_nothing", "is gone");
}

/// Explains nothing, as if there was nothing to say.
#[derive(Debug)]
struct SaysNothing;

#[async_trait]
impl Alter for SaysNothing {
    async fn explain(&self, _: &Arc<dyn Store>, _: ExplainRequest) -> Result<Explanation> {
        Ok(Explanation::default())
    }
}

#[test]
fn explains_without_a_statement() {
    rejected(
        || SaysNothing,
        "explain::every_question",
        "there is no statement",
    );
}

/// Hands out the scores of other documents.
#[derive(Debug)]
struct MixesScores;

#[async_trait]
impl Alter for MixesScores {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut page = inner.find(request).await?;
        page.scores.reverse();
        Ok(page)
    }
}

/// Goes on behind all documents of the score that a page ended with.
#[derive(Debug)]
struct SkipsLevelScores;

#[async_trait]
impl Alter for SkipsLevelScores {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let mut page = inner.find(request.clone()).await?;
        if let PageStart::After(cursor) = &request.start {
            let (name, routing) = (request.model.name(), request.routing.as_ref());
            let at = cursor.position(name, &request.filter, &request.sort, routing)?;
            let behind = at.score(&request.sort);
            let kept = page.scores.iter().map(|score| Some(*score) != behind);
            let kept: Vec<bool> = kept.collect();
            let mut keep = kept.iter();
            page.documents.retain(|_| keep.next() != Some(&false));
            let mut keep = kept.iter();
            page.scores.retain(|_| keep.next() != Some(&false));
        }
        Ok(page)
    }
}

/// Tells no scores.
#[derive(Debug)]
struct KeepsScores;

#[async_trait]
impl Alter for KeepsScores {
    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        let page = inner.find(request).await?;
        Ok(page.with_scores(Vec::new()))
    }
}

/// Fits everything equally.
#[derive(Debug)]
struct FindsAllEqual;

#[async_trait]
impl Alter for FindsAllEqual {
    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        let by_score = request
            .sort
            .iter()
            .any(strongroom_core::query::Sort::is_by_score);
        request.sort.retain(|sort| !sort.is_by_score());
        let page = inner.find(request).await?;
        let scores = page.documents.iter().map(|_| 0.0).collect();
        Ok(if by_score {
            page.with_scores(scores)
        } else {
            page
        })
    }
}

#[test]
fn scores_that_are_no_order() {
    rejected(|| MixesScores, "score::descends", "by the scores");
    rejected(|| KeepsScores, "score::descends", "the number of scores");
    rejected(
        || SkipsLevelScores,
        "score::pages_visit_each_once",
        "pages of",
    );
    rejected(
        || FindsAllEqual,
        "score::tells_what_fits",
        "whether the score",
    );
}
