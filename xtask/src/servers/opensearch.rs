//! OpenSearch: the server as its own integration tests run it, one node, with the usual modules
//! put in from their own jars.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::{Distribution, Fetched, install};
use super::maven::Item;
use super::place::Place;
use super::recipe::{Launch, Recipe};
use super::{jdk, search_engine};
use crate::Result;

/// A version of OpenSearch.
pub(super) struct OpenSearch {
    name: &'static str,
    variable: &'static str,
    version: &'static str,
    megabytes: u32,
    /// The versions of Java that run it.
    java: RangeInclusive<u32>,
    modules: &'static [Module],
}

/// A module of the server.
struct Module {
    /// Its name and that of its folder.
    name: &'static str,
    /// The class that the server loads.
    class: &'static str,
    /// The module whose classes it uses, if any.
    extends: &'static str,
    /// Its jars, as `group:artifact:version`; without a version where it is the server's own.
    jars: &'static [&'static str],
    /// What it must be allowed, in the words of Java's policy files.
    permissions: &'static [&'static str],
}

/// OpenSearch 3.
pub(super) static OPENSEARCH: OpenSearch = OpenSearch {
    name: "opensearch",
    variable: "STRONGROOM_TEST_OPENSEARCH_URL",
    version: "3.4.0",
    megabytes: 137,
    java: 21..=u32::MAX,
    modules: &[
        Module {
            name: "reindex",
            class: "org.opensearch.index.reindex.ReindexModulePlugin",
            extends: "",
            jars: &[
                "org.opensearch.plugin:reindex-client",
                "org.opensearch.client:opensearch-rest-client",
                "org.opensearch:opensearch-ssl-config",
                "org.apache.httpcomponents.client5:httpclient5:5.4.4",
                "org.apache.httpcomponents.core5:httpcore5:5.3.4",
                "org.apache.httpcomponents.core5:httpcore5-h2:5.3.4",
                "org.apache.httpcomponents.core5:httpcore5-reactive:5.3.4",
                "commons-codec:commons-codec:1.18.0",
                "commons-logging:commons-logging:1.3.5",
            ],
            permissions: &[],
        },
        Module {
            name: "mapper-extras",
            class: "org.opensearch.index.mapper.MapperExtrasModulePlugin",
            extends: "",
            jars: &["org.opensearch.plugin:mapper-extras-client"],
            permissions: &[],
        },
        Module {
            name: "analysis-common",
            class: "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
            extends: "lang-painless",
            jars: &["org.opensearch.plugin:analysis-common"],
            permissions: &[],
        },
        Module {
            name: "lang-painless",
            class: "org.opensearch.painless.PainlessModulePlugin",
            extends: "",
            jars: PAINLESS,
            permissions: &[],
        },
    ],
};

/// OpenSearch 2.
pub(super) static OPENSEARCH_2: OpenSearch = OpenSearch {
    name: "opensearch-2",
    variable: "STRONGROOM_TEST_OPENSEARCH_2_URL",
    version: "2.19.4",
    megabytes: 60,
    // It installs a security manager, which Java has no more from version 24 on.
    java: 11..=23,
    modules: &[
        Module {
            name: "reindex",
            class: "org.opensearch.index.reindex.ReindexPlugin",
            extends: "",
            jars: &[
                "org.opensearch.plugin:reindex-client",
                "org.opensearch.client:opensearch-rest-client",
                "org.opensearch:opensearch-ssl-config",
                "org.apache.httpcomponents:httpclient:4.5.14",
                "org.apache.httpcomponents:httpcore:4.4.16",
                "org.apache.httpcomponents:httpasyncclient:4.1.5",
                "org.apache.httpcomponents:httpcore-nio:4.4.16",
                "commons-codec:commons-codec:1.18.0",
                "commons-logging:commons-logging:1.2",
            ],
            permissions: &[],
        },
        Module {
            name: "mapper-extras",
            class: "org.opensearch.index.mapper.MapperExtrasPlugin",
            extends: "",
            jars: &["org.opensearch.plugin:mapper-extras-client"],
            permissions: &[],
        },
        Module {
            name: "analysis-common",
            class: "org.opensearch.analysis.common.CommonAnalysisPlugin",
            extends: "lang-painless",
            jars: &["org.opensearch.plugin:analysis-common"],
            permissions: &[],
        },
        Module {
            name: "lang-painless",
            class: "org.opensearch.painless.PainlessPlugin",
            extends: "",
            jars: PAINLESS,
            permissions: &[
                "java.lang.RuntimePermission \"createClassLoader\"",
                "java.lang.RuntimePermission \"getClassLoader\"",
            ],
        },
    ],
};

const PAINLESS: &[&str] = &[
    "org.opensearch.plugin:lang-painless",
    "org.opensearch.plugin:opensearch-scripting-painless-spi",
    "org.antlr:antlr4-runtime:4.13.1",
    "org.ow2.asm:asm:9.7",
    "org.ow2.asm:asm-analysis:9.7",
    "org.ow2.asm:asm-commons:9.7",
    "org.ow2.asm:asm-tree:9.7",
    "org.ow2.asm:asm-util:9.7",
];

impl Recipe for OpenSearch {
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
        jdk::find(self.java.clone(), place)?;
        let distribution = Distribution {
            folder: format!("opensearch-{}", self.version),
            archive: format!(
                "org.opensearch.distribution.integ-test-zip:opensearch:{}:zip",
                self.version
            ),
            megabytes: self.megabytes,
            additions: self
                .modules
                .iter()
                .flat_map(|module| module.items(self.version))
                .collect(),
        };
        install(&distribution, place, |fetched| {
            self.put_modules_in(fetched)
                .map_err(|e| format!("could not put the modules in: {e}"))
        })
    }

    fn launch(&self, program: &Path, folder: &Path, place: &Place) -> Result<Launch> {
        search_engine::make_folders(program, folder)?;
        let mut command = Command::new(program.join("bin/opensearch"));
        command
            .env("OPENSEARCH_JAVA_HOME", jdk::find(self.java.clone(), place)?)
            .env("OPENSEARCH_JAVA_OPTS", search_engine::JVM_OPTIONS)
            .env("OPENSEARCH_PATH_CONF", folder.join("config"))
            .env("OPENSEARCH_TMPDIR", folder.join("tmp"))
            .args(search_engine::settings(folder));
        Ok(command.into())
    }

    fn url(&self, folder: &Path) -> Option<String> {
        search_engine::url(folder)
    }

    fn is_ready(&self, url: &str) -> bool {
        search_engine::is_ready(url)
    }
}

impl OpenSearch {
    fn put_modules_in(&self, fetched: &Fetched) -> std::io::Result<PathBuf> {
        let program = fetched.archive.join(format!("opensearch-{}", self.version));
        for module in self.modules {
            let folder = program.join("modules").join(module.name);
            fs::rename(fetched.additions.join(module.folder()), &folder)?;
            let descriptor = module.descriptor(self.version, *self.java.start());
            fs::write(folder.join("plugin-descriptor.properties"), descriptor)?;
            if !module.permissions.is_empty() {
                fs::write(folder.join("plugin-security.policy"), module.policy())?;
            }
        }
        Ok(program)
    }
}

impl Module {
    /// The folder that the jars are fetched to.
    fn folder(&self) -> String {
        format!("modules/{}", self.name)
    }

    fn items(&self, server: &str) -> impl Iterator<Item = Item> {
        self.jars.iter().map(move |jar| Item {
            coordinates: if jar.matches(':').count() == 1 {
                format!("{jar}:{server}")
            } else {
                (*jar).to_owned()
            },
            folder: self.folder(),
            name: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_without_a_version_have_the_servers() {
        let coordinates = |server: &OpenSearch| -> Vec<String> {
            let modules = server.modules.iter();
            modules
                .flat_map(|module| module.items(server.version))
                .map(|item| item.coordinates)
                .collect()
        };
        let three = coordinates(&OPENSEARCH);
        assert!(three.contains(&"org.opensearch.plugin:reindex-client:3.4.0".to_owned()));
        assert!(three.contains(&"commons-logging:commons-logging:1.3.5".to_owned()));
        for coordinates in three.iter().chain(&coordinates(&OPENSEARCH_2)) {
            assert_eq!(coordinates.matches(':').count(), 2, "{coordinates}");
        }
    }
}
