//! Telling the world of what happened: the bus, topics, and people.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod home;
mod notices;
mod publishing;
mod slack;
