//! Bodies that are never held whole.
