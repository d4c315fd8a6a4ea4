//! The checker on histories known to be good or bad.

use super::*;

fn v(n: u32) -> Version {
    Version::first(n)
}

fn id(n: u8) -> WriteId {
    WriteId::from_bytes([n; 16])
}

fn call(begin: u64, end: u64, op: Op, reply: Reply) -> Call {
    Call {
        op,
        reply,
        begin,
        end,
    }
}

fn put(begin: u64, end: u64, expected: Expected, n: u8) -> Call {
    call(
        begin,
        end,
        Op::Put(expected, id(n)),
        Reply::Written(v(n.into())),
    )
}

fn load(begin: u64, end: u64, n: u8) -> Call {
    let found = (n > 0).then(|| (v(n.into()), id(n)));
    call(begin, end, Op::Load, Reply::Found(found))
}

use Expected::{Absent, Any, Exactly, Present};

#[test]
fn good_histories() {
    let lost = |begin, n| {
        call(
            begin,
            u64::MAX,
            Op::Put(Exactly(v(1)), id(n)),
            Reply::Unknown,
        )
    };
    let histories: Vec<(&str, Vec<Call>)> = vec![
        ("nothing", vec![]),
        (
            "one after another",
            vec![
                put(1, 2, Absent, 1),
                load(3, 4, 1),
                put(5, 6, Exactly(v(1)), 2),
                load(7, 8, 2),
            ],
        ),
        (
            "a load beside a put sees it",
            vec![put(1, 9, Absent, 1), load(2, 3, 1)],
        ),
        (
            "a load beside a put does not see it",
            vec![put(1, 9, Absent, 1), load(2, 3, 0)],
        ),
        (
            "two loads beside a put, before and after",
            vec![put(1, 9, Absent, 1), load(2, 3, 0), load(4, 5, 1)],
        ),
        (
            "of two creates at once one wins",
            vec![
                put(1, 5, Absent, 1),
                call(2, 4, Op::Put(Absent, id(2)), Reply::Occupied(Some(v(1)))),
            ],
        ),
        (
            "of two savers at one version one wins",
            vec![
                put(1, 2, Absent, 1),
                put(3, 9, Exactly(v(1)), 2),
                call(
                    3,
                    9,
                    Op::Put(Exactly(v(1)), id(3)),
                    Reply::Occupied(Some(v(2))),
                ),
                load(10, 11, 2),
            ],
        ),
        (
            "a delete between",
            vec![
                put(1, 2, Absent, 1),
                call(3, 9, Op::Delete(Any), Reply::Deleted),
                call(4, 8, Op::Put(Present, id(2)), Reply::NotFound),
                call(10, 11, Op::Delete(Any), Reply::Absent),
                put(12, 13, Absent, 3),
            ],
        ),
        (
            "a lost put took effect",
            vec![put(1, 2, Absent, 1), lost(3, 2), load(5, 6, 2)],
        ),
        (
            "a lost put never took effect",
            vec![
                put(1, 2, Absent, 1),
                lost(3, 2),
                load(5, 6, 1),
                put(7, 8, Exactly(v(1)), 3),
            ],
        ),
        (
            "a lost put takes effect late",
            vec![
                put(1, 2, Absent, 1),
                lost(3, 2),
                load(5, 6, 1),
                load(7, 8, 2),
            ],
        ),
        (
            "a lost put that only a conflict saw",
            vec![
                put(1, 2, Absent, 1),
                lost(3, 2),
                call(
                    5,
                    6,
                    Op::Put(Exactly(v(1)), id(3)),
                    Reply::Occupied(Some(v(77))),
                ),
            ],
        ),
    ];
    for (name, history) in histories {
        assert!(is_linearizable(&history), "{name}: {history:#?}");
    }
}

#[test]
fn bad_histories() {
    let lost = |begin, n| {
        call(
            begin,
            u64::MAX,
            Op::Put(Exactly(v(1)), id(n)),
            Reply::Unknown,
        )
    };
    let histories: Vec<(&str, Vec<Call>)> = vec![
        (
            "a load after a put misses it",
            vec![put(1, 2, Absent, 1), load(3, 4, 0)],
        ),
        ("a load sees what was never written", vec![load(1, 2, 7)]),
        (
            "a load after a replacement sees the old",
            vec![put(1, 2, Absent, 1), put(3, 4, Any, 2), load(5, 6, 1)],
        ),
        (
            "two loads beside a put, after and before",
            vec![put(1, 9, Absent, 1), load(2, 3, 1), load(4, 5, 0)],
        ),
        (
            "two creates win",
            vec![put(1, 5, Absent, 1), put(2, 4, Absent, 2)],
        ),
        (
            "two savers at one version win",
            vec![
                put(1, 2, Absent, 1),
                put(3, 9, Exactly(v(1)), 2),
                put(3, 9, Exactly(v(1)), 3),
            ],
        ),
        (
            "a conflict with nothing",
            vec![call(1, 2, Op::Put(Absent, id(1)), Reply::Occupied(None))],
        ),
        (
            "a conflict although the version was right",
            vec![
                put(1, 2, Absent, 1),
                call(
                    3,
                    4,
                    Op::Put(Exactly(v(1)), id(2)),
                    Reply::Occupied(Some(v(1))),
                ),
            ],
        ),
        (
            "a conflict that tells a wrong version",
            vec![
                put(1, 2, Absent, 1),
                put(3, 4, Any, 2),
                call(
                    5,
                    6,
                    Op::Put(Exactly(v(9)), id(3)),
                    Reply::Occupied(Some(v(1))),
                ),
            ],
        ),
        (
            "not found while it is there",
            vec![
                put(1, 2, Absent, 1),
                call(3, 4, Op::Put(Present, id(2)), Reply::NotFound),
            ],
        ),
        (
            "absent while it is there",
            vec![
                put(1, 2, Absent, 1),
                call(3, 4, Op::Delete(Any), Reply::Absent),
            ],
        ),
        (
            "one version for two writes",
            vec![
                put(1, 2, Absent, 1),
                call(3, 4, Op::Put(Any, id(2)), Reply::Written(v(1))),
            ],
        ),
        (
            "one write with two versions",
            vec![
                put(1, 2, Absent, 1),
                call(3, 4, Op::Load, Reply::Found(Some((v(2), id(1))))),
            ],
        ),
        (
            "a lost put was applied twice",
            vec![
                put(1, 2, Absent, 1),
                lost(3, 2),
                load(5, 6, 2),
                put(7, 8, Exactly(v(2)), 3),
                load(9, 10, 2),
            ],
        ),
        (
            "a lost put took effect before it began",
            vec![put(1, 2, Absent, 1), load(3, 4, 2), lost(5, 2)],
        ),
        (
            "a refused put was seen",
            vec![
                put(1, 2, Absent, 1),
                call(3, 4, Op::Put(Absent, id(2)), Reply::Occupied(Some(v(1)))),
                load(5, 6, 2),
            ],
        ),
    ];
    for (name, history) in histories {
        assert!(!is_linearizable(&history), "{name}: {history:#?}");
    }
}

/// Many writers at once stay cheap: the memory keeps the search from trying every order.
#[test]
fn a_wide_history_is_decided() {
    let mut history = vec![put(1, 2, Absent, 1)];
    for n in 2..40 {
        history.push(call(
            3,
            100,
            Op::Put(Exactly(v(1)), id(n)),
            Reply::Occupied(None),
        ));
    }
    history.push(put(3, 100, Exactly(v(1)), 40));
    assert!(is_linearizable(&history));
    // Without the one that won, the others had nothing to lose against.
    history.pop();
    assert!(!is_linearizable(&history[..12]));
}
