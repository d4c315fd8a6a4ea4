//! Concurrent histories on a few keys are linearizable: as if the calls had been made one after
//! another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Version};
use strongroom_core::store::{Effect, Write};

use super::races::at_once;
use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, check, describe};
use crate::linear::{Call, Op, Reply, is_linearizable};
use crate::random::Seed;

const KEYS: usize = 3;
const TASKS: usize = 6;
const CALLS: usize = 12;

pub(crate) async fn saves_loads_and_deletes(cx: &Context) -> Outcome {
    let seed = Seed::draw();
    for round in 0..cx.scale().rounds {
        histories(cx, seed, round, false)
            .await
            .during(format_args!("round {round}, {seed}"))?;
    }
    Ok(())
}

pub(crate) async fn with_calls_cut_off(cx: &Context) -> Outcome {
    let seed = Seed::draw();
    for round in 0..cx.scale().rounds {
        histories(cx, seed, round, true)
            .await
            .during(format_args!("round {round}, {seed}"))?;
    }
    Ok(())
}

async fn histories(cx: &Context, seed: Seed, round: usize, cut: bool) -> Outcome {
    let docs = cx.docs().await?;
    let clock = Arc::new(AtomicU64::new(0));
    let found = at_once(TASKS, |task| {
        let caller = Caller {
            docs: docs.clone(),
            clock: clock.clone(),
            known: [None; KEYS],
        };
        caller.call(seed.of(round * TASKS + task), cut)
    })
    .await?;
    let mut by_key: Vec<Vec<Call>> = vec![Vec::new(); KEYS];
    for calls in found {
        for (at, call) in calls? {
            by_key[at].push(call);
        }
    }
    for (at, mut calls) in by_key.into_iter().enumerate() {
        calls.sort_by_key(|call| call.begin);
        check!(
            is_linearizable(&calls),
            "the calls on key {at} could not have been made one after another:\n{}",
            calls
                .iter()
                .map(|call| format!("    {call:?}\n"))
                .collect::<String>()
        );
    }
    Ok(())
}

struct Caller {
    docs: Docs,
    clock: Arc<AtomicU64>,
    known: [Option<Version>; KEYS],
}

impl Caller {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn call(mut self, seed: Seed, cut: bool) -> Outcome<Vec<(usize, Call)>> {
        let mut random = seed.random();
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            let at = random.below(KEYS);
            let key: Key = key(&format!("k{at}"))?;
            let choice = random.below(10);
            let expected = match (random.below(6), self.known[at]) {
                (0, _) => Expected::Any,
                (1, _) => Expected::Present,
                (2, _) | (_, None) => Expected::Absent,
                (_, Some(version)) => Expected::Exactly(version),
            };
            let polls = if cut && choice.is_multiple_of(2) {
                random.below(4)
            } else {
                usize::MAX
            };
            let begin = self.now();
            let (op, reply) = match (choice, expected) {
                (0..=2, _) => (Op::Load, self.load(at, &key).await?),
                (3..=4, Expected::Any | Expected::Present | Expected::Exactly(_)) => {
                    let write = Write::delete(key, expected);
                    (Op::Delete(expected), self.save(at, write, polls).await?)
                }
                _ => {
                    let body = Body::encode(&json!({"n": begin}))?;
                    let write = Write::put(key, body, expected);
                    let id = write.write_id;
                    (Op::Put(expected, id), self.save(at, write, polls).await?)
                }
            };
            let end = self.now();
            calls.push((
                at,
                Call {
                    op,
                    reply,
                    begin,
                    end,
                },
            ));
            // A store in memory never waits, and its callers would come one after another.
            tokio::task::yield_now().await;
        }
        Ok(calls)
    }

    async fn load(&mut self, at: usize, key: &Key) -> Outcome<Reply> {
        let found = self.docs.load(key).await?;
        self.known[at] = found.as_ref().map(|d| d.version);
        match found {
            None => Ok(Reply::Found(None)),
            Some(found) => {
                let id = found
                    .write_id
                    .ok_or_else(|| Failure::new(format!("{key} was loaded without a write id")))?;
                Ok(Reply::Found(Some((found.version, id))))
            }
        }
    }

    async fn save(&mut self, at: usize, write: Write, polls: usize) -> Outcome<Reply> {
        let Some(result) = crate::cut::polled(self.docs.save(write), polls).await else {
            return Ok(Reply::Unknown);
        };
        Ok(match result {
            Ok(receipt) => {
                self.known[at] = receipt.version;
                match (receipt.effect, receipt.version) {
                    (Effect::Deleted, _) => Reply::Deleted,
                    (Effect::Absent, _) => Reply::Absent,
                    (_, Some(version)) => Reply::Written(version),
                    (effect, None) => {
                        return Err(Failure::new(format!("a put {effect:?} has no version")));
                    }
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Reply::NotFound,
                ErrorKind::Conflict | ErrorKind::AlreadyExists => {
                    Reply::Occupied(error.actual_version())
                }
                _ => return Err(Failure::new(describe(&error))),
            },
        })
    }
}
