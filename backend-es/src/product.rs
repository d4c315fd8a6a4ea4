//! Which product answers.

use strongroom_core::store::{Capabilities, ServerInfo};
use strongroom_core::{Error, ErrorKind, Result};

/// A search engine that this adapter speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

impl Product {
    /// The product that a server says it is.
    ///
    /// # Errors
    ///
    /// `Config` if it is another one, or a version that lacks what is needed.
    pub(crate) fn of(info: &ServerInfo) -> Result<Self> {
        let (product, least) = match info.product.as_str() {
            "elasticsearch" => (Self::Elasticsearch, 8),
            "opensearch" => (Self::OpenSearch, 2),
            other => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("what answers is {other}, neither elasticsearch nor opensearch"),
                ));
            }
        };
        let major = info.version.split('.').next();
        match major.and_then(|major| major.parse::<u32>().ok()) {
            Some(major) if major >= least => Ok(product),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "what answers is {} {}, needed is {least} or later",
                    info.product, info.version
                ),
            )),
        }
    }

    /// The name that native conditions are tagged with.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::OpenSearch => "opensearch",
        }
    }

    /// What a store on it can do.
    pub(crate) fn capabilities(self) -> Capabilities {
        let mut can = Capabilities::new(self.name());
        can.search_lags = true;
        can.gains_by_coalescing = true;
        can.backward_pages = true;
        can.text_search = true;
        can.score = true;
        can.nested_filters = true;
        can.native_filters = true;
        can.aggregations = true;
        can.groups = true;
        can.scans = true;
        can.matching_writes = true;
        can.durable = true;
        can.max_bulk_items = 1_000;
        can.max_load_keys = 1_000;
        can
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers() {
        let kind = |product: &str, version: &str| {
            let info = ServerInfo::new(product, version);
            Product::of(&info).map_err(|e| e.kind())
        };
        assert_eq!(kind("elasticsearch", "9.2.0"), Ok(Product::Elasticsearch));
        assert_eq!(kind("opensearch", "2.19.4"), Ok(Product::OpenSearch));
        for (product, version) in [
            ("elasticsearch", "7.17.28"),
            ("opensearch", "1.3.0"),
            ("opensearch", "x"),
            ("nginx", "9.0.0"),
        ] {
            assert_eq!(kind(product, version), Err(ErrorKind::Config), "{product}");
        }
    }
}
