//! Ports, and the loop that drives the pure core over them. No vendor SDK, no adapter.

pub mod action;
pub mod judge;
pub mod log;
pub mod memory;
pub mod views;
