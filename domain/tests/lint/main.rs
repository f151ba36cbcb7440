//! Hints about valid definitions: each rule with a definition that has its problem and one that has it not; real
//! definitions; and what holds for any definition.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod corpus;
