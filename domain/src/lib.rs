//! The rules. No async, clock, randomness, environment or IO: values in, values out.

pub mod catalogue;
pub mod limits;
pub mod pipeline;
