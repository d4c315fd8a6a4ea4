//! Adding fields to a collection that holds documents.
//!
//! What can be searched of a document stands beside its body, so documents that were written before
//! are written anew, each under the guard of where it is stored, with its write id and its version:
//! for everybody else nothing has changed. That no write by the former model slips through is a
//! matter of names. First the extension is marked, so that one that was cut off is noticed and
//! finished by the next `ensure`; then the mapping gets the fields, and the account of the model;
//! then the pin is replaced, by which all writes address the index, so that whoever knows the former
//! model is refused and looks it up anew; then the documents are written, and the mark is taken away.

use elasticsearch::http::Method;
use serde_json::{Value, json};
use strongroom_core::model::Model;
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{MatchingAction, MatchingRequest, Refresh};
use strongroom_core::{Error, ErrorKind, Result};

use crate::analysis::TextAnalysis;
use crate::compile;
use crate::error::Failure;
use crate::index::{Index, Stored};
use crate::requests::{Outcome, Step};
use crate::store::EsStore;
use crate::wire::Request;

/// How many documents are written anew at once.
const BATCH: usize = 500;

impl EsStore {
    /// Adds the fields that `wanted` has and the index has not, or finishes what was begun. Texts
    /// are read by these analysers from then on.
    ///
    /// Cut off, it leaves the mark of an extension, which the next one finishes.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`: some documents may not be found by the added fields until it is
    /// asked for again.
    pub(crate) async fn extend(
        &self,
        stored: &Stored,
        wanted: &Model,
        texts: &TextAnalysis,
    ) -> Result<()> {
        let index = &stored.index;
        let added = wanted.extends(index.model())?;
        let mut marks = stored.unfinished.clone();
        if !added.is_empty() {
            let mut all = Model::builder(wanted.name().as_str());
            if wanted.is_routed() {
                all = all.routed();
            }
            for field in index.model().fields().chain(added.iter().copied()) {
                all = all.field(field.clone());
            }
            let mapping = compile::extension(&*all.build()?, texts)?;
            let mark = index.draw_mark();
            self.rename(json!([{"add": {"index": index.name(), "alias": mark}}]))
                .await?;
            let path = format!("/{}/_mapping", index.name());
            let request = Request::new(Method::Put, &path).json(&mapping);
            if let Err(failure) = self.wire().call(request).await {
                let error = failure.into_ensure_error(texts);
                if error.kind() == ErrorKind::Invalid {
                    // Nothing was begun. If the mark stays, the next one has nothing to finish.
                    let _ = self.rename(json!([unmark(index, &mark)])).await;
                }
                return Err(error);
            }
            marks.push(mark);
        }
        let pinned = index.pinned_anew();
        self.rename(json!([
            {"remove": {"index": index.name(), "alias": index.any_pin()}},
            {"add": {"index": index.name(), "alias": pinned.pin()}},
        ]))
        .await?;
        self.write_all_anew(wanted).await?;
        let removals = marks.iter().map(|mark| unmark(index, mark));
        // Another one may have finished it as well, and taken the mark away.
        match self.rename(removals.collect()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    async fn rename(&self, actions: Value) -> Result<()> {
        let request = Request::new(Method::Post, "/_aliases").json(&json!({"actions": actions}));
        match self.wire().call(request).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(refusal)) if refusal.status == 404 => Err(Error::new(
                ErrorKind::NotFound,
                "what was to be renamed is not there",
            )
            .with_source(Failure::Refused(refusal).into_read_error())),
            Err(failure) => Err(failure.into_read_error()),
        }
    }

    async fn write_all_anew(&self, model: &Model) -> Result<()> {
        let Some(stored) = self.look_up(model.name()).await? else {
            return Ok(());
        };
        self.refresh_index(&stored.index).await?;
        let model = stored.index.model().clone();
        let everything = MatchingAction::Patch(Patch::new());
        let mut request = MatchingRequest::new(model, Filter::all(), everything);
        loop {
            let (index, found) = self.matching(&request, BATCH).await?;
            let is_last = found.len() < BATCH;
            let mut steps = Vec::with_capacity(found.len());
            for found in &found {
                let source = compile::rewritten(index.place(), &found.document)?;
                steps.push((&found.document.key, Step::Index(source, Some(found.guard))));
            }
            self.write_anew(&index, &steps).await?;
            request.after = found.into_iter().next_back().map(|f| f.document.key);
            if is_last {
                // Searches by the added fields find the documents from here on.
                return self.refresh_index(&index).await;
            }
        }
    }

    async fn write_anew(
        &self,
        index: &Index,
        steps: &[(&strongroom_core::model::Key, Step)],
    ) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        let outcomes = self.carry_out(index, steps, Refresh::None).await;
        for outcome in outcomes.map_err(Failure::into_write_error)? {
            match outcome {
                // Whoever wrote the document meanwhile knew the fields.
                Outcome::Created(_)
                | Outcome::Updated(_)
                | Outcome::Deleted
                | Outcome::Nothing
                | Outcome::Conflict => {}
                Outcome::MissingIndex => {
                    return Err(Error::new(
                        ErrorKind::Contended,
                        "others added fields at the same time",
                    ));
                }
                Outcome::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Takes the mark of an extension away, if it is still there.
fn unmark(index: &Index, mark: &str) -> Value {
    json!({"remove": {"index": index.name(), "alias": mark, "must_exist": false}})
}
