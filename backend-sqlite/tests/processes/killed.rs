//! A process that is killed while it writes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use strongroom_core::model::Key;
use strongroom_core::store::{Load, LoadRequest, Store};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

use crate::{block_on, is_full, model, start};

/// Kills a writing child at random moments: what it acknowledged is there, what was to take
/// effect at once did, and the file is sound.
pub(crate) fn acknowledged_saves_survive() {
    let kills = if is_full() { 200 } else { 25 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut random = Random::from_clock();
    let mut acknowledged: HashMap<usize, i64> = HashMap::new();
    let mut lines = 0;
    for kill in 0..kills {
        let mut child = start("write", &path, &[]);
        let output = BufReader::new(child.stdout.take().unwrap());
        let until = Instant::now() + Duration::from_micros(random.below(60_000));
        // Killing before the first acknowledgement tests opening, which some rounds do.
        if random.below(8) > 0 {
            let mut output = output.lines();
            for line in output.by_ref() {
                note(&mut acknowledged, &line.unwrap());
                lines += 1;
                if Instant::now() >= until {
                    break;
                }
            }
            child.kill().unwrap();
            // What was said before the end counts as well, but for a line that was cut off.
            let rest: Vec<String> = output.map_while(Result::ok).collect();
            for line in &rest {
                note(&mut acknowledged, line);
                lines += 1;
            }
        } else {
            std::thread::sleep(until - Instant::now().min(until));
            child.kill().unwrap();
        }
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), None, "a child failed before it was killed");
        if path.exists() {
            check(&path, &acknowledged, kill, random.seed);
        }
    }
    assert!(lines > kills, "the children hardly wrote: {lines} lines");
}

/// A line that was cut off by the kill may be a shorter number, which is acknowledged as well.
fn note(acknowledged: &mut HashMap<usize, i64>, line: &str) {
    if let Some((task, n)) = line.split_once(' ')
        && let (Ok(task), Ok(n)) = (task.parse(), n.parse::<i64>())
    {
        let there = acknowledged.entry(task).or_default();
        *there = n.max(*there);
    }
}

fn check(path: &std::path::Path, acknowledged: &HashMap<usize, i64>, kill: usize, seed: u64) {
    let what = format!("after kill {kill} of seed {seed}");
    let file = rusqlite::Connection::open(path).unwrap();
    let sound: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok", "{what}");
    drop(file);
    if acknowledged.is_empty() {
        return;
    }
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::file(path)).await.unwrap();
        for (task, n) in acknowledged {
            let keys = [0, 1].map(|at| Key::new(format!("t{task}-{at}")).unwrap());
            let loaded = store.load(LoadRequest::new(model(), keys.to_vec())).await;
            let found: Vec<Option<i64>> = loaded
                .unwrap()
                .into_iter()
                .map(|d| d?.body.decode::<serde_json::Value>().unwrap()["n"].as_i64())
                .collect();
            assert!(
                found[0].is_some_and(|found| found >= *n),
                "{what}: task {task} was told of {n}, and there is {found:?}"
            );
            if task % 3 > 0 {
                assert_eq!(
                    found[0], found[1],
                    "{what}: half of a change of task {task}"
                );
            }
        }
        store.close().await.unwrap();
    });
}

/// A small generator: which moments are tried differs from run to run.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn from_clock() -> Self {
        let now = std::time::SystemTime::now();
        let seed = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
            | 1;
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}
