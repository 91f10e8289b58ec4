#![recursion_limit = "256"]
//! The API server from the outside: in process over a store in memory, and over TLS.

mod crud;
mod support;
