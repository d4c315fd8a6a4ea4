//! Guides, on what no single item tells.

#[doc = include_str!("../doc/from-sqlite-to-a-cluster.md")]
pub mod from_sqlite_to_a_cluster {}

// The first definition of a link counts: here it leads to the page, in the file to the other file.
#[doc = "[operating SQL servers]: operating_sql_servers\n"]
#[doc = include_str!("../doc/which-engine.md")]
pub mod which_engine {}

#[doc = "[which engine when]: which_engine\n"]
#[doc = include_str!("../doc/operating-sql-servers.md")]
pub mod operating_sql_servers {}
