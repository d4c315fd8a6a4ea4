//! Reads along with `cargo test` and cuts its output into suites.

use std::time::{Duration, Instant};

use super::summary::Suite;

/// Cuts the output of `cargo test` into suites.
///
/// A suite begins where cargo announces it and ends where cargo announces the next or the output
/// ends. Its counts are the sum of its `test result` lines: doctests print several. A suite
/// without such a line is a program with a harness of its own, or one that died: it counts as one
/// test, which failed if cargo says so.
pub(crate) struct Reader<F> {
    title: F,
    suite: Option<Open>,
    between: String,
}

struct Open {
    suite: Suite,
    results: usize,
    said_failed: bool,
    began: Instant,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// A reader that asks `title` for the title of the program at a path.
    pub(crate) fn new(title: F) -> Self {
        Self {
            title,
            suite: None,
            between: String::new(),
        }
    }

    /// Takes the next line; hands out the suite that it shows to be over.
    pub(crate) fn line(&mut self, line: &str) -> Option<Suite> {
        if let Some(title) = self.announcement(line) {
            println!("…      {title}");
            let over = self.suite.replace(Open {
                suite: Suite::new(title),
                results: 0,
                said_failed: false,
                began: Instant::now(),
            });
            return over.map(Open::close);
        }
        match &mut self.suite {
            Some(open) => open.line(line),
            None => push_line(&mut self.between, line),
        }
        None
    }

    /// Ends the last suite; also hands out what was printed outside of any suite.
    pub(crate) fn end(self) -> (Option<Suite>, String) {
        (self.suite.map(Open::close), self.between)
    }

    fn announcement(&self, line: &str) -> Option<String> {
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            return Some(format!("{name} doctests"));
        }
        // `Running unittests src/lib.rs (target/debug/deps/name-0123456789abcdef)`
        let (what, path) = line
            .strip_prefix("Running ")?
            .strip_suffix(')')?
            .split_once(" (")?;
        if !path.contains("deps") && !path.contains("examples") {
            return None;
        }
        Some((self.title)(path).unwrap_or_else(|| what.to_owned()))
    }
}

impl Open {
    fn line(&mut self, line: &str) {
        if let Some(counts) = line.trim().strip_prefix("test result: ") {
            let count = |what: &str| {
                counts
                    .split([';', '.'])
                    .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
            };
            if let (Some(passed), Some(failed)) = (count("passed"), count("failed")) {
                self.results += 1;
                self.suite.passed += passed;
                self.suite.failed += failed;
                self.suite.ignored += count("ignored").unwrap_or(0);
                self.suite.time = self.began.elapsed();
            }
        }
        self.said_failed |= line.starts_with("error: test failed")
            || line.starts_with("error: doctest failed")
            || line.contains("process didn't exit successfully");
        push_line(&mut self.suite.output, line);
    }

    fn close(mut self) -> Suite {
        match (self.said_failed, self.results) {
            (true, _) if self.suite.failed == 0 => self.suite.failed = 1,
            (false, 0) => self.suite.passed = 1,
            _ => {}
        }
        if self.suite.time == Duration::ZERO {
            self.suite.time = self.began.elapsed();
        }
        self.suite
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: &[(&str, u64, u64, u64)]) {
        let mut reader = Reader::new(|path| path.contains("known").then(|| "known".to_owned()));
        let mut suites: Vec<Suite> = output.lines().filter_map(|l| reader.line(l)).collect();
        suites.extend(reader.end().0);
        let seen: Vec<_> = suites
            .iter()
            .map(|s| (s.title.as_str(), s.passed, s.failed, s.ignored))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn counts_suites_and_doctests() {
        check(
            "    Finished `test` profile\n\
             \x20    Running unittests src/lib.rs (target/debug/deps/known-0123)\n\
             \n\
             running 3 tests\n\
             test a ... ok\n\
             \n\
             test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\n\
             \x20    Running tests/it.rs (target/debug/deps/it-0123)\n\
             test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             \n\
             error: test failed, to rerun pass `-p x --test it`\n\
             \x20  Doc-tests strongroom_core\n\
             test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
            &[
                ("known", 2, 0, 1),
                ("tests/it.rs", 1, 2, 0),
                ("strongroom_core doctests", 5, 0, 0),
            ],
        );
    }

    #[test]
    fn a_suite_that_dies_has_failed() {
        check(
            "     Running tests/dies.rs (target/debug/deps/dies-0123)\n\
             running 2 tests\n\
             test a ... ok\n\
             error: test failed, to rerun pass `-p x --test dies`\n\
             \n\
             Caused by:\n\
             \x20 process didn't exit successfully: `dies` (signal: 6, SIGABRT: process abort signal)\n\
             \x20    Running tests/own.rs (target/debug/deps/own-0123)\n\
             all good\n",
            &[("tests/dies.rs", 0, 1, 0), ("tests/own.rs", 1, 0, 0)],
        );
    }

    #[test]
    fn what_a_test_prints_is_no_announcement() {
        check(
            "     Running tests/it.rs (target/debug/deps/it-0123)\n\
             Running fast (very)\n\
             test result: nothing\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
            &[("tests/it.rs", 1, 0, 0)],
        );
    }
}
