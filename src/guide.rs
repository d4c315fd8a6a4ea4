//! Guides, on what no single item tells.

#[doc = include_str!("../doc/from-sqlite-to-a-cluster.md")]
pub mod from_sqlite_to_a_cluster {}
