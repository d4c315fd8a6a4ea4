//! What Elasticsearch and OpenSearch, which began as a copy of it, have in common.

use std::fs;
use std::path::Path;

use super::network::answers_ok;
use crate::Result;

/// How much memory each server may take for its objects: enough for tests, and little enough for
/// several servers on one machine.
pub(super) const JVM_OPTIONS: &str = "-Xms512m -Xmx512m";

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
pub(super) fn settings(folder: &Path) -> impl Iterator<Item = String> {
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
pub(super) fn is_ready(url: &str) -> bool {
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
