//! Where servers live and as whom they run.
//!
//! Servers refuse to run as root, so root drops to the user `nobody`. That user has to reach the
//! program and its own folder, also when the workspace lies where only root may look.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Names a folder for unpacked programs and for the servers' data, instead of the build folder.
const CACHE_VARIABLE: &str = "STRONGROOM_CACHE";
/// Used as root where the build folder cannot be reached by others.
const SYSTEM_CACHE: &str = "/var/cache/strongroom";

/// Where servers live and as whom they run.
pub(super) struct Place {
    base: PathBuf,
    account: Option<Account>,
}

/// An ordinary user.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Place {
    /// Chooses the place and makes its folders.
    pub(super) fn choose(target: &Path) -> Result<Self> {
        let account = rustix::process::geteuid()
            .is_root()
            .then(|| Account::nobody(&fs::read_to_string("/etc/passwd").unwrap_or_default()));
        let chosen = std::env::var_os(CACHE_VARIABLE).map(PathBuf::from);
        let explicit = chosen.is_some();
        let mut place = Self {
            base: chosen.unwrap_or_else(|| target.join("servers")),
            account,
        };
        place.make()?;
        if !place.is_readable(&place.base) {
            if explicit {
                return Err(format!(
                    "{CACHE_VARIABLE} names {}, which other users than root cannot reach",
                    place.base.display()
                ));
            }
            place.base = PathBuf::from(SYSTEM_CACHE);
            place.make()?;
        }
        Ok(place)
    }

    fn make(&mut self) -> Result<()> {
        let describe = |e| format!("could not make the folder {}: {e}", self.base.display());
        fs::create_dir_all(&self.base).map_err(describe)?;
        self.base = self.base.canonicalize().map_err(describe)?;
        for folder in [self.base.clone(), self.programs(), self.base.join("runs")] {
            fs::create_dir_all(&folder)
                .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
                .map_err(|e| format!("could not make the folder {}: {e}", folder.display()))?;
        }
        Ok(())
    }

    /// The folder of unpacked programs.
    pub(super) fn programs(&self) -> PathBuf {
        self.base.join("programs")
    }

    /// Makes an empty folder for the data of one run.
    pub(super) fn make_run_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.base.join("runs").join(name);
        fs::create_dir(&folder)
            .map_err(|e| format!("could not make the folder {}: {e}", folder.display()))?;
        Ok(folder)
    }

    /// Whether the servers' user can reach a folder.
    pub(super) fn is_readable(&self, folder: &Path) -> bool {
        if self.account.is_none() {
            return folder.is_dir();
        }
        let Ok(folder) = folder.canonicalize() else {
            return false;
        };
        folder
            .ancestors()
            .all(|f| fs::metadata(f).is_ok_and(|m| m.mode() & 0o001 != 0))
    }

    /// Makes `command` run as the servers' user, with `folder` as its own.
    pub(super) fn hand_over(&self, command: &mut Command, folder: &Path) -> Result<()> {
        command.current_dir(folder).env("HOME", folder);
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
            account
                .take(folder)
                .map_err(|e| format!("could not give {} away: {e}", folder.display()))?;
        }
        Ok(())
    }
}

impl Account {
    /// The user `nobody` of a password file, or its usual numbers.
    fn nobody(passwords: &str) -> Self {
        let listed = passwords.lines().find_map(|line| {
            let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
            let user = fields.next()?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some(Self { user, group })
        });
        listed.filter(|account| account.user != 0).unwrap_or(Self {
            user: 65_534,
            group: 65_534,
        })
    }

    fn take(self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.user), Some(self.group))?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.take(&entry?.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn finds_nobody_and_never_root() {
        let find = |text| {
            let account = Account::nobody(text);
            (account.user, account.group)
        };
        assert_eq!(
            find("root:x:0:0::/:\nnobody:x:99:98:n:/:/bin/false\n"),
            (99, 98)
        );
        assert_eq!(find(""), (65_534, 65_534));
        assert_eq!(find("nobody:x:0:0::/:"), (65_534, 65_534));
    }
}
