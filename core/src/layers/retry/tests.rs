//! The retry layer over a store that does what a script says, judged by what truly happened.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::layers::testing::{FakeStore, Fault, Step, count, counter, key, model};
use crate::layers::{RecordLayer, Recorder};
use crate::model::{Body, Expected, Version, WriteId};
use crate::patch::Patch;
use crate::store::{Action, BulkItem, Effect, Write};

mod random;

const LOST: Fault = Fault::Before(ErrorKind::Indeterminate);
const REPLY_LOST: Fault = Fault::After(ErrorKind::Indeterminate);
const BUSY: Fault = Fault::Before(ErrorKind::Contended);

fn put(expected: impl Into<Expected>) -> Write {
    Write::put(key("a"), counter(7), expected)
}

fn bump(expected: impl Into<Expected>) -> Write {
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    Write::patch(key("a"), patch, expected)
}

fn delete(expected: impl Into<Expected>) -> Write {
    Write::delete(key("a"), expected)
}

fn wrap(fake: &Arc<FakeStore>) -> Arc<dyn Store> {
    RetryLayer::default().wrap(fake.clone())
}

fn steps(faults: impl IntoIterator<Item = Fault>) -> Vec<Step> {
    faults.into_iter().map(Step::fault).collect()
}

async fn save(store: &Arc<dyn Store>, write: &Write) -> Result<Receipt> {
    store.save(SaveRequest::new(model(), write.clone())).await
}

/// A store that holds a document of some age under the key, and its version.
async fn stored() -> (Arc<FakeStore>, Arc<dyn Store>, Version) {
    let fake = FakeStore::new();
    let receipt = fake.write(&put(Expected::Absent)).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let store = wrap(&fake);
    (fake, store, receipt.version.unwrap())
}

#[tokio::test(start_paused = true)]
async fn passing_failures_are_tried_again_as_often_as_set() {
    let (fake, store, _) = stored().await;
    fake.script(steps([BUSY, Fault::Before(ErrorKind::Unavailable)]));
    let request = || LoadRequest::new(model(), vec![key("a")]);
    assert!(store.load(request()).await.unwrap()[0].is_some());
    assert_eq!(fake.calls(), [Operation::Load; 3]);

    fake.script(steps([BUSY, BUSY, BUSY]));
    let error = store.load(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contended);
    assert_eq!(fake.calls(), [Operation::Load; 6]);

    fake.script(steps([BUSY, BUSY, BUSY]));
    let write = bump(Expected::Any);
    let error = save(&store, &write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contended);
    assert_eq!(error.key(), Some(&key("a")));
    assert_eq!(fake.times_applied(write.write_id), 0);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let fake = FakeStore::new();
    let mut options = RetryOptions::new();
    options.attempts = u32::MAX;
    options.deadline = Duration::from_secs(5);
    let store = RetryLayer::new(options).wrap(fake.clone());
    fake.script(steps(vec![BUSY; 1_000]));
    let start = Instant::now();
    let request = LoadRequest::new(model(), vec![key("a")]);
    assert_eq!(
        store.load(request).await.unwrap_err().kind(),
        ErrorKind::Contended
    );
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(5) && took < Duration::from_secs(7),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_that_do_not_pass_are_not_tried_again() {
    let (fake, store, version) = stored().await;
    let error = save(&store, &put(Expected::Absent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.actual_version(), Some(version));
    assert_eq!(fake.calls(), [Operation::Save]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_found_out_and_the_receipt_is_whole() {
    let (fake, store, version) = stored().await;
    let cases = [
        (put(version), Effect::Replaced),
        (put(Expected::Any), Effect::Replaced),
        (bump(Expected::Present), Effect::Patched),
        (bump(Expected::Any), Effect::Patched),
    ];
    for (write, effect) in cases {
        fake.script(steps([REPLY_LOST]));
        let receipt = save(&store, &write).await.unwrap();
        let (version, id, _) = fake.peek(&key("a")).unwrap();
        assert_eq!(receipt, Receipt::written(effect, version));
        assert_eq!(id, write.write_id);
        assert_eq!(fake.times_applied(write.write_id), 1);
    }
    for expected in [Expected::Any, Expected::Absent] {
        save(&store, &delete(Expected::Present)).await.unwrap();
        fake.script(steps([REPLY_LOST]));
        let receipt = save(&store, &put(expected)).await.unwrap();
        assert_eq!(receipt.effect, Effect::Created);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_sent_again_only_guarded() {
    let (fake, store, version) = stored().await;
    for write in [
        put(version),
        put(Expected::Any),
        bump(Expected::Any),
        bump(Expected::Present),
    ] {
        fake.script(steps([LOST, Fault::None, LOST, Fault::None]));
        let receipt = save(&store, &write).await.unwrap();
        assert_eq!(receipt.version, fake.peek(&key("a")).map(|(v, ..)| v));
        assert_eq!(fake.times_applied(write.write_id), 1, "{write:?}");
        fake.end_script();
    }
    let receipt = {
        fake.script(steps([LOST]));
        save(&store, &delete(Expected::Any)).await.unwrap()
    };
    assert_eq!(receipt.effect, Effect::Deleted);
    for expected in [Expected::Absent, Expected::Any] {
        fake.script(steps([LOST]));
        let receipt = save(&store, &put(expected)).await.unwrap();
        assert_eq!(receipt.effect, Effect::Created);
        save(&store, &delete(Expected::Present)).await.unwrap();
    }
    for write in [bump(Expected::Any), put(Expected::Present), put(version)] {
        fake.script(steps([LOST]));
        let error = save(&store, &write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_left_goes_out_again_with_the_version_that_was_found() {
    let fake = FakeStore::new();
    let recorder = Recorder::new();
    let recorded = RecordLayer::new(recorder.clone()).wrap(fake.clone());
    let store = RetryLayer::default().wrap(recorded);
    let sent = || -> Vec<Expected> {
        let calls = recorder.take().into_iter();
        let writes = calls.flat_map(|call| call.writes);
        writes.map(|write| write.expected).collect()
    };
    for atomic in [false, true] {
        // There is nothing at first, so what is sent again creates.
        fake.script(steps([LOST]));
        let write = put(Expected::Any);
        let version = if atomic {
            let request = BulkRequest::new(model(), vec![write.into()]).atomic();
            let reply = store.bulk(request).await.unwrap();
            reply.outcomes[0].as_ref().unwrap().version.unwrap()
        } else {
            save(&store, &write).await.unwrap().version.unwrap()
        };
        assert_eq!(sent(), [Expected::Any, Expected::Absent]);
        fake.script(steps([LOST]));
        let write = bump(Expected::Present);
        if atomic {
            let request = BulkRequest::new(model(), vec![write.into()]).atomic();
            assert!(store.bulk(request).await.unwrap().is_ok());
        } else {
            save(&store, &write).await.unwrap();
        }
        assert_eq!(sent(), [Expected::Present, Expected::Exactly(version)]);
        fake.write(&delete(Expected::Present)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_never_conflicts_with_itself() {
    let (fake, store, version) = stored().await;
    // The first send is slow: it takes effect when the second one is on its way already.
    let write = put(version);
    fake.script(steps([LOST, Fault::None]));
    fake.script([Step {
        before: vec![write.clone()],
        ..Step::default()
    }]);
    let receipt = save(&store, &write).await.unwrap();
    assert_eq!(receipt.version, Some(version.next().unwrap()));
    assert_eq!(fake.times_applied(write.write_id), 1);
    // A store that says wrongly that nothing was applied is found out by the id.
    let write = put(version.next().unwrap());
    fake.script(steps([Fault::After(ErrorKind::Unavailable)]));
    save(&store, &write).await.unwrap();
    assert_eq!(fake.times_applied(write.write_id), 1);
}

#[tokio::test(start_paused = true)]
async fn a_true_conflict_stays_one() {
    let (fake, store, version) = stored().await;
    let other = put(Expected::Any);
    fake.script([Step {
        before: vec![other],
        fault: LOST,
        after: Vec::new(),
    }]);
    let error = save(&store, &put(version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.actual_version(), Some(version.next().unwrap()));
    let detail = error.conflict_detail().unwrap();
    assert_eq!(detail.expected, Expected::Exactly(version));
}

#[tokio::test(start_paused = true)]
async fn what_others_hide_is_indeterminate() {
    let (fake, store, version) = stored().await;
    for write in [put(version), put(Expected::Any), bump(Expected::Present)] {
        fake.script([Step {
            before: Vec::new(),
            fault: REPLY_LOST,
            after: vec![put(Expected::Any)],
        }]);
        let error = save(&store, &write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Indeterminate, "{write:?}");
        assert!(error.message().contains("someone else"), "{error}");
        assert_eq!(error.operation(), Some(Operation::Save));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    fake.script(steps([REPLY_LOST]));
    let error = save(&store, &delete(Expected::Any)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(error.message().contains("who deleted it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_prove_its_deletes_is_asked() {
    let fake = FakeStore::with(|can| can.provable_deletes = true);
    let store = wrap(&fake);
    let create = || fake.write(&put(Expected::Absent)).unwrap().version.unwrap();
    let version = create();
    fake.script(steps([REPLY_LOST]));
    let receipt = save(&store, &delete(version)).await.unwrap();
    assert_eq!(receipt.effect, Effect::Deleted);
    assert_eq!(fake.applied().len(), 2);
    // Here it was someone else who deleted it.
    let write = delete(create());
    fake.script([Step {
        before: vec![delete(Expected::Any)],
        fault: LOST,
        after: Vec::new(),
    }]);
    let error = save(&store, &write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fake.times_applied(write.write_id), 0);
    // One without a version could hit another document when it is sent again.
    create();
    fake.script(steps([REPLY_LOST]));
    let error = save(&store, &delete(Expected::Present)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
}

#[tokio::test(start_paused = true)]
async fn an_engine_has_time_to_come_back() {
    let (fake, store, version) = stored().await;
    let write = put(version);
    fake.script(steps([REPLY_LOST]));
    fake.script(steps(vec![Fault::Before(ErrorKind::Unavailable); 8]));
    save(&store, &write).await.unwrap();
    fake.script(steps([REPLY_LOST]));
    fake.script(steps(vec![Fault::Before(ErrorKind::Unavailable); 1_000]));
    let start = Instant::now();
    let error = save(&store, &bump(Expected::Any)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(start.elapsed() >= RetryOptions::new().resolve_within);
}

#[tokio::test(start_paused = true)]
async fn a_document_written_by_this_process_a_moment_ago_is_no_riddle() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    save(&store, &put(Expected::Absent)).await.unwrap();
    fake.script(steps([LOST]));
    save(&store, &bump(Expected::Any)).await.unwrap();
    assert_eq!(count(&fake.peek(&key("a")).unwrap().2), 8);
}

#[tokio::test(start_paused = true)]
async fn stamps_are_read_from_the_document() {
    let fake = FakeStore::with(|can| can.stamping = crate::store::Stamping::Store);
    let store = wrap(&fake);
    let model = Model::builder("counters")
        .created("meta.at")
        .updated("now")
        .build()
        .unwrap();
    let body = Body::parse(r#"{"meta":{"at":5},"now":6}"#).unwrap();
    let write = Write::put(key("a"), body.clone(), Expected::Absent);
    let kept = Write::put(key("b"), body, Expected::Absent).keep_stamps();
    fake.script(steps([REPLY_LOST]));
    let request = SaveRequest::new(model.clone(), write);
    let receipt = store.save(request).await.unwrap();
    assert_eq!(receipt.stamps.created.unwrap().as_millis(), 5);
    assert_eq!(receipt.stamps.updated.unwrap().as_millis(), 6);
    // Those that the write keeps are not the store's to tell.
    fake.script(steps([REPLY_LOST]));
    let receipt = store.save(SaveRequest::new(model, kept)).await.unwrap();
    assert_eq!(receipt.stamps, crate::store::Stamps::default());
}

#[tokio::test(start_paused = true)]
async fn what_functions_made_is_read_from_the_document() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    let body = Body::parse(r#"{"a":{"b":7}}"#).unwrap();
    let call = crate::query::Call::new("f").unwrap();
    let write = Write::put(key("a"), body, Expected::Absent)
        .compute("a.b".parse().unwrap(), call.clone())
        .compute("a.c".parse().unwrap(), call);
    fake.script(steps([REPLY_LOST]));
    let receipt = store.save(SaveRequest::new(model(), write)).await.unwrap();
    let made: Vec<_> = receipt.made.iter().map(|(f, v)| (f.as_str(), v)).collect();
    let null = serde_json::Value::Null;
    assert_eq!(made, [("a.b", &serde_json::json!(7)), ("a.c", &null)]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_sends_only_what_is_left_again() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    let items: Vec<BulkItem> = ["a", "b", "c", "d"]
        .map(|id| Write::put(key(id), counter(1), Expected::Absent).into())
        .to_vec();
    let check = BulkItem::Check {
        key: key("e"),
        expected: Expected::Absent,
    };
    let items = [items, vec![check]].concat();
    fake.script(steps([Fault::Items(vec![
        Fault::None,
        BUSY,
        LOST,
        REPLY_LOST,
        LOST,
    ])]));
    let request = BulkRequest::new(model(), items.clone());
    let reply = store.bulk(request).await.unwrap();
    assert!(reply.is_ok(), "{reply:?}");
    assert_eq!(
        fake.calls(),
        [Operation::Bulk, Operation::Load, Operation::Bulk]
    );
    let mut effects = reply.outcomes.iter().map(|o| o.as_ref().unwrap().effect);
    assert!(
        effects
            .by_ref()
            .take(4)
            .all(|effect| effect == Effect::Created)
    );
    assert_eq!(effects.next(), Some(Effect::Checked));
    assert_eq!(fake.applied().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_never_conflicts_with_itself() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    // The store says wrongly that nothing was applied, and the second send meets the first.
    for (id, atomic) in [("a", false), ("b", true)] {
        fake.script(steps([Fault::After(ErrorKind::Unavailable)]));
        let write = Write::put(key(id), counter(1), Expected::Absent);
        let mut request = BulkRequest::new(model(), vec![write.clone().into()]);
        request.atomic = atomic;
        let reply = store.bulk(request).await.unwrap();
        assert!(reply.is_ok(), "{reply:?}");
        assert_eq!(fake.times_applied(write.write_id), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_one_document_in_one_bulk_keep_their_order() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    let first = Write::put(key("a"), counter(1), Expected::Any);
    let second = Write::put(key("a"), counter(2), Expected::Any);
    fake.script(steps([Fault::Items(vec![BUSY, Fault::None])]));
    let items = vec![first.clone().into(), second.clone().into()];
    let reply = store.bulk(BulkRequest::new(model(), items)).await.unwrap();
    assert_eq!(
        reply.outcomes[0].as_ref().unwrap_err().kind(),
        ErrorKind::Contended
    );
    assert!(reply.outcomes[1].is_ok());
    assert_eq!(fake.applied().len(), 1);
    assert_eq!(count(&fake.peek(&key("a")).unwrap().2), 2);
}

#[tokio::test(start_paused = true)]
async fn an_atomic_bulk_is_found_out_as_a_whole() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    let request = |ids: [&str; 2]| {
        let items = ids.map(|id| Write::put(key(id), counter(1), Expected::Any).into());
        let mut items = items.to_vec();
        items.push(Write::delete(key("gone"), Expected::Any).into());
        BulkRequest::new(model(), items).atomic()
    };
    for (fault, ids) in [
        (REPLY_LOST, ["a", "b"]),
        (LOST, ["c", "d"]),
        (BUSY, ["e", "f"]),
    ] {
        fake.write(&Write::put(key("gone"), counter(1), Expected::Any))
            .unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        fake.script(steps([fault]));
        let reply = store.bulk(request(ids)).await.unwrap();
        assert!(reply.is_ok(), "{reply:?}");
        assert_eq!(reply.outcomes[0].as_ref().unwrap().effect, Effect::Created);
        assert_eq!(reply.outcomes[2].as_ref().unwrap().effect, Effect::Deleted);
        assert!(fake.peek(&key("gone")).is_none());
    }
    let mut ids: Vec<WriteId> = fake.applied().iter().map(|a| a.write_id).collect();
    ids.sort_by_key(|id| *id.as_bytes());
    ids.dedup();
    assert_eq!(ids.len(), fake.applied().len());
}

#[tokio::test(start_paused = true)]
async fn an_atomic_bulk_that_only_deletes_cannot_be_found_out() {
    let (fake, store, _) = stored().await;
    fake.script(steps([REPLY_LOST]));
    let items = vec![delete(Expected::Any).into()];
    let request = BulkRequest::new(model(), items).atomic();
    let error = store.bulk(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
}

#[tokio::test(start_paused = true)]
async fn a_guarded_delete_whose_document_is_gone_speaks_for_its_atomic_bulk() {
    let (fake, store, version) = stored().await;
    let made = Write::put(key("b"), counter(1), Expected::Absent);
    let request = BulkRequest::new(model(), vec![made.into(), delete(version).into()]).atomic();
    // It takes effect, its reply is lost, and someone deletes what it made.
    fake.script([Step {
        before: Vec::new(),
        fault: REPLY_LOST,
        after: vec![Write::delete(key("b"), Expected::Any)],
    }]);
    let error = store.bulk(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(fake.applied().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn inside_a_transaction_nothing_is_tried_again() {
    let (fake, store, _) = stored().await;
    fake.script(steps([Fault::Before(ErrorKind::Unavailable)]));
    let begin = BeginOptions::new();
    let transaction = store.transact().unwrap().begin(begin).await.unwrap();
    assert_eq!(fake.calls(), [Operation::Begin; 2]);
    for fault in [BUSY, REPLY_LOST] {
        fake.script(steps([fault.clone()]));
        let request = SaveRequest::new(model(), bump(Expected::Any));
        let error = transaction.save(request).await.unwrap_err();
        let (Fault::Before(kind) | Fault::After(kind)) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(error.kind(), kind);
    }
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn only_what_changes_nothing_twice_is_repeated_when_unknown() {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    fake.script(steps([Fault::After(ErrorKind::Unavailable)]));
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    assert_eq!(fake.calls(), [Operation::Ensure; 2]);
    let begin = |wait| BeginOptions::new().wait(wait);
    fake.script(steps([BUSY]));
    let error = store.transact().unwrap().begin(begin(Duration::ZERO)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Contended);
}
