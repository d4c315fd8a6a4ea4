//! URLs of SQLite: what follows `sqlite:`.

use std::sync::Arc;
use std::time::Duration;

use strongroom_sqlite::{MissingFile, SqliteOptions, SqliteStore, Synchronous};

use super::{config, percent};
use strongroom_core::Result;
use strongroom_core::store::Store;

pub(super) async fn open(rest: &str) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(options(rest)?).await?))
}

/// What follows `sqlite:`.
fn options(rest: &str) -> Result<SqliteOptions> {
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let mut options = if place == ":memory:" {
        SqliteOptions::memory()
    } else {
        let path = place.strip_prefix("//").unwrap_or_default();
        if path.is_empty() {
            return Err(config(
                "a URL of SQLite is sqlite://path/to/file or sqlite::memory:",
            ));
        }
        SqliteOptions::file(percent_decoded(path)?)
    };
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let wrong = |allowed: &str| {
            config(format!(
                "parameter {name} of the URL is {value:?}, allowed is {allowed}"
            ))
        };
        options = match name {
            "synchronous" => options.synchronous(match value {
                "full" => Synchronous::Full,
                "normal" => Synchronous::Normal,
                _ => return Err(wrong("full or normal")),
            }),
            "busy_timeout_ms" => {
                let millis: u32 = value
                    .parse()
                    .map_err(|_| wrong("a number of milliseconds"))?;
                options.busy_timeout(Duration::from_millis(millis.into()))
            }
            "readers" => match value.parse() {
                Ok(readers @ 1..=1024) => options.readers(readers),
                _ => return Err(wrong("1 to 1024")),
            },
            "scans" => match value.parse() {
                Ok(scans @ 1..=1000) => options.scans(scans),
                _ => return Err(wrong("1 to 1000")),
            },
            "create" => options.missing_file(match value {
                "true" => MissingFile::Create,
                "false" => MissingFile::Refuse,
                _ => return Err(wrong("true or false")),
            }),
            _ => {
                return Err(config(format!(
                    "parameter {name:?} of the URL is unknown; known are synchronous, busy_timeout_ms, readers, scans, create"
                )));
            }
        };
    }
    Ok(options)
}

fn percent_decoded(path: &str) -> Result<String> {
    percent::decoded(path).ok_or_else(|| {
        config(format!(
            "path {path:?} of the URL is wrongly encoded: % is followed by two hex digits, and all is UTF-8"
        ))
    })
}

#[cfg(test)]
mod tests {
    use strongroom_core::ErrorKind;

    use super::*;

    #[test]
    fn parameters_are_read_and_wrong_ones_named() {
        let text = format!(
            "{:?}",
            options("//a%20b%3F.db?synchronous=normal&busy_timeout_ms=70&readers=3&create=false")
                .unwrap()
        );
        for part in ["a b?.db", "Normal", "70ms", "readers: 3", "Refuse"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(options(":memory:?busy_timeout_ms=1").is_ok());
        for (bad, named) in [
            ("", "sqlite://path"),
            ("//", "sqlite://path"),
            ("app.db", "sqlite://path"),
            ("//a?journal=off", "\"journal\""),
            ("//a?", "\"\""),
            ("//a?synchronous=off", "full or normal"),
            ("//a?synchronous", "full or normal"),
            ("//a?busy_timeout_ms=-1", "busy_timeout_ms"),
            ("//a?readers=0", "1 to 1024"),
            ("//a?create=1", "true or false"),
            ("//a%2", "hex"),
            ("//a%+1", "hex"),
            ("//a%ff", "UTF-8"),
        ] {
            let error = options(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.message().contains(named), "{bad}: {error}");
        }
    }
}
