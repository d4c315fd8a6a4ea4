//! Several processes on one file, and processes that are killed.
//!
//! The program starts itself again as a child with a role; what the roles do is in `child`. Each
//! test prints a line as the standard test harness does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends by panicking, and a child reports on its standard output"
)]

mod child;
mod killed;
mod together;

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use strongroom_core::model::{FieldDeclaration, Kind, Model};

type Test = (&'static str, fn());

const TESTS: [Test; 6] = [
    (
        "killed::acknowledged_saves_survive",
        killed::acknowledged_saves_survive,
    ),
    ("together::increments_add_up", together::increments_add_up),
    (
        "together::one_process_creates",
        together::one_process_creates,
    ),
    (
        "together::a_fresh_file_is_opened_by_all",
        together::a_fresh_file_is_opened_by_all,
    ),
    (
        "together::a_lock_is_waited_for_elsewhere",
        together::a_lock_is_waited_for_elsewhere,
    ),
    (
        "together::statements_survive_a_new_schema",
        together::statements_survive_a_new_schema,
    ),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("--child") {
        let rest: Vec<String> = arguments.collect();
        child::run(&rest);
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = first.into_iter().chain(arguments).collect();
    if wanted.iter().any(|a| a == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // Flags are for the standard harness; a plain word picks the tests whose names hold it.
    let words: Vec<&String> = wanted.iter().filter(|a| !a.starts_with('-')).collect();
    let chosen: Vec<&Test> = TESTS
        .iter()
        .filter(|(name, _)| words.is_empty() || words.iter().any(|w| name.contains(w.as_str())))
        .collect();
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, test) in &chosen {
        let outcome = std::panic::catch_unwind(test);
        failed += usize::from(outcome.is_err());
        println!(
            "test {name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        TESTS.len() - chosen.len()
    );
    ExitCode::from(u8::from(failed > 0))
}

/// Starts this program again in a role.
fn start(role: &str, path: &Path, arguments: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg("--child")
        .arg(role)
        .arg(path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child printed, which must have ended well.
fn output(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a child failed: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn model() -> Arc<Model> {
    Model::builder("counters")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed())
        .build()
        .unwrap()
}

fn is_full() -> bool {
    std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1")
}

/// Runs a future on a runtime with two threads.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
