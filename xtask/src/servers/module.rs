//! Modules of a server that its distribution lacks, put in from their own jars.

use std::fs;
use std::path::Path;

use super::maven::Item;

/// A module of the server.
pub(super) struct Module {
    /// Its name and that of its folder.
    pub(super) name: &'static str,
    /// The class that the server loads.
    pub(super) class: &'static str,
    /// The module whose classes it uses, if any.
    pub(super) extends: &'static str,
    /// Its jars, as `group:artifact:version`; without a version where it is the server's own.
    pub(super) jars: &'static [&'static str],
    /// What it must be allowed, in the words of Java's policy files.
    pub(super) permissions: &'static [&'static str],
}

impl Module {
    /// Puts the fetched module into the program of a server of this version, which runs on this
    /// version of Java or later.
    pub(super) fn put_in(
        &self,
        program: &Path,
        additions: &Path,
        server: &str,
        java: u32,
    ) -> std::io::Result<()> {
        let folder = program.join("modules").join(self.name);
        fs::rename(additions.join(self.folder()), &folder)?;
        let descriptor = self.descriptor(server, java);
        fs::write(folder.join("plugin-descriptor.properties"), descriptor)?;
        if !self.permissions.is_empty() {
            fs::write(folder.join("plugin-security.policy"), self.policy())?;
        }
        Ok(())
    }

    /// The folder that the jars are fetched to.
    fn folder(&self) -> String {
        format!("modules/{}", self.name)
    }

    /// What is fetched for it.
    pub(super) fn items(&self, server: &str) -> impl Iterator<Item = Item> {
        self.jars.iter().map(move |jar| Item {
            coordinates: if jar.matches(':').count() == 1 {
                format!("{jar}:{server}")
            } else {
                (*jar).to_owned()
            },
            folder: self.folder(),
            name: None,
            sha256: None,
        })
    }

    /// What the server's security manager is told about a module.
    fn policy(&self) -> String {
        let permissions = self.permissions.iter();
        let lines: String = permissions
            .map(|permission| format!("  permission {permission};\n"))
            .collect();
        format!("grant {{\n{lines}}};\n")
    }

    /// What the server has to be told about a module.
    fn descriptor(&self, server: &str, java: u32) -> String {
        format!(
            "description={0}\nname={0}\nclassname={1}\nextended.plugins={2}\nversion={server}\n\
             opensearch.version={server}\njava.version={java}\nhas.native.controller=false\n",
            self.name, self.class, self.extends
        )
    }
}
