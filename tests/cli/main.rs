//! `towpath run` and its neighbours as a person calls them: the real binary, real repositories, in temporary
//! folders without a terminal.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod approvals;
mod bad_input;
mod conditions;
mod forms;
mod history;
mod import;
mod interruption;
mod lint;
mod runs;
mod state_folder;
