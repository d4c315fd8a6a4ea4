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
    sha256: "bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b",
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
    sha256: "14833b2d86c30656901f92049f81fb5777a8e4545413c8656cd1a21b55173033",
    megabytes: 97,
    java: 17..=u32::MAX,
    modules: &[],
};
