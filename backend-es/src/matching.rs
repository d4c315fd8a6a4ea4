//! Writing what matches, step by step: searched in the order of keys, written under the versions
//! at which it matched.

use serde_json::{Value, json};
use strongroom_core::Result;
use strongroom_core::model::{Expected, Key};
use strongroom_core::query::{Position, SourceFilter};
use strongroom_core::store::{
    Action, MAX_PAGE, MatchingAction, MatchingReply, MatchingRequest, Write,
};

use crate::analysis::TextAnalysis;
use crate::bulk::Run;
use crate::compile::{self, Place};
use crate::index::Index;
use crate::load::{Found, Source};
use crate::requests::Step;
use crate::search::check_size;
use crate::store::{EsStore, MAX_REQUEST_BYTES};

/// How many documents are held at once: a patched document is there twice, and a third time as it
/// is sent.
const BATCH: usize = 500;

pub(crate) fn matching_body(
    request: &MatchingRequest,
    size: usize,
    texts: &TextAnalysis,
) -> Result<Value> {
    check_size(
        "write of what matches has a limit of",
        request.limit,
        MAX_PAGE,
    )?;
    let model = &request.model;
    request.filter.check(model)?;
    let place = Place::documents(model).read_by(texts);
    let query = compile::query(&request.filter, place)?;
    // What the write itself left, when it was sent before, is passed over.
    let query = json!({"bool": {
        "filter": [query],
        "must_not": [{"term": {"w": request.write_id.to_string()}}],
    }});
    let source = match request.action {
        MatchingAction::Patch(_) => SourceFilter::All,
        MatchingAction::Delete => SourceFilter::Include(Vec::new()),
    };
    let mut body = json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "sort": compile::order(&[], model, false)?,
        "size": size,
        "seq_no_primary_term": true,
        "_source": Source::parts(&source),
        "track_total_hits": false,
    });
    if let (Some(after), Some(body)) = (&request.after, body.as_object_mut()) {
        model.check_key(after)?;
        let behind = Position {
            values: Vec::new(),
            key: after.clone(),
        };
        let after = compile::search_after(&behind, &[], &request.model, false)?;
        body.insert("search_after".to_owned(), json!(after));
    }
    Ok(body)
}

impl EsStore {
    pub(crate) async fn match_now(&self, request: &MatchingRequest) -> Result<MatchingReply> {
        let action = match &request.action {
            MatchingAction::Patch(patch) => {
                patch.check()?;
                Action::Patch(patch.clone())
            }
            MatchingAction::Delete => Action::Delete,
        };
        let mut request = request.clone();
        let mut left = request.limit;
        let mut reply = MatchingReply::default();
        loop {
            let size = left.min(BATCH);
            let found = self.matching(&request, size + 1).await;
            let (index, mut found) = match found {
                Ok(found) => found,
                // What was written before stays written: the error must not say otherwise.
                Err(_) if left < request.limit => {
                    reply.next.clone_from(&request.after);
                    return Ok(reply);
                }
                Err(error) => return Err(error),
            };
            let more = found.len() > size;
            found.truncate(size);
            left -= found.len();
            let last = found.last().map(|found| found.document.key.clone());
            self.write_found(&index, &request, &action, found, &mut reply)
                .await;
            if !more {
                reply.next = None;
                return Ok(reply);
            }
            reply.next.clone_from(&last);
            request.after = last;
            if left == 0 {
                return Ok(reply);
            }
        }
    }

    pub(crate) async fn matching(
        &self,
        request: &MatchingRequest,
        size: usize,
    ) -> Result<(Index, Vec<Found>)> {
        let body = |index: &Index| matching_body(request, size, index.texts());
        let (index, answer) = self.ask_now(&request.model, &[], body).await?;
        let hits = answer.hits.hits.into_iter();
        let found = hits.map(|hit| hit.into_found(&index, &SourceFilter::All));
        Ok((index.clone(), found.collect::<Result<_>>()?))
    }

    /// Writes each document under the version at which it matched.
    async fn write_found(
        &self,
        index: &Index,
        request: &MatchingRequest,
        action: &Action,
        found: Vec<Found>,
        reply: &mut MatchingReply,
    ) {
        let model = &*request.model;
        let writes: Vec<Write> = found
            .iter()
            .map(|Found { document, .. }| {
                let expected = Expected::Exactly(document.version);
                let mut write = Write::new(document.key.clone(), action.clone(), expected);
                write.write_id = request.write_id;
                write
            })
            .collect();
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut run = Run::default();
        let mut sent: Vec<&Key> = Vec::new();
        for (write, found) in writes.iter().zip(&found) {
            match step(index.place(), write, found) {
                Ok(step) => {
                    if run.bytes() > MAX_REQUEST_BYTES {
                        let run = std::mem::take(&mut run);
                        self.send(index, model, run, request.refresh, &mut outcomes)
                            .await;
                    }
                    sent.push(&write.key);
                    run.push(write, step);
                }
                Err(error) => reply
                    .failures
                    .push((write.key.clone(), error.with_key(write.key.clone()))),
            }
        }
        self.send(index, model, run, request.refresh, &mut outcomes)
            .await;
        for (key, outcome) in sent.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => reply.written += 1,
                Err(error) => {
                    let error = error.with_collection(model.name().clone());
                    reply.failures.push((key.clone(), error));
                }
            }
        }
    }
}

fn step(place: Place<'_>, write: &Write, found: &Found) -> Result<Step> {
    let guard = Some(found.guard);
    Ok(match &write.action {
        Action::Patch(patch) => {
            let body = patch.apply(&found.document.body)?;
            let source = compile::source(place, &write.key, &body, write.write_id)?;
            Step::Index(source, guard)
        }
        Action::Put(body) => Step::Index(
            compile::source(place, &write.key, body, write.write_id)?,
            guard,
        ),
        Action::Delete => Step::Delete(guard),
    })
}
