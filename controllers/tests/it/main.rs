//! The controllers against a real API server in this process, with an agent that only pretends.

mod agent;
mod cluster;
mod crash;
mod jobs;
mod services;
