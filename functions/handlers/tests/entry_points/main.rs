//! The entry points of a home where processes come and go: several engines over one log, each with warm states of its
//! own, none of which knows what the others do.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod change_stream;
mod home;
mod made_anew;
mod outside;
mod time;
