//! The home on AWS without AWS: an emulator on loopback, the real template deployed to it, the real functions running on
//! it, and in between a meter that counts their calls and can spoil them.

pub mod cost;
pub mod emulator;
pub mod meter;
pub mod slack;
pub mod stack;
pub mod units;

use std::{env, path::PathBuf};

/// Something that `cargo xtask aws-test` and `cargo xtask test` install or build, and name in the environment.
///
/// # Panics
/// When it is not named: these tests need more than cargo brings.
#[track_caller]
pub fn installed(name: &str) -> PathBuf {
    let named = env::var_os(name).map(PathBuf::from);
    named.unwrap_or_else(|| {
        panic!("{name} is not set: run `cargo xtask aws-test`, which installs the emulator and builds the functions")
    })
}
