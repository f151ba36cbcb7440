//! What the tests across crates share: the real binary, small repositories with pipelines, a running server, and a
//! client that signs its requests and checks every answer against the service model.

#![allow(clippy::unwrap_used, reason = "a test may panic, and nothing but tests uses this crate")]

pub mod client;
pub mod conforming;
pub mod deliveries;
pub mod emulated;
pub mod emulator;
pub mod events;
pub mod faulty;
pub mod folder;
pub mod function_url;
pub mod fuzz;
pub mod pipelines;
pub mod processes;
pub mod proxy;
pub mod random;
pub mod scenario;
pub mod server;
pub mod towpath;
