//! Guides, on what no single item tells.

#[doc = include_str!("../doc/from-sqlite-to-a-cluster.md")]
pub mod from_sqlite_to_a_cluster {}

#[doc = include_str!("../doc/which-engine.md")]
pub mod which_engine {}
