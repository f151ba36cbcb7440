//! The providers of the home on AWS against a stand-in for AWS that answers as the API's documentation says, and worse:
//! late, wrongly, not at all. What an emulator knows is in `moto.rs`.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod builds;
mod claims;
mod deployments;
mod functions;
mod moto;
mod objects;
mod rules;
mod service;
mod services;
mod sources;
mod stacks;
mod stage;
