//! What Elasticsearch and OpenSearch, which began as a copy of it, have in common.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Distribution, install};
use super::jdk;
use super::module::Module;
use super::network::answers_ok;
use super::place::Place;
use super::recipe::{Launch, Recipe};
use crate::Result;

/// One of the two.
pub(super) struct Product {
    /// The name of its program, its folder and its archive.
    pub(super) program: &'static str,
    /// The group of its archive.
    pub(super) group: &'static str,
    /// What its variables begin with.
    pub(super) variables: &'static str,
    /// Settings of its own, as `name=value`.
    pub(super) settings: &'static [&'static str],
}

/// A version of one of them: a server of one node.
pub(super) struct SearchEngine {
    pub(super) product: &'static Product,
    pub(super) name: &'static str,
    pub(super) variable: &'static str,
    pub(super) version: &'static str,
    /// The digest of its archive.
    pub(super) sha256: &'static str,
    pub(super) megabytes: u32,
    /// The versions of Java that run it.
    pub(super) java: RangeInclusive<u32>,
    /// What its distribution lacks.
    pub(super) modules: &'static [Module],
}

impl SearchEngine {
    /// The JDK that runs it.
    pub(super) fn java(&self, place: &Place) -> Result<PathBuf> {
        jdk::find(self.java.clone(), place)
    }

    /// The name of the folder that holds it, in its archive and among the programs.
    fn folder(&self) -> String {
        format!("{}-{}", self.product.program, self.version)
    }
}

impl Recipe for SearchEngine {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> &'static str {
        self.version
    }

    fn variable(&self) -> &'static str {
        self.variable
    }

    fn install(&self, place: &Place) -> Result<PathBuf> {
        // Whoever has no fitting Java is told before anything is fetched.
        self.java(place)?;
        let Product { program, group, .. } = self.product;
        let modules = self.modules.iter();
        let distribution = Distribution {
            folder: self.folder(),
            archive: format!("{group}:{program}:{}:zip", self.version),
            sha256: self.sha256,
            megabytes: self.megabytes,
            additions: modules.flat_map(|m| m.items(self.version)).collect(),
        };
        install(&distribution, place, |fetched| {
            let program = fetched.archive.join(self.folder());
            for module in self.modules {
                module
                    .put_in(
                        &program,
                        &fetched.additions,
                        self.version,
                        *self.java.start(),
                    )
                    .map_err(|e| format!("could not put the modules in: {e}"))?;
            }
            Ok(program)
        })
    }

    fn launch(&self, program: &Path, folder: &Path, place: &Place) -> Result<Launch> {
        make_folders(program, folder)?;
        let variable = |name: &str| format!("{}_{name}", self.product.variables);
        let own = self.product.settings.iter();
        let mut command = Command::new(program.join("bin").join(self.product.program));
        command
            .env(variable("JAVA_HOME"), self.java(place)?)
            .env(variable("JAVA_OPTS"), JVM_OPTIONS)
            .env(variable("PATH_CONF"), folder.join("config"))
            .env(variable("TMPDIR"), folder.join("tmp"))
            .args(settings(folder))
            .args(own.flat_map(|setting| ["-E", *setting]));
        Ok(command.into())
    }

    fn url(&self, folder: &Path) -> Option<String> {
        url(folder)
    }

    fn is_ready(&self, url: &str) -> bool {
        is_ready(url)
    }
}

/// How much memory each server may take for its objects: enough for tests, and little enough for
/// several servers on one machine.
const JVM_OPTIONS: &str = "-Xms512m -Xmx512m";

/// Makes the folders of a node in its own folder, with a copy of the configuration that keeps all
/// paths in there. The server also writes its key store beside it.
pub(super) fn make_folders(program: &Path, folder: &Path) -> Result<()> {
    let config = folder.join("config");
    copy_folder(&program.join("config"), &config).map_err(|e| {
        format!(
            "could not copy the configuration to {}: {e}",
            config.display()
        )
    })?;
    let options = config.join("jvm.options");
    fs::read_to_string(&options)
        .and_then(|text| fs::write(&options, with_paths(&text, folder)))
        .map_err(|e| format!("could not change {}: {e}", options.display()))?;
    for name in ["data", "logs", "tmp"] {
        fs::create_dir(folder.join(name))
            .map_err(|e| format!("could not make a folder in {}: {e}", folder.display()))?;
    }
    Ok(())
}

/// The settings of any node: names and values.
pub(super) fn node_settings(folder: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("network.host", "127.0.0.1".to_owned()),
        ("node.portsfile", "true".to_owned()),
        (
            "cluster.routing.allocation.disk.threshold_enabled",
            "false".to_owned(),
        ),
        ("path.data", folder.join("data").display().to_string()),
        ("path.logs", folder.join("logs").display().to_string()),
    ]
}

/// The settings of a cluster of one node, as arguments.
fn settings(folder: &Path) -> impl Iterator<Item = String> {
    let mut settings = node_settings(folder);
    settings.extend([
        ("discovery.type", "single-node".to_owned()),
        // The system chooses the ports and the server writes them down: two runs never clash.
        ("http.port", "0".to_owned()),
        ("transport.port", "0".to_owned()),
    ]);
    let settings = settings.into_iter();
    settings.flat_map(|(name, value)| ["-E".to_owned(), format!("{name}={value}")])
}

/// Where the server listens, by the file that it writes.
pub(super) fn url(folder: &Path) -> Option<String> {
    let ports = fs::read_to_string(folder.join("logs/http.ports")).ok()?;
    let address = ports.lines().find(|line| line.starts_with("127.0.0.1:"))?;
    Some(format!("http://{address}"))
}

/// Whether the cluster takes requests.
fn is_ready(url: &str) -> bool {
    answers_ok(url, "/_cluster/health?wait_for_status=yellow&timeout=2s")
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The options of the virtual machine with paths into `folder`: the server runs in the program's
/// own folder, where it must not write.
fn with_paths(options: &str, folder: &Path) -> String {
    let folder = folder.display();
    options
        .replace("file=logs/", &format!("file={folder}/logs/"))
        .replace("ErrorFile=logs/", &format!("ErrorFile={folder}/logs/"))
        .replace("HeapDumpPath=data", &format!("HeapDumpPath={folder}/data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_virtual_machine_writes_to_the_servers_folder() {
        let options = "-Xlog:gc*:file=logs/gc.log:utctime\n-XX:ErrorFile=logs/hs_err_pid%p.log\n\
                       -XX:HeapDumpPath=data\n-Xms1g\n";
        assert_eq!(
            with_paths(options, Path::new("/f")),
            "-Xlog:gc*:file=/f/logs/gc.log:utctime\n-XX:ErrorFile=/f/logs/hs_err_pid%p.log\n\
             -XX:HeapDumpPath=/f/data\n-Xms1g\n"
        );
    }
}
