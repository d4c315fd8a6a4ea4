//! The whole table of writes: each action on each state of a document with each expectation, as
//! one save, as an item of a bulk, and as an item of an atomic bulk where that is granted.

use serde_json::{Value, json};
use strongroom_core::error::Operation;
use strongroom_core::model::{Body, Expected, Key, Version, WriteId};
use strongroom_core::patch::Patch;
use strongroom_core::store::{Action, BulkItem, BulkReply, Effect, Receipt, Write};
use strongroom_core::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::docs::{Docs, key, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Put,
    Patch,
    Delete,
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// There never was a document.
    Absent,
    /// There was one, at the version that the write expects.
    Deleted,
    /// There is one, created after another of the same key was deleted.
    At,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    Any,
    Absent,
    Present,
    /// The version that is there, or was there last, or of another document.
    Exactly,
    /// A version that the document had before.
    Stale,
    /// A version of the document that was deleted, with as many writes behind it.
    Predecessor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    Done(Effect),
    Refused(ErrorKind),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Via {
    Save,
    Bulk,
    AtomicBulk,
}

macro_rules! cells {
    ($($name:ident: $act:ident $state:ident $expect:ident => $want:ident;)*) => {$(
        pub(crate) async fn $name(cx: &Context) -> Outcome {
            cell(cx, Act::$act, State::$state, Expect::$expect, want::$want).await
        }
    )*};
}

#[allow(non_upper_case_globals, reason = "they read as the words of the table")]
mod want {
    use super::Want::{self, Done, Refused};
    use strongroom_core::ErrorKind;
    use strongroom_core::store::Effect;

    pub(super) const Created: Want = Done(Effect::Created);
    pub(super) const Replaced: Want = Done(Effect::Replaced);
    pub(super) const Patched: Want = Done(Effect::Patched);
    pub(super) const Deleted: Want = Done(Effect::Deleted);
    pub(super) const Gone: Want = Done(Effect::Absent);
    pub(super) const Passed: Want = Done(Effect::Checked);
    pub(super) const NotFound: Want = Refused(ErrorKind::NotFound);
    pub(super) const AlreadyExists: Want = Refused(ErrorKind::AlreadyExists);
    pub(super) const Conflict: Want = Refused(ErrorKind::Conflict);
    pub(super) const Invalid: Want = Refused(ErrorKind::Invalid);
}

cells! {
    put_absent_any: Put Absent Any => Created;
    put_absent_absent: Put Absent Absent => Created;
    put_absent_present: Put Absent Present => NotFound;
    put_absent_exactly: Put Absent Exactly => NotFound;
    put_deleted_exactly: Put Deleted Exactly => NotFound;
    put_at_any: Put At Any => Replaced;
    put_at_absent: Put At Absent => AlreadyExists;
    put_at_present: Put At Present => Replaced;
    put_at_exactly: Put At Exactly => Replaced;
    put_at_stale: Put At Stale => Conflict;
    put_at_predecessor: Put At Predecessor => Conflict;

    patch_absent_any: Patch Absent Any => NotFound;
    patch_absent_absent: Patch Absent Absent => Invalid;
    patch_absent_present: Patch Absent Present => NotFound;
    patch_absent_exactly: Patch Absent Exactly => NotFound;
    patch_deleted_exactly: Patch Deleted Exactly => NotFound;
    patch_at_any: Patch At Any => Patched;
    patch_at_absent: Patch At Absent => Invalid;
    patch_at_present: Patch At Present => Patched;
    patch_at_exactly: Patch At Exactly => Patched;
    patch_at_stale: Patch At Stale => Conflict;
    patch_at_predecessor: Patch At Predecessor => Conflict;

    delete_absent_any: Delete Absent Any => Gone;
    delete_absent_absent: Delete Absent Absent => Invalid;
    delete_absent_present: Delete Absent Present => NotFound;
    delete_absent_exactly: Delete Absent Exactly => NotFound;
    delete_deleted_exactly: Delete Deleted Exactly => NotFound;
    delete_at_any: Delete At Any => Deleted;
    delete_at_absent: Delete At Absent => Invalid;
    delete_at_present: Delete At Present => Deleted;
    delete_at_exactly: Delete At Exactly => Deleted;
    delete_at_stale: Delete At Stale => Conflict;
    delete_at_predecessor: Delete At Predecessor => Conflict;

    check_absent_any: Check Absent Any => Passed;
    check_absent_absent: Check Absent Absent => Passed;
    check_absent_present: Check Absent Present => NotFound;
    check_absent_exactly: Check Absent Exactly => NotFound;
    check_deleted_exactly: Check Deleted Exactly => NotFound;
    check_at_any: Check At Any => Passed;
    check_at_absent: Check At Absent => AlreadyExists;
    check_at_present: Check At Present => Passed;
    check_at_exactly: Check At Exactly => Passed;
    check_at_stale: Check At Stale => Conflict;
    check_at_predecessor: Check At Predecessor => Conflict;
}

async fn cell(cx: &Context, act: Act, state: State, expect: Expect, want: Want) -> Outcome {
    let docs = cx.docs().await?;
    let mut ways = vec![Via::Bulk];
    if act != Act::Check {
        ways.push(Via::Save);
    }
    if cx.capabilities().atomic_bulk {
        ways.push(Via::AtomicBulk);
    }
    for via in ways {
        one_way(cx, &docs, act, state, expect, want, via)
            .await
            .during(format_args!("{act:?} by {via:?}"))?;
    }
    Ok(())
}

/// What stands under the key before the write, and the versions that were ever there.
struct Before {
    now: Option<(Version, Value, WriteId)>,
    stale: Option<Version>,
    predecessor: Option<Version>,
    last: Option<Version>,
    all: Vec<Version>,
}

async fn prepare(docs: &Docs, at: &Key, state: State) -> Outcome<Before> {
    let mut before = Before {
        now: None,
        stale: None,
        predecessor: None,
        last: None,
        all: Vec::new(),
    };
    if state == State::Absent {
        // A version of some other document: it names nothing here.
        let other = key(&format!("other-{}", at.id()))?;
        before.last = Some(docs.create(&other, &json!({"n": 0})).await?);
        return Ok(before);
    }
    let first = docs.create(at, &json!({"n": 1})).await?;
    let second = docs.replace(at, &json!({"n": 2}), first).await?;
    before.all.extend([first, second]);
    before.last = Some(second);
    docs.remove(at, second).await?;
    if state == State::Deleted {
        return Ok(before);
    }
    before.predecessor = Some(second);
    let third = docs.create(at, &json!({"n": 3})).await?;
    let body = json!({"n": 4, "kept": {"deep": [1, 2, "ä"]}});
    let write = Write::put(at.clone(), Body::encode(&body)?, third);
    let write_id = write.write_id;
    let receipt = docs.save(write).await.during("preparing the document")?;
    let fourth = version_of(&receipt, "preparing the document")?;
    before.all.extend([third, fourth]);
    before.stale = Some(third);
    before.last = Some(fourth);
    before.now = Some((fourth, body, write_id));
    Ok(before)
}

async fn one_way(
    cx: &Context,
    docs: &Docs,
    act: Act,
    state: State,
    expect: Expect,
    want: Want,
    via: Via,
) -> Outcome {
    let at = key(&format!("{via:?}"))?;
    let neighbour = key(&format!("{via:?}."))?;
    let beside = docs.create(&neighbour, &json!({"beside": true})).await?;
    let before = prepare(docs, &at, state).await?;
    let missing = || Failure::new("the case has no such version: a defect of the suite");
    let expected = match expect {
        Expect::Any => Expected::Any,
        Expect::Absent => Expected::Absent,
        Expect::Present => Expected::Present,
        Expect::Exactly => Expected::Exactly(before.last.ok_or_else(missing)?),
        Expect::Stale => Expected::Exactly(before.stale.ok_or_else(missing)?),
        Expect::Predecessor => Expected::Exactly(before.predecessor.ok_or_else(missing)?),
    };
    let body = json!({"n": 100, "k": "new"});
    let action = match act {
        Act::Put => Some(Action::Put(Body::encode(&body)?)),
        Act::Patch => Some(Action::Patch(
            Patch::new()
                .increment("n".parse()?, 96)
                .set("k".parse()?, "new"),
        )),
        Act::Delete => Some(Action::Delete),
        Act::Check => None,
    };
    let write = action.map(|action| Write::new(at.clone(), action, expected));
    let write_id = write.as_ref().map(|write| write.write_id);
    let result = send(docs, &at, write, expected, via).await?;

    match want {
        Want::Done(effect) => {
            let receipt = result.during(format_args!("expecting {expected}"))?;
            check_eq!(receipt.effect, effect, "the effect, expecting {expected}");
            match act {
                Act::Check => unchanged(docs, &at, &before).await?,
                Act::Delete => {
                    check_eq!(receipt.version, None, "the version after a delete");
                    docs.expect_absent(&at).await?;
                }
                Act::Put | Act::Patch => {
                    let version = version_of(&receipt, "the write")?;
                    check!(
                        !before.all.contains(&version),
                        "version {version} was given out before"
                    );
                    let mut new = body;
                    if let (Act::Patch, Some((_, old, _))) = (act, &before.now) {
                        new["kept"] = old["kept"].clone();
                    }
                    docs.expect(&at, &new, version, write_id).await?;
                }
            }
        }
        Want::Refused(kind) => {
            let error = match result {
                Ok(receipt) => {
                    return Err(Failure::new(format!(
                        "expecting {expected}: expected `{kind}`, but it succeeded with {receipt:?}"
                    )));
                }
                Err(error) => error,
            };
            let now = before.now.as_ref().map(|(version, ..)| *version);
            judge_refusal(cx, &error, kind, &at, expected, now)?;
            unchanged(docs, &at, &before)
                .await
                .during("after the refusal")?;
        }
    }
    docs.expect(&neighbour, &json!({"beside": true}), beside, None)
        .await
        .during("another document")?;
    Ok(())
}

/// Sends the write alone, or in a bulk behind a write that works. A refusal as a whole stands for
/// the refusal of the item only where the request itself is wrong.
async fn send(
    docs: &Docs,
    at: &Key,
    write: Option<Write>,
    expected: Expected,
    via: Via,
) -> Outcome<Result<Receipt>> {
    let item = match (via, write) {
        (Via::Save, Some(write)) => return Ok(docs.save(write).await),
        (_, Some(write)) => BulkItem::Write(write),
        (_, None) => BulkItem::Check {
            key: at.clone(),
            expected,
        },
    };
    let first = key(&format!("{via:?} first"))?;
    let put = Write::put(first.clone(), Body::encode(&json!({}))?, Expected::Absent);
    let items = vec![BulkItem::Write(put), item];
    let reply = match via {
        Via::AtomicBulk => docs.bulk_atomic(items).await,
        Via::Save | Via::Bulk => docs.bulk(items).await,
    };
    let BulkReply { mut outcomes, .. } = match reply {
        Ok(reply) => reply,
        Err(error) if error.kind() == ErrorKind::Invalid => {
            docs.expect_absent(&first).await?;
            return Ok(Err(error));
        }
        Err(error) => return Err(Failure::from(error).during("the bulk as a whole")),
    };
    check_eq!(outcomes.len(), 2, "outcomes of a bulk of two items");
    let (second, first_outcome) = (outcomes.remove(1), outcomes.remove(0));
    match (&second, via) {
        (Err(_), Via::AtomicBulk) => {
            match first_outcome {
                Err(error) if error.kind() == ErrorKind::Cancelled => {}
                other => {
                    return Err(Failure::new(format!(
                        "the other item of a failed atomic bulk: expected `cancelled`, found {other:?}"
                    )));
                }
            }
            docs.expect_absent(&first).await?;
        }
        _ => {
            let receipt = first_outcome.during("the other item of the bulk")?;
            let version = version_of(&receipt, "the other item of the bulk")?;
            docs.expect(&first, &json!({}), version, None).await?;
        }
    }
    Ok(second)
}

async fn unchanged(docs: &Docs, at: &Key, before: &Before) -> Outcome {
    match &before.now {
        None => docs.expect_absent(at).await,
        Some((version, body, write_id)) => docs
            .expect(at, body, *version, Some(*write_id))
            .await
            .map(drop),
    }
}

fn judge_refusal(
    cx: &Context,
    error: &Error,
    kind: ErrorKind,
    at: &Key,
    expected: Expected,
    now: Option<Version>,
) -> Outcome {
    let told = describe(error);
    check_eq!(
        error.kind(),
        kind,
        "the kind of the refusal `{told}`, expecting {expected}"
    );
    if kind == ErrorKind::Invalid {
        return Ok(());
    }
    check_eq!(error.key(), Some(at), "the key that `{told}` names");
    if let Some(operation) = error.operation() {
        check!(
            matches!(operation, Operation::Save | Operation::Bulk),
            "`{told}` names the operation {operation}"
        );
    }
    if kind == ErrorKind::NotFound {
        return Ok(());
    }
    let Some(detail) = error.conflict_detail() else {
        return Err(Failure::new(format!(
            "`{told}` does not say what was expected and what was there"
        )));
    };
    check_eq!(detail.expected, expected, "what `{told}` says was expected");
    if detail.actual.is_some() || cx.settings().conflicts_tell_actual {
        check_eq!(
            detail.actual,
            now,
            "the version that `{told}` says was there"
        );
    }
    Ok(())
}
