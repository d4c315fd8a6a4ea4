//! OpenSearch: the server as its own integration tests run it, one node, with the usual modules.

use super::module::Module;
use super::search_engine::{Product, SearchEngine};

const PRODUCT: Product = Product {
    program: "opensearch",
    group: "org.opensearch.distribution.integ-test-zip",
    variables: "OPENSEARCH",
    settings: &[],
};

/// OpenSearch 3.
pub(super) static OPENSEARCH: SearchEngine = SearchEngine {
    product: &PRODUCT,
    name: "opensearch",
    variable: "STRONGROOM_TEST_OPENSEARCH_URL",
    version: "3.4.0",
    sha256: "6540e95fe8bfaedc3eb1c58e829912ea2203af2ac1f88f76411c20a2fc5254a6",
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
pub(super) static OPENSEARCH_2: SearchEngine = SearchEngine {
    product: &PRODUCT,
    name: "opensearch-2",
    variable: "STRONGROOM_TEST_OPENSEARCH_2_URL",
    version: "2.19.4",
    sha256: "3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_without_a_version_have_the_servers() {
        let coordinates = |server: &SearchEngine| -> Vec<String> {
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
