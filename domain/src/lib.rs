//! The rules. No async, clock, randomness, environment or IO: values in, values out.
//!
//! [`decide()`] turns a command into events, `evolve` writes events down in states, [`react`] says what the world
//! must do because of them, and what is still owed to a state that was left alone.

/// True while a test lives with a defect of `testing::faults`. In a program that people use it is `false`, and costs
/// nothing.
#[cfg(feature = "testing")]
#[doc(hidden)]
#[macro_export]
macro_rules! fault {
    ($name:ident) => {
        $crate::testing::faults::is($crate::testing::faults::Fault::$name)
    };
}
/// Without tests there are no defects to live with.
#[cfg(not(feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! fault {
    ($name:ident) => {
        false
    };
}

pub mod catalogue;
pub mod command;
mod decide;
mod draft;
mod effect;
pub mod execution;
pub mod lane;
pub mod limits;
pub mod notice;
pub mod pipeline;
pub mod policy;
pub mod react;
mod rejection;
pub mod state_change;
pub mod story;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trigger;
pub mod views;
pub mod webhook;

pub use decide::decide;
pub use draft::{Decision, Scope, uuid_of};
pub use effect::Effect;
pub use rejection::Rejection;
