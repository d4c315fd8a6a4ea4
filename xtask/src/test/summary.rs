//! What ran, as a table and a last line.

use std::time::Duration;

/// One program full of tests, the doctests of a crate, or an example.
#[derive(Debug, PartialEq)]
pub(crate) struct Suite {
    /// Which one.
    pub(crate) title: String,
    /// How many tests passed.
    pub(crate) passed: u64,
    /// How many tests failed.
    pub(crate) failed: u64,
    /// How many tests were left out although they were chosen.
    pub(crate) ignored: u64,
    /// How long it took.
    pub(crate) time: Duration,
    /// What it printed.
    pub(crate) output: String,
}

impl Suite {
    /// A suite of which nothing is known yet.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            passed: 0,
            failed: 0,
            ignored: 0,
            time: Duration::ZERO,
            output: String::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.passed + self.failed + self.ignored == 0
    }
}

/// All suites of a run.
#[derive(Default)]
pub(crate) struct Summary {
    suites: Vec<Suite>,
    problems: Vec<String>,
}

impl Summary {
    /// Adds a suite that ended: one line if it passed, all it printed if it failed.
    pub(crate) fn add(&mut self, suite: Suite) {
        if suite.is_empty() {
            return;
        }
        if suite.failed > 0 {
            println!("{}", suite.output.trim_end());
            println!("FAILED {}", suite.title);
        } else {
            println!("ok     {} ({} passed)", suite.title, suite.passed);
        }
        self.suites.push(suite);
    }

    /// Adds something other than a suite that failed. It is told at once and again at the end,
    /// because it often explains the failures between.
    pub(crate) fn add_problem(&mut self, title: &str, message: &str) {
        self.problems.push(format!("error: {message}"));
        self.add(Suite {
            failed: 1,
            output: format!("error: {message}"),
            ..Suite::new(title)
        });
    }

    /// Adds suites that ended.
    pub(crate) fn extend(&mut self, suites: impl IntoIterator<Item = Suite>) {
        suites.into_iter().for_each(|suite| self.add(suite));
    }

    /// Whether nothing failed.
    pub(crate) fn is_ok(&self) -> bool {
        self.suites.iter().all(|suite| suite.failed == 0)
    }

    /// Prints the table and the last line.
    pub(crate) fn print(&self) {
        print!("\n{self}");
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let width = self
            .suites
            .iter()
            .map(|suite| suite.title.chars().count())
            .chain([5])
            .max()
            .unwrap_or(5);
        writeln!(
            f,
            "{:width$}  {:>6}  {:>6}  {:>7}  {:>9}",
            "suite", "passed", "failed", "ignored", "time"
        )?;
        for suite in &self.suites {
            writeln!(
                f,
                "{:width$}  {:>6}  {:>6}  {:>7}  {:>7.2} s",
                suite.title,
                suite.passed,
                suite.failed,
                suite.ignored,
                suite.time.as_secs_f64()
            )?;
        }
        let passed: u64 = self.suites.iter().map(|suite| suite.passed).sum();
        let failed: u64 = self.suites.iter().map(|suite| suite.failed).sum();
        writeln!(f, "{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_sums_up() {
        let mut summary = Summary::default();
        assert_eq!(
            summary.to_string().lines().last(),
            Some("0 passed, 0 failed")
        );
        summary.add(Suite {
            passed: 3,
            ..Suite::new("a")
        });
        summary.add(Suite::new("nothing chosen"));
        assert!(summary.is_ok());
        summary.add(Suite {
            passed: 1,
            failed: 2,
            ..Suite::new("b")
        });
        assert!(!summary.is_ok());
        let text = summary.to_string();
        assert_eq!(text.lines().last(), Some("4 passed, 2 failed"));
        assert!(!text.contains("nothing chosen"), "{text}");
    }
}
