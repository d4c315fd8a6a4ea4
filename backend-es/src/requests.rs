//! Operations in, one outcome per operation out, in order: by one `_bulk` request.
//!
//! Items that the engine was too busy for are sent again, and no others.
//!
//! In the body of a bulk no id is hostile. A lone document is stored by a request of its own, which
//! costs the engine less, if its id can stand in a path: if it is short and has nothing but letters,
//! digits, dashes and underscores.

use std::time::Duration;

use elasticsearch::http::Method;
use serde::{Deserialize, Serialize};
use strongroom_core::model::{Key, Version};
use strongroom_core::store::Refresh;
use strongroom_core::{Error, ErrorKind};

use crate::compile;
use crate::error::{Cause, Failure, Refusal};
use crate::index::Index;
use crate::store::EsStore;
use crate::wire::Request;

/// What the engine is to do with one document, in one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// Store it if there is none.
    Create(Vec<u8>),
    /// Store it, whatever is there, or over exactly this version.
    Index(Vec<u8>, Option<Guard>),
    /// Delete it, whatever is there, or exactly this version.
    Delete(Option<Guard>),
}

/// The place of a version in the write order of its shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub(crate) seq_no: u64,
    pub(crate) primary_term: u64,
}

impl Step {
    /// How much of a request the step takes up, about.
    pub(crate) fn bytes(&self) -> usize {
        1_000
            + match self {
                Self::Create(source) | Self::Index(source, _) => source.len(),
                Self::Delete(_) => 0,
            }
    }

    pub(crate) fn guard(&self) -> Option<Guard> {
        match self {
            Self::Create(_) => None,
            Self::Index(_, guard) | Self::Delete(guard) => *guard,
        }
    }
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There was no document and now there is.
    Created(Version),
    /// There was a document and now there is another.
    Updated(Version),
    /// The document was deleted.
    Deleted,
    /// There was nothing to delete.
    Nothing,
    /// The guard did not hold. This may be the echo of the step itself, if the engine sent it on
    /// twice.
    Conflict,
    /// The index is not there; nothing was done.
    MissingIndex,
    /// It failed.
    Failed(Error),
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<Told>,
}

/// What was told of one step, by the name of its action.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Create(Item),
    Index(Item),
    Delete(Item),
}

#[derive(Deserialize)]
struct Item {
    /// In a bulk only.
    #[serde(default)]
    status: u16,
    result: Option<Effect>,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    error: Option<Cause>,
}

/// What a step did.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Created,
    Updated,
    Deleted,
    NotFound,
    #[serde(other)]
    Other,
}

impl EsStore {
    /// Has the steps carried out on one index: one outcome per step, in order. They are of different
    /// documents, because those that the engine was too busy for are sent again after the others.
    ///
    /// # Errors
    ///
    /// If the request as a whole has no usable reply.
    pub(crate) async fn carry_out(
        &self,
        index: &Index,
        steps: &[(&Key, Step)],
        refresh: Refresh,
    ) -> Result<Vec<Outcome>, Failure> {
        let all: Vec<&(&Key, Step)> = steps.iter().collect();
        let mut answers = self.send_once(index, &all, refresh).await?;
        for attempt in 0..RESENDS {
            let pairs = steps.iter().zip(&answers).enumerate();
            let again: Vec<usize> = pairs
                .filter(|(_, ((_, step), answer))| may_go_again(step, answer))
                .map(|(at, _)| at)
                .collect();
            if again.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            let pending: Vec<&(&Key, Step)> =
                again.iter().filter_map(|at| steps.get(*at)).collect();
            let told = match self.send_once(index, &pending, refresh).await {
                Ok(told) => told,
                // Without a reply, what was told of these items before no longer holds.
                Err(failure) if failure.leaves_open() => {
                    again.iter().map(|_| Answer::garbled()).collect()
                }
                // Nothing came of this attempt.
                Err(_) => continue,
            };
            for (at, answer) in again.into_iter().zip(told) {
                if let Some(place) = answers.get_mut(at) {
                    *place = answer;
                }
            }
        }
        Ok(answers.into_iter().map(|answer| answer.outcome).collect())
    }

    /// Binds a request that writes to the alias by which the index is addressed, and to how long its
    /// answer is waited for.
    fn writing<'r>(&self, request: Request<'r>, refresh: Refresh) -> Request<'r> {
        // The engine gives up waiting for a shard before nobody waits for its answer any more: a
        // write must not take effect after it was told that it did not.
        let patience = format!("{}ms", self.options().timeout.as_millis().max(2) / 2);
        let request = request
            .query("require_alias", "true")
            .query("timeout", patience);
        match refresh {
            Refresh::WaitFor => request.query("refresh", "wait_for"),
            Refresh::Now => request.query("refresh", "true"),
            _ => request,
        }
    }

    async fn send_once(
        &self,
        index: &Index,
        steps: &[&(&Key, Step)],
        refresh: Refresh,
    ) -> Result<Vec<Answer>, Failure> {
        if let [(key, step)] = steps
            && let Some(request) = lone(index, key, step)
        {
            let reply = self.wire().send(self.writing(request, refresh)).await?;
            return Ok(vec![lone_answer(&reply, index)?]);
        }
        let mut lines = Vec::with_capacity(steps.iter().map(|(_, s)| s.bytes()).sum());
        for (key, step) in steps {
            write_step(&mut lines, index, key, step).map_err(Failure::not_encoded)?;
        }
        let request = Request::new(Method::Post, "/_bulk").lines(lines);
        let request = self.writing(request, refresh);
        let reply: Reply = self.wire().call(request).await?.read()?;
        if reply.items.len() != steps.len() {
            return Err(Failure::Garbled(format!(
                "{} writes were sent, the search engine answered for {}",
                steps.len(),
                reply.items.len()
            )));
        }
        let items = reply.items.into_iter();
        Ok(items.map(|told| told.item().answer(index)).collect())
    }
}

/// Longest id that stands in a path.
const MAX_PATH_ID: usize = 128;

/// The request that stores a lone document; `None` where it takes a bulk.
fn lone(index: &Index, key: &Key, step: &Step) -> Option<Request<'static>> {
    let id = key.id().as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let may_stand = id.len() <= MAX_PATH_ID && !id.starts_with('_') && id.bytes().all(is_plain);
    if !may_stand || key.routing().is_some() {
        return None;
    }
    let (endpoint, source) = match step {
        Step::Create(source) => ("_create", source),
        Step::Index(source, _) => ("_doc", source),
        // Deletes cannot be bound to the alias.
        Step::Delete(_) => return None,
    };
    let path = format!("/{}/{endpoint}/{id}", index.pin());
    let mut request = Request::new(Method::Put, path).encoded(source.clone());
    if let Some(guard) = step.guard() {
        request = request
            .query("if_seq_no", guard.seq_no.to_string())
            .query("if_primary_term", guard.primary_term.to_string());
    }
    Some(request)
}

/// What became of a lone document.
fn lone_answer(reply: &crate::wire::Reply, index: &Index) -> Result<Answer, Failure> {
    if (200..300).contains(&reply.status) {
        let item: Item = reply.read()?;
        return Ok(item.answer(index));
    }
    let refusal = Refusal::from_reply(reply.status, &reply.body);
    Ok(Answer {
        pressed: matches!(reply.status, 429 | 503) && refusal.is_the_engines(),
        outcome: refused(refusal),
    })
}

/// How often items that the engine was too busy for are sent again.
const RESENDS: u32 = 5;

/// What was told of one step.
struct Answer {
    outcome: Outcome,
    /// The engine was too busy, or the shard was not there: status 429 or 503.
    pressed: bool,
}

impl Answer {
    fn garbled() -> Self {
        Self {
            outcome: garbled(),
            pressed: false,
        }
    }
}

/// Whether the engine was too busy for a step and it can be sent again without harm.
///
/// One that was refused took no effect. One that got no shard may have taken effect before: it goes
/// again only under a guard, and meets itself then, which the write id tells; a delete leaves none.
fn may_go_again(step: &Step, answer: &Answer) -> bool {
    let refused = matches!(
        &answer.outcome,
        Outcome::Failed(error) if error.kind() == ErrorKind::Contended
    );
    answer.pressed && (refused || matches!(step, Step::Create(_) | Step::Index(_, Some(_))))
}

fn write_step(
    lines: &mut Vec<u8>,
    index: &Index,
    key: &Key,
    step: &Step,
) -> serde_json::Result<()> {
    let guard = step.guard();
    let target = Target {
        index: index.pin(),
        id: &compile::document_id(key),
        routing: key.routing().map(|routing| routing.as_str()),
        if_seq_no: guard.map(|guard| guard.seq_no),
        if_primary_term: guard.map(|guard| guard.primary_term),
    };
    let (action, source) = match step {
        Step::Create(source) => (Action::Create(target), Some(source)),
        Step::Index(source, _) => (Action::Index(target), Some(source)),
        Step::Delete(_) => (Action::Delete(target), None),
    };
    serde_json::to_writer(&mut *lines, &action)?;
    lines.push(b'\n');
    if let Some(source) = source {
        lines.extend_from_slice(source);
        lines.push(b'\n');
    }
    Ok(())
}

/// The line of a step before its document.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    Create(Target<'a>),
    Index(Target<'a>),
    Delete(Target<'a>),
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_seq_no: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_primary_term: Option<u64>,
}

fn garbled() -> Outcome {
    Outcome::Failed(Error::indeterminate(
        "the search engine's answer for the write is not understood",
    ))
}

fn refused(refusal: Refusal) -> Outcome {
    if refusal.is_version_conflict() {
        Outcome::Conflict
    } else if refusal.is_missing_index() {
        Outcome::MissingIndex
    } else {
        Outcome::Failed(Failure::Refused(refusal).into_write_error())
    }
}

impl Told {
    fn item(self) -> Item {
        match self {
            Self::Create(item) | Self::Index(item) | Self::Delete(item) => item,
        }
    }
}

impl Item {
    fn answer(self, index: &Index) -> Answer {
        let pressed = self.error.is_some() && matches!(self.status, 429 | 503);
        Answer {
            pressed,
            outcome: self.outcome(index),
        }
    }

    fn outcome(self, index: &Index) -> Outcome {
        if let Some(cause) = self.error {
            return refused(Refusal::from_cause(self.status, cause));
        }
        let version = match (self.seq_no, self.primary_term) {
            (Some(seq_no), Some(term)) => Version::from_sequence(seq_no, term, index.id()),
            _ => return garbled(),
        };
        match self.result {
            Some(Effect::Created) => Outcome::Created(version),
            Some(Effect::Updated) => Outcome::Updated(version),
            Some(Effect::Deleted) => Outcome::Deleted,
            Some(Effect::NotFound) => Outcome::Nothing,
            Some(Effect::Other) | None => garbled(),
        }
    }
}
