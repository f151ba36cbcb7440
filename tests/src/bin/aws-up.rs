//! Deploys Towpath to an emulator and leaves it running: `cargo xtask aws-up`.
#![allow(clippy::print_stdout, reason = "tells its user where everything is")]

use std::{env, fs};
use tests::emulated::{
    emulator::{Emulator, REGION, mark},
    stack::{NAME, Stack},
};

fn main() {
    let port = env::args().nth(1).map_or(4570, |port| port.parse().expect("a port"));
    let folder = env::temp_dir().join(format!("towpath-aws-{port}"));
    assert!(tests::processes::with(&mark(&folder)).is_empty(), "it is up already: {}", folder.display());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for its state");
    let emulator = Emulator::direct(&folder, port);
    let stack = Stack::deploy(&emulator);
    for (name, value) in &stack.outputs {
        println!("{name:>22}  {value}");
    }
    println!("{:>22}  {}", "log", emulator.log().display());
    println!("\n# for `aws` and every SDK:");
    println!("export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={REGION}", emulator.url());
    println!("export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test");
    println!("# Towpath's API, stack `{NAME}`:");
    println!("export TOWPATH_URL={}{}", emulator.url(), stack.url_path("ApiUrl"));
    println!("# to end it:");
    println!("kill {}", emulator.leave());
}
