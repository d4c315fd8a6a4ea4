//! backend-sqlite
