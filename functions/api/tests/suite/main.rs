//! The API crate from outside, one module per gate a request passes.
#![allow(clippy::unwrap_used, reason = "helpers of tests; the lint exempts only the tests themselves")]

mod codec;
mod constraints;
mod properties;
mod s3;
mod samples;
mod sigv4;
