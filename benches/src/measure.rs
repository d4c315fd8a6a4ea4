//! Interleaved rounds, medians of ratios, and the table.

use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The line that a scenario is held to.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// The typed path may cost at most this many times the driver.
    AtMost(f64),
    /// The typed path must do at least this many times the naive arm's work.
    AtLeast(f64),
}

impl Line {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(line) => ratio <= line,
            Self::AtLeast(line) => ratio >= line,
        }
    }
}

/// One of the two arms of a stream, run in a process of its own to see its memory alone.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum StreamArm {
    /// By hand.
    Reference,
    /// By the typed handle.
    Strongroom,
}

/// One arm: does some work for about the given time and tells how many operations it did.
pub type Arm<'a> = &'a mut dyn FnMut(Duration) -> u64;

/// Runs scenarios and gathers their rows.
pub struct Report {
    rounds: usize,
    length: Duration,
    warm_up: Duration,
    filter: Option<String>,
    table: Table,
    notes: Vec<String>,
}

impl Report {
    /// A report of so many rounds of this length each.
    pub fn new(rounds: usize, length: Duration, filter: Option<String>) -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
            "scenario",
            "reference",
            "strongroom",
            "ratio",
            "spread",
            "line",
            "",
        ]);
        Self {
            rounds,
            length,
            warm_up: length / 4,
            filter,
            table,
            notes: Vec::new(),
        }
    }

    /// Sets how long each arm runs before it is measured: a quarter of a round by default.
    pub fn set_warm_up(&mut self, warm_up: Duration) {
        self.warm_up = warm_up;
    }

    /// Whether the scenario was asked for; its set-up is skipped otherwise.
    pub fn wants(&self, name: &str) -> bool {
        self.filter
            .as_deref()
            .is_none_or(|part| name.contains(part))
    }

    /// Runs both arms in interleaved rounds, the order changing from round to round.
    pub fn compare(&mut self, name: &str, line: Line, reference: Arm<'_>, ours: Arm<'_>) {
        eprintln!("running {name} …");
        reference(self.warm_up);
        ours(self.warm_up);
        let mut rounds = Vec::new();
        for round in 0..self.rounds.max(1) {
            let pair = if round % 2 == 0 {
                let a = per_operation(reference, self.length);
                (a, per_operation(ours, self.length))
            } else {
                let b = per_operation(ours, self.length);
                (per_operation(reference, self.length), b)
            };
            rounds.push(pair);
        }
        self.add(name, line, &rounds);
    }

    /// Adds the row of a scenario, of the seconds an operation took in each round.
    fn add(&mut self, name: &str, line: Line, rounds: &[(f64, f64)]) {
        let ratio = |(reference, ours): &(f64, f64)| match line {
            Line::AtMost(_) => ours / reference,
            Line::AtLeast(_) => reference / ours,
        };
        let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = median(&mut ratios.clone());
        let spread = format!("{:.2}–{:.2}", ratios[0], ratios[ratios.len() - 1]);
        let show = |seconds: f64| match line {
            Line::AtMost(_) if seconds >= 1e-2 => format!("{:.1} ms", seconds * 1e3),
            Line::AtMost(_) => format!("{:.2} µs", seconds * 1e6),
            Line::AtLeast(_) => format!("{:.0}/s", 1.0 / seconds),
        };
        let a = median(&mut rounds.iter().map(|r| r.0).collect::<Vec<_>>());
        let b = median(&mut rounds.iter().map(|r| r.1).collect::<Vec<_>>());
        let held = match line {
            Line::AtMost(x) => format!("≤ {x}"),
            Line::AtLeast(x) => format!("≥ {x}×"),
        };
        self.table.add_row([
            name.to_owned(),
            show(a),
            show(b),
            format!("{middle:.2}"),
            spread,
            held,
            if line.holds(middle) { "held" } else { "MISSED" }.to_owned(),
        ]);
    }

    /// Compares two arms that take turns, one piece of work each: what else goes on at a server, as
    /// its merges of segments, meets both alike. A piece tells how many operations it was.
    pub fn compare_in_turns(
        &mut self,
        runtime: &Runtime,
        name: &str,
        line: Line,
        mut reference: impl AsyncFnMut() -> u64,
        mut ours: impl AsyncFnMut() -> u64,
    ) {
        eprintln!("running {name} …");
        let mut rounds = Vec::new();
        for round in 0..=self.rounds.max(1) {
            let length = if round == 0 {
                self.warm_up
            } else {
                self.length
            };
            let (mut a, mut b) = (Spent::default(), Spent::default());
            let mut turn = round;
            while a.time + b.time < 2 * length || turn % 2 != round % 2 {
                runtime.block_on(async {
                    if turn % 2 == 0 {
                        a.add(&mut reference).await;
                        b.add(&mut ours).await;
                    } else {
                        b.add(&mut ours).await;
                        a.add(&mut reference).await;
                    }
                });
                turn += 1;
            }
            rounds.push((a.per_operation(), b.per_operation()));
        }
        rounds.remove(0);
        self.add(name, line, &rounds);
    }

    /// Compares two arms that do one operation after another, each at one of `count` places.
    pub fn compare_each(
        &mut self,
        runtime: &Runtime,
        name: &str,
        line: Line,
        count: usize,
        mut reference: impl AsyncFnMut(usize),
        mut ours: impl AsyncFnMut(usize),
    ) {
        let (mut a, mut b) = (0, 0);
        self.compare(
            name,
            line,
            &mut |length| runtime.block_on(each(length, count, &mut a, &mut reference)),
            &mut |length| runtime.block_on(each(length, count, &mut b, &mut ours)),
        );
    }

    /// Compares two arms that do one operation after another, each at one of `count` places, the
    /// reference without a runtime.
    pub fn compare_each_blocking(
        &mut self,
        runtime: &Runtime,
        name: &str,
        line: Line,
        count: usize,
        mut reference: impl FnMut(usize),
        mut ours: impl AsyncFnMut(usize),
    ) {
        let (mut a, mut b) = (0, 0);
        self.compare(
            name,
            line,
            &mut |length| places(length, count, &mut a).map(&mut reference).count() as u64,
            &mut |length| runtime.block_on(each(length, count, &mut b, &mut ours)),
        );
    }

    /// Adds a line to be printed below the table.
    pub fn note(&mut self, line: String) {
        self.notes.push(line);
    }

    /// Prints the table.
    pub fn print(&self) {
        println!(
            "{} interleaved rounds of {} ms an arm; medians of the rounds' ratios",
            self.rounds,
            self.length.as_millis()
        );
        println!("{}", self.table);
        for note in &self.notes {
            println!("{note}");
        }
    }
}

/// How many operations run between two looks at the clock.
const STRIDE: usize = 16;

/// Places from 0 to `count`, one after another until the time is over.
fn places(length: Duration, count: usize, next: &mut usize) -> impl Iterator<Item = usize> {
    let end = Instant::now() + length;
    let mut done = 0;
    std::iter::from_fn(move || {
        if done % STRIDE == 0 && Instant::now() >= end {
            return None;
        }
        done += 1;
        // A stride that is prime to the count visits all documents in a scattered order.
        *next = (*next + 7_919) % count;
        Some(*next)
    })
}

/// Does the work at one place after another until the time is over; hands out how often.
async fn each(
    length: Duration,
    count: usize,
    next: &mut usize,
    mut work: impl AsyncFnMut(usize),
) -> u64 {
    let mut done = 0;
    for n in places(length, count, next) {
        work(n).await;
        done += 1;
    }
    done
}

/// Runs so many tasks at once; hands out what they did in all.
pub async fn tasks<F>(count: usize, task: impl Fn(usize) -> F) -> u64
where
    F: Future<Output = u64> + Send + 'static,
{
    let mut running = JoinSet::new();
    for n in 0..count {
        running.spawn(task(n));
    }
    running.join_all().await.iter().sum()
}

/// Runs the work again and again until the time is over; hands out how often.
pub async fn until(length: Duration, mut work: impl AsyncFnMut()) -> u64 {
    let end = Instant::now() + length;
    let mut done = 0;
    while Instant::now() < end {
        work().await;
        done += 1;
    }
    done
}

/// What pieces of work took in all.
#[derive(Default)]
struct Spent {
    time: Duration,
    operations: u64,
}

impl Spent {
    async fn add(&mut self, piece: &mut impl AsyncFnMut() -> u64) {
        let start = Instant::now();
        self.operations += piece().await;
        self.time += start.elapsed();
    }

    fn per_operation(&self) -> f64 {
        self.time.as_secs_f64() / self.operations.max(1) as f64
    }
}

fn per_operation(arm: Arm<'_>, length: Duration) -> f64 {
    let start = Instant::now();
    let operations = arm(length);
    start.elapsed().as_secs_f64() / operations.max(1) as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
