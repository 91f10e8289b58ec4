//! The embedded engine: one directory, one redb file, for one process.
