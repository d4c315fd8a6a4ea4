//! Fetching server programs through Maven, and finding a JDK.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::place::Place;
use crate::Result;
use crate::child;

/// An archive on Maven Central.
pub(super) struct Artifact {
    /// `group:artifact:version:type`.
    pub(super) coordinates: &'static str,
    /// The name of the file that Maven makes.
    pub(super) file: &'static str,
    /// The one folder in the archive.
    pub(super) folder: &'static str,
    /// How much there is to fetch.
    pub(super) megabytes: u32,
}

/// Fetches and unpacks the archive unless that was done before; returns the unpacked folder.
pub(super) fn install(artifact: &Artifact, jdk: &Path, place: &Place) -> Result<PathBuf> {
    let home = place.programs().join(artifact.folder);
    if home.is_dir() {
        return Ok(home);
    }
    // Everything happens in a folder of this process, and the outcome is moved into place in one
    // step: runs side by side cannot see half of it.
    let work = place.programs().join(format!(
        "{}.{}.partial",
        artifact.folder,
        std::process::id()
    ));
    let outcome = fetch(artifact, jdk, &work).and_then(|unpacked| {
        make_readable(&unpacked)
            .map_err(|e| format!("could not open up {}: {e}", unpacked.display()))?;
        match fs::rename(&unpacked, &home) {
            Err(e) if !home.is_dir() => Err(format!("could not make {}: {e}", home.display())),
            _ => Ok(home),
        }
    });
    let removed = fs::remove_dir_all(&work);
    if let Err(e) = removed
        && e.kind() != ErrorKind::NotFound
    {
        return Err(format!("could not remove {}: {e}", work.display()));
    }
    outcome
}

fn fetch(artifact: &Artifact, jdk: &Path, work: &Path) -> Result<PathBuf> {
    fs::create_dir_all(work).map_err(|e| format!("could not make {}: {e}", work.display()))?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "-Dstyle.color=never", "dependency:copy"])
        .arg(format!("-Dartifact={}", artifact.coordinates))
        .arg(format!("-DoutputDirectory={}", work.display()))
        // Its messages are not part of what our own commands print.
        .stdout(std::io::stderr())
        .current_dir(work);
    if !is_installed(&maven) {
        return Err(
            "there is no Maven (`mvn`) to fetch it with: install it, by `apt-get install maven` \
             or from maven.apache.org"
                .to_owned(),
        );
    }
    eprintln!(
        "fetching {} through Maven ({} MB, once)",
        artifact.coordinates, artifact.megabytes
    );
    if !child::run(&mut maven)?.success() {
        return Err(format!(
            "Maven could not fetch {}: see its messages above",
            artifact.coordinates
        ));
    }
    let mut unpack = Command::new(jdk.join("bin/jar"));
    unpack
        .arg("xf")
        .arg(work.join(artifact.file))
        .current_dir(work);
    if !child::run(&mut unpack)?.success() {
        return Err(format!("could not unpack {}", artifact.file));
    }
    Ok(work.join(artifact.folder))
}

fn is_installed(command: &Command) -> bool {
    Command::new(command.get_program())
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Lets every user read the tree, and run what lies in its `bin` folders: `jar` keeps no
/// permissions, and servers may run as another user than the one who unpacked them.
fn make_readable(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let runs = folder.file_name().is_some_and(|name| name == "bin");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_readable(&entry.path())?;
        } else {
            let mode = if runs { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// The JDK at `JAVA_HOME` if it is new enough, else the newest one of the machine.
pub(super) fn find_jdk(oldest: u32, place: &Place) -> Result<PathBuf> {
    let fits = |home: &PathBuf| {
        version(home).is_some_and(|v| v >= oldest)
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
            format!(
                "there is no JDK {oldest} or newer at JAVA_HOME or under /usr/lib/jvm: install one, \
                 by `apt-get install openjdk-{oldest}-jdk-headless` or from adoptium.net"
            )
        })
}

/// The major version that a JDK's `release` file tells.
fn version(home: &Path) -> Option<u32> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    let line = release
        .lines()
        .find_map(|l| l.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"')
        .split(['.', '-', '+'])
        .next()?
        .parse()
        .ok()
}
