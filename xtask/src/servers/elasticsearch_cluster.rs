//! A cluster of three nodes of Elasticsearch, each of which comes back when it is killed.
//!
//! Tests end its nodes on purpose. They are told where each node writes the id of its process, so
//! that they end no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::elasticsearch::ELASTICSEARCH;
use super::network::{HeldPort, answers_ok};
use super::place::Place;
use super::recipe::{Launch, Recipe};
use super::search_engine;
use crate::Result;

/// The nodes, by which their folders are named, too.
const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];
/// The file in a node's folder that holds the id of its process.
const PID_FILE: &str = "pid";
/// The variable that tells the tests where those files are.
const PIDS: &str = "STRONGROOM_TEST_ELASTICSEARCH_CLUSTER_PIDS";
/// Less memory than a server alone has: there are three of them.
const JVM_OPTIONS: &str = "-Xms384m -Xmx384m";

/// Runs each node, whose folders are in `$0`, by the program in `$1`, and again as long as it ends
/// by a signal. Whoever ends all of it ends the loops as well.
const SCRIPT: &str = r#"
for node in "$0"/node-*; do
    (
        export ES_PATH_CONF="$node/config" ES_TMPDIR="$node/tmp"
        while "$1/bin/elasticsearch" -p "$node/pid"; [ $? -gt 128 ]; do :; done
    ) &
done
wait
"#;

/// Three nodes of the version that every run tests.
pub(super) struct ElasticsearchCluster;

/// The cluster.
pub(super) static ELASTICSEARCH_CLUSTER: ElasticsearchCluster = ElasticsearchCluster;

impl Recipe for ElasticsearchCluster {
    fn name(&self) -> &'static str {
        "elasticsearch-cluster"
    }

    fn version(&self) -> &'static str {
        ELASTICSEARCH.version()
    }

    fn variable(&self) -> &'static str {
        "STRONGROOM_TEST_ELASTICSEARCH_CLUSTER_URLS"
    }

    fn install(&self, place: &Place) -> Result<PathBuf> {
        ELASTICSEARCH.install(place)
    }

    fn launch(&self, program: &Path, folder: &Path, place: &Place) -> Result<Launch> {
        // The ports stay the same when a node comes back.
        let mut ports = Vec::new();
        for _ in 0..2 * NODES.len() {
            ports.push(HeldPort::find()?);
        }
        let (http, transport) = ports.split_at(NODES.len());
        let seeds: Vec<String> = transport
            .iter()
            .map(|port| format!("127.0.0.1:{}", port.number))
            .collect();
        for ((name, http), transport) in NODES.iter().zip(http).zip(transport) {
            let folder = folder.join(name);
            fs::create_dir(&folder)
                .map_err(|e| format!("could not make {}: {e}", folder.display()))?;
            search_engine::make_folders(program, &folder)?;
            let mut settings = search_engine::node_settings(&folder);
            settings.extend([
                ("node.name", (*name).to_owned()),
                ("http.port", http.number.to_string()),
                ("transport.port", transport.number.to_string()),
                ("discovery.seed_hosts", seeds.join(",")),
                ("cluster.initial_master_nodes", NODES.join(",")),
                ("xpack.security.enabled", "false".to_owned()),
            ]);
            write_settings(&folder.join("config/elasticsearch.yml"), &settings)?;
        }
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .args([folder, program])
            .env("ES_JAVA_HOME", ELASTICSEARCH.java(place)?)
            .env("ES_JAVA_OPTS", JVM_OPTIONS);
        Ok(Launch { command, ports })
    }

    fn url(&self, folder: &Path) -> Option<String> {
        let urls = NODES.iter().map(|n| search_engine::url(&folder.join(n)));
        Some(urls.collect::<Option<Vec<_>>>()?.join(","))
    }

    fn is_ready(&self, urls: &str) -> bool {
        let health = "/_cluster/health?wait_for_nodes=3&wait_for_status=green&timeout=2s";
        urls.split(',').all(|url| answers_ok(url, health))
    }

    fn particulars(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let files = NODES.map(|n| folder.join(n).join(PID_FILE).display().to_string());
        vec![(PIDS, files.join(","))]
    }
}

/// Writes a node's settings. Text in quotes means the same in YAML as in JSON.
fn write_settings(file: &Path, settings: &[(&str, String)]) -> Result<()> {
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", serde_json::Value::from(value.as_str())));
    fs::write(file, lines.collect::<String>())
        .map_err(|e| format!("could not write {}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines_of_names_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("elasticsearch.yml");
        let settings = [
            ("node.name", "node-1".to_owned()),
            ("path.data", r#"/a "b"/c"#.to_owned()),
        ];
        write_settings(&file, &settings).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [r#"node.name: "node-1""#, r#"path.data: "/a \"b\"/c""#]
        );
    }

    #[test]
    fn a_cluster_is_known_once_all_nodes_listen() {
        let folder = tempfile::tempdir().unwrap();
        for (n, node) in NODES.iter().enumerate() {
            assert_eq!(ELASTICSEARCH_CLUSTER.url(folder.path()), None);
            let logs = folder.path().join(node).join("logs");
            fs::create_dir_all(&logs).unwrap();
            fs::write(logs.join("http.ports"), format!("127.0.0.1:{n}\n")).unwrap();
        }
        let urls = ELASTICSEARCH_CLUSTER.url(folder.path()).unwrap();
        assert_eq!(
            urls,
            "http://127.0.0.1:0,http://127.0.0.1:1,http://127.0.0.1:2"
        );
    }
}
