//! Golden bytes, and bytes that are none.
