//! backend-es
