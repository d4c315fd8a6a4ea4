//! Elasticsearch: the server as its own integration tests run it, one node.
//!
//! It has the modules for transport and security only: no scripts, no reindexing.

use std::ops::RangeFrom;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Distribution, install};
use super::place::Place;
use super::recipe::{Launch, Recipe};
use super::{jdk, search_engine};
use crate::Result;

/// A version of Elasticsearch.
pub(super) struct Elasticsearch {
    name: &'static str,
    variable: &'static str,
    version: &'static str,
    megabytes: u32,
    /// The versions of Java that run it.
    java: RangeFrom<u32>,
}

/// Elasticsearch 9.
pub(super) static ELASTICSEARCH: Elasticsearch = Elasticsearch {
    name: "elasticsearch",
    variable: "STRONGROOM_TEST_ELASTICSEARCH_URL",
    version: "9.2.0",
    megabytes: 99,
    java: 21..,
};

/// Elasticsearch 8.
pub(super) static ELASTICSEARCH_8: Elasticsearch = Elasticsearch {
    name: "elasticsearch-8",
    variable: "STRONGROOM_TEST_ELASTICSEARCH_8_URL",
    version: "8.19.0",
    megabytes: 97,
    java: 17..,
};

impl Elasticsearch {
    /// The JDK that runs it.
    pub(super) fn java(&self, place: &Place) -> Result<PathBuf> {
        jdk::find(self.java.clone(), place)
    }
}

impl Recipe for Elasticsearch {
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
        // Whoever has no Java is told before anything is fetched.
        self.java(place)?;
        let folder = format!("elasticsearch-{}", self.version);
        let distribution = Distribution {
            archive: format!(
                "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{}:zip",
                self.version
            ),
            megabytes: self.megabytes,
            additions: Vec::new(),
            folder: folder.clone(),
        };
        install(&distribution, place, |fetched| {
            Ok(fetched.archive.join(folder))
        })
    }

    fn launch(&self, program: &Path, folder: &Path, place: &Place) -> Result<Launch> {
        search_engine::make_folders(program, folder)?;
        let mut command = Command::new(program.join("bin/elasticsearch"));
        command
            .env("ES_JAVA_HOME", self.java(place)?)
            .env("ES_JAVA_OPTS", search_engine::JVM_OPTIONS)
            .env("ES_PATH_CONF", folder.join("config"))
            .env("ES_TMPDIR", folder.join("tmp"))
            .args(search_engine::settings(folder))
            .args(["-E", "xpack.security.enabled=false"]);
        Ok(command.into())
    }

    fn url(&self, folder: &Path) -> Option<String> {
        search_engine::url(folder)
    }

    fn is_ready(&self, url: &str) -> bool {
        search_engine::is_ready(url)
    }
}
