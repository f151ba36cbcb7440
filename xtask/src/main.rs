//! `cargo xtask <task>`: what people and CI run on this repository. Nothing here is part of the product.
//!
//! It is the first thing built in a fresh clone, so it stays light: no async runtime, none of our own crates.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tasks report to a terminal")]

mod aws;
mod bench;
mod check;
mod clients;
mod codegen;
mod demo;
mod functions;
mod fuzz;
mod package;
mod sim;
mod test;
mod tools;
mod venv;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks on this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build Towpath and let it bring an example to production: the first thing to try
    Demo(demo::Options),
    /// Install what the tests need, then check and test everything
    Test(test::Options),
    /// Formatting, lints, generated code and house rules
    Check,
    /// Measure speed, memory and size, and print a table
    Bench(bench::Options),
    /// Send a million mangled requests, and look for what must not be
    Fuzz(fuzz::Options),
    /// Live through simulated worlds by the thousand, and hold every step against the laws
    Sim(sim::Options),
    /// Generate the API's shapes from the vendored service model
    Codegen(codegen::Options),
    /// Build the Lambda functions for AWS, as ZIPs with a template that deploys them
    Package(package::Options),
    /// Deploy the template to an emulator of AWS on this machine, and leave it running
    AwsUp(aws::UpOptions),
    /// Test the home on AWS, end to end, on an emulator
    AwsTest(aws::TestOptions),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Check => check::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Sim(options) => sim::run(&options),
        Task::Codegen(options) => codegen::run(&options),
        Task::Package(options) => package::run(&options),
        Task::AwsUp(options) => aws::up(&options),
        Task::AwsTest(options) => aws::test(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
