//! Elasticsearch: the server as its own integration tests run it, one node.
//!
//! It has the modules for transport and security only: no scripts, no reindexing.

use super::search_engine::{Product, SearchEngine};

const PRODUCT: Product = Product {
    program: "elasticsearch",
    group: "org.elasticsearch.distribution.integ-test-zip",
    variables: "ES",
    settings: &["xpack.security.enabled=false"],
};

/// Elasticsearch 9.
pub(super) static ELASTICSEARCH: SearchEngine = SearchEngine {
    product: &PRODUCT,
    name: "elasticsearch",
    variable: "STRONGROOM_TEST_ELASTICSEARCH_URL",
    version: "9.2.0",
    megabytes: 99,
    java: 21..=u32::MAX,
    modules: &[],
};

/// Elasticsearch 8.
pub(super) static ELASTICSEARCH_8: SearchEngine = SearchEngine {
    product: &PRODUCT,
    name: "elasticsearch-8",
    variable: "STRONGROOM_TEST_ELASTICSEARCH_8_URL",
    version: "8.19.0",
    megabytes: 97,
    java: 17..=u32::MAX,
    modules: &[],
};
