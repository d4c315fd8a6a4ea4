//! Elasticsearch: the server as its own integration tests run it, one node.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::artifact;
use super::place::Place;
use super::recipe::{Program, Recipe, answers_ok};
use crate::Result;

const ARTIFACT: artifact::Artifact = artifact::Artifact {
    coordinates: "org.elasticsearch.distribution.integ-test-zip:elasticsearch:9.2.0:zip",
    file: "elasticsearch-9.2.0.zip",
    folder: "elasticsearch-9.2.0",
    megabytes: 99,
};

/// The oldest Java that runs it.
const JAVA: u32 = 21;

/// Elasticsearch 9.2.
pub(super) struct Elasticsearch;

impl Recipe for Elasticsearch {
    fn name(&self) -> &'static str {
        "elasticsearch"
    }

    fn variable(&self) -> &'static str {
        "STRONGROOM_TEST_ELASTICSEARCH_URL"
    }

    fn install(&self, place: &Place) -> Result<Program> {
        let jdk = artifact::find_jdk(JAVA, place)?;
        let home = artifact::install(&ARTIFACT, &jdk, place)?;
        Ok(Program { home, jdk })
    }

    fn command(&self, program: &Program, folder: &Path) -> Result<Command> {
        // The server writes its key store beside its configuration, so each run has a copy.
        let config = folder.join("config");
        copy_folder(&program.home.join("config"), &config).map_err(|e| {
            format!(
                "could not copy the configuration to {}: {e}",
                config.display()
            )
        })?;
        for name in ["data", "logs", "tmp"] {
            fs::create_dir(folder.join(name))
                .map_err(|e| format!("could not make a folder in {}: {e}", folder.display()))?;
        }
        let mut command = Command::new(program.home.join("bin/elasticsearch"));
        command
            .env("ES_JAVA_HOME", &program.jdk)
            .env("ES_JAVA_OPTS", "-Xms512m -Xmx512m")
            .env("ES_PATH_CONF", &config)
            .env("ES_TMPDIR", folder.join("tmp"));
        let settings = [
            "discovery.type=single-node".to_owned(),
            "network.host=127.0.0.1".to_owned(),
            // The system chooses the ports and the server writes them down: two runs never clash.
            "http.port=0".to_owned(),
            "transport.port=0".to_owned(),
            "node.portsfile=true".to_owned(),
            "xpack.security.enabled=false".to_owned(),
            "cluster.routing.allocation.disk.threshold_enabled=false".to_owned(),
            format!("path.data={}", folder.join("data").display()),
            format!("path.logs={}", folder.join("logs").display()),
        ];
        for setting in settings {
            command.args(["-E", &setting]);
        }
        Ok(command)
    }

    fn url(&self, folder: &Path) -> Option<String> {
        let ports = fs::read_to_string(folder.join("logs/http.ports")).ok()?;
        let address = ports.lines().find(|line| line.starts_with("127.0.0.1:"))?;
        Some(format!("http://{address}"))
    }

    fn is_ready(&self, url: &str) -> bool {
        answers_ok(url, "/_cluster/health?wait_for_status=yellow&timeout=2s")
    }
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
