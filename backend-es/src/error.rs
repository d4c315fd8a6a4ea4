//! What can go wrong between here and the engine, and which error of the family it is.
//!
//! The rule for writes: what provably did not take place is `Unavailable`, `Contended` or a
//! refusal; everything else is `Indeterminate`.

use std::error::Error as StdError;

use serde::Deserialize;
use strongroom_core::{Error, ErrorKind};

use crate::analysis::TextAnalysis;

/// Why a call has no usable reply.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request did not reach the engine.
    NotSent(elasticsearch::Error),
    /// The request could not be written, and nothing was sent.
    NotEncoded(serde_json::Error),
    /// The request may have reached the engine, and no whole reply came back.
    Lost {
        timed_out: bool,
        source: elasticsearch::Error,
    },
    /// The engine refused, as a whole or one item.
    Refused(Refusal),
    /// The reply is not what it should be.
    Garbled(String),
}

/// A refusal by the engine.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status, of the reply or of the item.
    pub(crate) status: u16,
    /// The engine's name for it; empty if the reply was not the engine's.
    pub(crate) kind: String,
    /// The engine's explanation.
    pub(crate) reason: String,
    /// Whether a shard or a node was away, here or behind it.
    pub(crate) is_away: bool,
}

/// The engine's own account of an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Cause {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    caused_by: Option<Box<Cause>>,
    #[serde(default)]
    failed_shards: Vec<FailedShard>,
}

#[derive(Debug, Deserialize)]
struct FailedShard {
    #[serde(default)]
    reason: Option<Cause>,
}

/// What calls fail with while a shard or a node is away: it may be back at the next attempt, or
/// another copy be the primary. The status that comes with it is 500 as often as 503, and in an
/// answer about one document of many there is none.
const AWAY: [&str; 15] = [
    "already_closed_exception",
    "connect_transport_exception",
    "illegal_index_shard_state_exception",
    "index_shard_closed_exception",
    "index_shard_not_recovered_exception",
    "index_shard_not_started_exception",
    "index_shard_recovering_exception",
    "no_shard_available_action_exception",
    "node_closed_exception",
    "node_disconnected_exception",
    "node_not_connected_exception",
    "receive_timeout_transport_exception",
    "send_request_transport_exception",
    "shard_not_found_exception",
    "unavailable_shards_exception",
];

/// What an aggregation fails with that makes more buckets than the engine allows.
const TOO_MANY_BUCKETS: &str = "too_many_buckets_exception";

impl Cause {
    fn is_away(&self) -> bool {
        let shards = self.failed_shards.iter();
        let mut causes = shards.filter_map(|shard| shard.reason.as_ref());
        AWAY.contains(&self.kind.as_str())
            || self.caused_by.as_ref().is_some_and(|cause| cause.is_away())
            || causes.any(Self::is_away)
    }

    /// The cause behind it that tells more than it does, or itself.
    fn telling(self) -> Self {
        let mut behind = self.caused_by.as_deref();
        while let Some(cause) = behind {
            if cause.kind == TOO_MANY_BUCKETS {
                return Self {
                    kind: cause.kind.clone(),
                    reason: cause.reason.clone(),
                    caused_by: None,
                    failed_shards: Vec::new(),
                };
            }
            behind = cause.caused_by.as_deref();
        }
        self
    }
}

#[derive(Deserialize)]
struct ErrorReply {
    error: Cause,
}

impl Refusal {
    /// Reads the body of a reply with an error status.
    pub(crate) fn from_reply(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorReply>(body) {
            Ok(reply) => Self::from_cause(status, reply.error),
            Err(_) => Self {
                status,
                kind: String::new(),
                reason: "the reply is not the search engine's".to_owned(),
                is_away: false,
            },
        }
    }

    /// Reads the account that came with one item.
    pub(crate) fn from_cause(status: u16, cause: Cause) -> Self {
        let is_away = cause.is_away();
        let cause = cause.telling();
        Self {
            status,
            is_away,
            kind: cause.kind,
            reason: cause.reason.unwrap_or_default(),
        }
    }

    /// Whether it is the engine that refuses, and not something on the way to it.
    pub(crate) fn is_the_engines(&self) -> bool {
        !self.kind.is_empty()
    }

    /// Whether the index is not there.
    pub(crate) fn is_missing_index(&self) -> bool {
        self.kind == "index_not_found_exception"
    }

    /// Whether a guard did not hold.
    pub(crate) fn is_version_conflict(&self) -> bool {
        self.kind == "version_conflict_engine_exception"
    }

    fn classify(&self, is_write: bool) -> ErrorKind {
        match (self.status, self.kind.as_str()) {
            // Decided before the write was tried.
            (_, "cluster_block_exception") => ErrorKind::Unavailable,
            (429, kind) if !kind.is_empty() => ErrorKind::Contended,
            (401 | 403, _) => ErrorKind::Unauthorized,
            (413, _) | (_, TOO_MANY_BUCKETS) => ErrorKind::Invalid,
            _ if self.is_away && !is_write => ErrorKind::Unavailable,
            (400..=499, kind) if !kind.is_empty() => ErrorKind::Internal,
            // The engine may have tried before, and lost the shard on the way: 503 is no proof.
            _ if is_write => ErrorKind::Indeterminate,
            (429 | 502 | 503, _) => ErrorKind::Unavailable,
            (504, _) => ErrorKind::Timeout,
            _ => ErrorKind::Internal,
        }
    }
}

impl Failure {
    /// What came of sending a request.
    pub(crate) fn from_client(error: elasticsearch::Error) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = error.source();
        let mut http = None;
        while let Some(inner) = cause {
            http = inner.downcast_ref::<reqwest::Error>();
            if http.is_some() {
                break;
            }
            cause = inner.source();
        }
        match http {
            // Without an HTTP error the client did not get as far as sending.
            None => Self::NotSent(error),
            Some(http) if http.is_connect() || http.is_builder() => Self::NotSent(error),
            Some(http) => Self::Lost {
                timed_out: http.is_timeout(),
                source: error,
            },
        }
    }

    /// A request that could not be written.
    pub(crate) fn not_encoded(error: serde_json::Error) -> Self {
        Self::NotEncoded(error)
    }

    /// The error of a call that changes no document.
    pub(crate) fn into_read_error(self) -> Error {
        self.into_error(false)
    }

    /// The error of a call that changes documents.
    pub(crate) fn into_write_error(self) -> Error {
        self.into_error(true)
    }

    /// The error of making or extending an index that reads texts by these analysers. What the
    /// engine then does not understand are they: the rest of the request is this crate's own.
    pub(crate) fn into_ensure_error(self, texts: &TextAnalysis) -> Error {
        match self {
            Self::Refused(refusal) if refusal.status == 400 && *texts != TextAnalysis::new() => {
                Error::invalid(format!(
                    "the search engine does not take the analysers of the collection: {}",
                    refusal.reason
                ))
            }
            other => other.into_read_error(),
        }
    }

    /// Whether writes that failed so may have taken effect.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::NotEncoded(_) => false,
            Self::Lost { .. } | Self::Garbled(_) => true,
            Self::Refused(refusal) => refusal.classify(true) == ErrorKind::Indeterminate,
        }
    }

    fn into_error(self, is_write: bool) -> Error {
        match self {
            Self::NotSent(source) => Error::new(
                ErrorKind::Unavailable,
                "the search engine could not be reached",
            )
            .with_source(source),
            Self::NotEncoded(source) => {
                Error::new(ErrorKind::Codec, "the request does not encode").with_source(source)
            }
            Self::Lost { timed_out, source } => {
                let (kind, message) = match (is_write, timed_out) {
                    (true, _) => (
                        ErrorKind::Indeterminate,
                        "the write was sent and its reply was lost",
                    ),
                    (false, true) => (
                        ErrorKind::Timeout,
                        "the search engine did not reply in time",
                    ),
                    (false, false) => (
                        ErrorKind::Unavailable,
                        "the connection to the search engine broke",
                    ),
                };
                Error::new(kind, message).with_source(source)
            }
            Self::Refused(refusal) => Error::new(
                refusal.classify(is_write),
                format!(
                    "the search engine answered {} {}: {}",
                    refusal.status, refusal.kind, refusal.reason
                ),
            ),
            Self::Garbled(what) if is_write => Error::indeterminate(what),
            Self::Garbled(what) => Error::internal(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, kind: &str, read: ErrorKind, write: ErrorKind) {
        let refusal = || {
            Failure::Refused(Refusal {
                status,
                kind: kind.to_owned(),
                reason: String::new(),
                is_away: AWAY.contains(&kind),
            })
        };
        assert_eq!(refusal().into_read_error().kind(), read, "{status} {kind}");
        assert_eq!(
            refusal().into_write_error().kind(),
            write,
            "{status} {kind}"
        );
    }

    #[test]
    fn only_proof_makes_a_write_retryable() {
        use ErrorKind::{Contended, Indeterminate, Internal, Timeout, Unauthorized, Unavailable};
        check(429, "es_rejected_execution_exception", Contended, Contended);
        check(429, "", Unavailable, Indeterminate);
        check(503, "cluster_block_exception", Unavailable, Unavailable);
        check(
            503,
            "unavailable_shards_exception",
            Unavailable,
            Indeterminate,
        );
        check(503, "", Unavailable, Indeterminate);
        check(502, "", Unavailable, Indeterminate);
        check(
            500,
            "no_shard_available_action_exception",
            Unavailable,
            Indeterminate,
        );
        check(504, "", Timeout, Indeterminate);
        check(500, "illegal_state_exception", Internal, Indeterminate);
        check(401, "security_exception", Unauthorized, Unauthorized);
        check(400, "document_parsing_exception", Internal, Internal);
    }

    #[test]
    fn too_many_buckets_are_told_from_other_failures() {
        let reply = br#"{"error":{"type":"search_phase_execution_exception","reason":"",
            "caused_by":{"type":"x","caused_by":{"type":"too_many_buckets_exception",
            "reason":"Trying to create too many buckets"}}},"status":503}"#;
        let error = Failure::Refused(Refusal::from_reply(503, reply)).into_read_error();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("too many buckets"), "{error}");
    }

    #[test]
    fn shards_that_are_away_are_told_from_other_failures() {
        let check = |cause: &str, expected: ErrorKind| {
            let reply = format!(
                r#"{{"error":{{"type":"search_phase_execution_exception","reason":"all shards
                failed",{cause}}},"status":500}}"#
            );
            let reply = reply.replace('\n', " ");
            let refusal = Refusal::from_reply(500, reply.as_bytes());
            let error = Failure::Refused(refusal).into_read_error();
            assert_eq!(error.kind(), expected, "{cause}");
        };
        check(
            r#""failed_shards":[{"shard":0,"reason":{"type":"node_disconnected_exception"}}]"#,
            ErrorKind::Unavailable,
        );
        check(
            r#""caused_by":{"type":"x","caused_by":{"type":"already_closed_exception"}}"#,
            ErrorKind::Unavailable,
        );
        check(
            r#""failed_shards":[{"shard":0,"reason":{"type":"null_pointer_exception"}}]"#,
            ErrorKind::Internal,
        );
    }

    #[test]
    fn a_foreign_reply_is_told_from_the_engines() {
        let ours = br#"{"error":{"type":"x_exception","reason":"r"},"status":400}"#;
        assert_eq!(Refusal::from_reply(400, ours).kind, "x_exception");
        assert_eq!(Refusal::from_reply(502, b"<html>").kind, "");
    }
}
