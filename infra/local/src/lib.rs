//! The home on one machine: the engine's ports over one SQLite file, folders and processes.

pub mod actions;
pub mod archive;
pub mod artifact_access;
pub mod artifacts;
pub mod git_host;
pub mod lock;
pub mod log;
pub mod marks;
pub mod output;
pub mod patterns;
pub mod process;
pub mod runners;
pub mod schedule;
pub mod settings;
pub mod settled_views;
pub mod views;
pub mod watch;
pub mod world;
pub mod yaml;
