//! Finding a JDK that runs a server.

use std::fs;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::Result;

/// The JDK at `JAVA_HOME` if its version fits, else the newest of the machine that does.
pub(super) fn find(versions: impl RangeBounds<u32>, place: &Place) -> Result<PathBuf> {
    let fits = |home: &PathBuf| {
        version(home).is_some_and(|v| versions.contains(&v))
            && home.join("bin/jar").exists()
            && place.is_readable(home)
    };
    if let Some(home) = std::env::var_os("JAVA_HOME")
        .map(PathBuf::from)
        .filter(fits)
    {
        return Ok(home);
    }
    let linux = fs::read_dir("/usr/lib/jvm").into_iter().flatten();
    let macos = fs::read_dir("/Library/Java/JavaVirtualMachines")
        .into_iter()
        .flatten();
    linux
        .flatten()
        .map(|entry| entry.path())
        .chain(macos.flatten().map(|e| e.path().join("Contents/Home")))
        .filter(fits)
        .max_by_key(|home| version(home.as_path()))
        .ok_or_else(|| {
            // Version 21 runs every server there is a recipe for.
            format!(
                "there is no JDK{} at JAVA_HOME or under /usr/lib/jvm: install one, by \
                 `apt-get install openjdk-21-jdk-headless` or from adoptium.net",
                describe(&versions)
            )
        })
}

fn describe(versions: &impl RangeBounds<u32>) -> String {
    match (versions.start_bound(), versions.end_bound()) {
        (Bound::Included(from), Bound::Included(to)) if *to < u32::MAX => {
            format!(" of version {from} to {to}")
        }
        (Bound::Included(from), _) => format!(" of version {from} or newer"),
        _ => String::new(),
    }
}

/// The major version that a JDK's `release` file tells.
fn version(home: &Path) -> Option<u32> {
    major(&fs::read_to_string(home.join("release")).ok()?)
}

fn major(release: &str) -> Option<u32> {
    let line = release
        .lines()
        .find_map(|l| l.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"')
        .split(['.', '-', '+'])
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_release_files() {
        assert_eq!(major("A=1\nJAVA_VERSION=\"25.0.3\"\n"), Some(25));
        assert_eq!(major("JAVA_VERSION=\"21-ea\"\n"), Some(21));
        assert_eq!(major("JAVA_VERSION=\"22+36\"\n"), Some(22));
        assert_eq!(major("VERSION=\"25\"\n"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn tells_which_versions_fit() {
        assert_eq!(describe(&(21..)), " of version 21 or newer");
        assert_eq!(describe(&(21..=u32::MAX)), " of version 21 or newer");
        assert_eq!(describe(&(11..=23)), " of version 11 to 23");
        assert_eq!(describe(&(..)), "");
    }
}
