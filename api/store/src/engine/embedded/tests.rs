//! What only a durable engine can do wrong.
