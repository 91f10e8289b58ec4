//! What somebody may do: role-based rules, escalation checks, node rules, default roles.
