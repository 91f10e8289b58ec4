//! Fair queueing of requests: flow schemas, priority levels, shuffle sharding.
