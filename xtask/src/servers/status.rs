//! The table of `cargo xtask servers status`.

use std::fmt::Write;
use std::path::Path;

use super::state::{self, Server};
use super::{catalogue, fleet};

/// The heads of the columns.
const HEADS: [&str; 7] = [
    "name",
    "version",
    "port",
    "process",
    "since",
    "ready",
    "stopped by",
];
/// The servers that `up` started.
const BY_DOWN: &str = "servers down";

/// Tells about every server that is written down in a folder and still runs, and about those that
/// the user names.
pub(super) fn table(states: &Path) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    for run in state::runs(states) {
        let stopped_by = run.owner().map_or_else(
            || BY_DOWN.to_owned(),
            |owner| format!("the run of process {}", owner.id),
        );
        rows.extend(run.running().map(|server| row(server, &stopped_by)));
    }
    let mut text = if rows.len() > 1 {
        aligned(&rows)
    } else {
        "no servers run that were started from here\n".to_owned()
    };
    for recipe in catalogue::all().filter(|recipe| fleet::is_users(*recipe)) {
        // The URL is not shown: it may hold a password.
        text.push_str(&format!(
            "{} is the one that {} names\n",
            recipe.name(),
            recipe.variable()
        ));
    }
    text
}

fn row(server: &Server, stopped_by: &str) -> [String; 7] {
    let is_ready = !server.url.is_empty()
        && catalogue::find(&server.name).is_some_and(|recipe| recipe.is_ready(&server.url));
    [
        server.name.clone(),
        server.version.clone(),
        port(&server.url).unwrap_or("-").to_owned(),
        server.process.id.to_string(),
        server.since.to_string(),
        if is_ready { "yes" } else { "no" }.to_owned(),
        stopped_by.to_owned(),
    ]
}

/// The port of a URL: the digits behind its last colon.
fn port(url: &str) -> Option<&str> {
    let (_, rest) = url.rsplit_once(':')?;
    rest.split('/').next().filter(|port| !port.is_empty())
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
                .unwrap_or(0);
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_port_of_each_kind_of_url() {
        assert_eq!(port("http://127.0.0.1:9200"), Some("9200"));
        assert_eq!(
            port("postgres://postgres@127.0.0.1:5432/postgres"),
            Some("5432")
        );
        assert_eq!(port(""), None);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b"], ["long", "c"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a     b\nlong  c\n");
    }
}
