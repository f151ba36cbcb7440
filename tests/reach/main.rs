//! Reaching a Towpath behind a function URL: our own commands, the signing proxy, the `aws` command and the SDKs. A
//! stand-in for the function URL wants the signatures that AWS would want; behind it answers a real `towpath up`.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod commands;
mod keys;
mod moving;
mod proxy;
mod running;
mod setup;
