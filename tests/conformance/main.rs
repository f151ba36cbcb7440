//! `towpath up` as its clients see it: the unmodified `aws` command, and a client on a plain socket that compares
//! every answer with the service model.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod aws;
mod definitions;
mod errors;
mod fuzz;
mod git_host;
mod jobs;
mod lists;
mod lives;
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
