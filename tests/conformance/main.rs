//! `towpath up` as its clients see it: the unmodified `aws` command, the SDKs of three languages, and a client on a
//! plain socket. Every answer to any of them is compared with the service model.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod aws;
mod clients;
mod conditions;
mod definitions;
mod errors;
mod fuzz;
mod git_host;
mod jobs;
mod lists;
mod lives;
mod notifications;
mod objects;
mod pushes;
mod revisions;
mod rollbacks;
mod steps;
mod tags;
mod targets;
mod transport;
mod triggers;
mod webhooks;
