//! Random histories: this process writes under faults while others write too.

use proptest::prelude::*;

use super::*;

const KEYS: [&str; 2] = ["a", "b"];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Bump,
    Delete,
}

/// What a write expects, as far as it can be said before the state is known.
#[derive(Clone, Copy, Debug)]
enum Guard {
    Any,
    Absent,
    Present,
    Current,
    Stale,
}

#[derive(Clone, Debug)]
struct Plan {
    at: usize,
    kind: Kind,
    guard: Guard,
}

#[derive(Clone, Debug)]
struct Call {
    writes: Vec<Plan>,
    bulk: bool,
    atomic: bool,
    script: Vec<(Vec<Plan>, Fault, Vec<Plan>)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![Just(Kind::Put), Just(Kind::Bump), Just(Kind::Delete)];
    let guard = prop_oneof![
        3 => Just(Guard::Any),
        1 => Just(Guard::Absent),
        2 => Just(Guard::Present),
        4 => Just(Guard::Current),
        1 => Just(Guard::Stale),
    ];
    (0..KEYS.len(), kind, guard).prop_map(|(at, kind, guard)| Plan { at, kind, guard })
}

fn faults() -> impl Strategy<Value = Fault> {
    let simple = prop_oneof![
        Just(Fault::None),
        Just(LOST),
        Just(REPLY_LOST),
        Just(BUSY),
        Just(Fault::Before(ErrorKind::Unavailable)),
    ]
    .boxed();
    prop_oneof![
        4 => simple.clone(),
        1 => prop::collection::vec(simple, 0..3).prop_map(Fault::Items),
    ]
}

fn calls(others: usize) -> impl Strategy<Value = Call> {
    let intrusions = || prop::collection::vec(plans(), 0..=others);
    (
        prop::collection::vec(plans(), 1..4),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec((intrusions(), faults(), intrusions()), 0..5),
    )
        .prop_map(|(mut writes, bulk, atomic, script)| {
            if !bulk {
                writes.truncate(1);
            }
            Call {
                writes,
                bulk,
                atomic,
                script,
            }
        })
}

fn make(fake: &FakeStore, plan: &Plan) -> Write {
    let id = key(KEYS[plan.at]);
    let current = fake.peek(&id).map(|(version, ..)| version);
    let expected = match plan.guard {
        Guard::Any => Expected::Any,
        Guard::Absent if matches!(plan.kind, Kind::Put) => Expected::Absent,
        Guard::Absent | Guard::Present => Expected::Present,
        Guard::Current => current.map_or(Expected::Any, Expected::Exactly),
        Guard::Stale => Expected::Exactly(Version::first(9_999)),
    };
    let write = match plan.kind {
        Kind::Put => put(expected),
        Kind::Bump => bump(expected),
        Kind::Delete => delete(expected),
    };
    Write { key: id, ..write }
}

/// Judges one outcome by what truly happened while the call was under way.
fn judge(
    fake: &FakeStore,
    before: usize,
    was: Option<Version>,
    write: &Write,
    siblings: &[Write],
    atomic: bool,
    outcome: &Result<Receipt>,
) {
    let story = || {
        format!(
            "{write:?} gave {outcome:?}; {:?}",
            &fake.applied()[before..]
        )
    };
    let during: Vec<_> = fake.applied().drain(before..).collect();
    let on_key: Vec<_> = during.iter().filter(|a| a.key == write.key).collect();
    let own: Vec<_> = on_key
        .iter()
        .filter(|a| a.write_id == write.write_id)
        .collect();
    let by_siblings = |id| siblings.iter().any(|w| w.write_id == id);
    let shared = siblings.iter().filter(|w| w.key == write.key).count() > 1;
    let others = on_key.len() > own.len();
    // The items of an atomic bulk share their fate, and so what others hide of it.
    let twins = siblings
        .iter()
        .any(|w| siblings.iter().filter(|o| o.key == w.key).count() > 1);
    let hidden = atomic
        && (twins
            || (during.iter().any(|a| !by_siblings(a.write_id))
                || siblings.iter().any(|w| matches!(w.action, Action::Delete))));
    let gone_by_others = |write: &Write| {
        let is_delete = matches!(write.action, Action::Delete);
        let mut on_key = during.iter().filter(|a| a.key == write.key);
        !is_delete && on_key.any(|a| a.write_id != write.write_id && a.version.is_none())
    };
    let is_delete = matches!(write.action, Action::Delete);
    // The one exception of the module's documentation: a document that was made and then deleted
    // by someone else looks like one that never was.
    let may_repeat = match atomic {
        true => siblings.iter().any(gone_by_others),
        false => gone_by_others(write),
    };
    assert!(own.len() <= 1 || may_repeat, "applied twice: {}", story());
    match outcome {
        Ok(receipt) if receipt.effect == Effect::Absent => {
            assert!(own.is_empty() || may_repeat, "{}", story());
        }
        // Of a bulk that is known to have taken place as a whole, nothing tells whether there was
        // something to delete.
        Ok(_) if is_delete && atomic && write.expected == Expected::Any => {}
        Ok(receipt) => {
            let last = own
                .last()
                .unwrap_or_else(|| panic!("false success: {}", story()));
            assert_eq!(receipt.version, last.version, "{}", story());
        }
        Err(error) if error.kind() == ErrorKind::Indeterminate => {
            assert!(
                others || is_delete || shared || hidden,
                "needlessly unknown: {}",
                story()
            );
        }
        Err(error) => {
            let passing = error.is_retryable() && !shared;
            let gone = (error.is_not_found() || passing || atomic) && may_repeat;
            assert!(own.is_empty() || gone, "false rejection: {}", story());
            let met = write.expected == was.map_or(Expected::Absent, Expected::Exactly);
            let rejected = matches!(
                error.kind(),
                ErrorKind::Conflict | ErrorKind::AlreadyExists | ErrorKind::NotFound
            );
            assert!(
                !rejected || !met || others || shared,
                "false conflict: {}",
                story()
            );
        }
    }
}

async fn run(history: Vec<Call>) {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    for call in history {
        let writes: Vec<Write> = call.writes.iter().map(|plan| make(&fake, plan)).collect();
        let was: Vec<_> = writes
            .iter()
            .map(|w| fake.peek(&w.key).map(|d| d.0))
            .collect();
        let before = fake.applied().len();
        let others = |plans: &[Plan]| plans.iter().map(|plan| make(&fake, plan)).collect();
        let script = call.script.iter().map(|(first, fault, then)| Step {
            before: others(first),
            fault: fault.clone(),
            after: others(then),
        });
        fake.script(script.collect::<Vec<_>>());
        let outcomes = if call.bulk {
            let items = writes.iter().cloned().map(Into::into).collect();
            let mut request = BulkRequest::new(model(), items);
            request.atomic = call.atomic;
            match store.bulk(request).await {
                Ok(reply) => reply.outcomes,
                Err(error) => {
                    let same = |_: &Write| Err(Error::new(error.kind(), error.message()));
                    writes.iter().map(same).collect()
                }
            }
        } else {
            vec![save(&store, &writes[0]).await]
        };
        fake.end_script();
        assert_eq!(outcomes.len(), writes.len());
        for ((write, was), outcome) in writes.iter().zip(was).zip(&outcomes) {
            let atomic = call.bulk && call.atomic;
            judge(&fake, before, was, write, &writes, atomic, outcome);
        }
        tokio::time::advance(Duration::from_millis(100)).await;
    }
}

/// The same history without others: nothing may stay unknown but deletes.
async fn run_alone(history: Vec<Call>) {
    let fake = FakeStore::new();
    let store = wrap(&fake);
    for call in history {
        let write = make(&fake, &call.writes[0]);
        let twin = FakeStore::new();
        // What the write would have come to without any fault.
        let reference = fake.rehearse(&twin, &write);
        fake.script(
            call.script
                .into_iter()
                .map(|(_, fault, _)| Step::fault(fault)),
        );
        let outcome = save(&store, &write).await;
        fake.end_script();
        match (&outcome, &reference) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{write:?}"),
            (Err(got), _) if got.is_retryable() => {
                assert_eq!(fake.times_applied(write.write_id), 0, "{write:?}");
            }
            (Err(got), _) if got.kind() == ErrorKind::Indeterminate => {
                assert!(matches!(write.action, Action::Delete), "{write:?}: {got}");
            }
            (Err(got), Err(wanted)) => assert_eq!(got.kind(), wanted.kind(), "{write:?}"),
            _ => panic!("{write:?}: {outcome:?} instead of {reference:?}"),
        }
    }
}

fn on_paused_time(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn no_false_conflict_no_false_success_nothing_twice(
        history in prop::collection::vec(calls(2), 1..6)
    ) {
        on_paused_time(run(history));
    }

    #[test]
    fn without_competitors_only_deletes_stay_unknown(
        history in prop::collection::vec(calls(0), 1..6)
    ) {
        on_paused_time(run_alone(history));
    }
}
