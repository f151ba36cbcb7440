//! The rules, as sentences. Every command also passes the laws in `domain::testing::laws`.

mod action_types;
mod actions;
mod approvals;
mod conditions;
mod deletion;
mod deliveries;
mod extended;
mod gates;
mod jobs;
mod lanes;
mod laws;
mod modes;
mod overrides;
mod results;
mod retry;
mod retry_automatic;
mod rollback;
mod rollback_automatic;
mod stages;
mod stale;
mod starting;
mod stopping;
mod tags;
mod transitions;
mod webhooks;
mod why;
