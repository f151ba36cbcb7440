//! `cargo xtask <task>`: what people and CI run on this repository. Nothing here is part of the product.
#![allow(clippy::print_stdout, reason = "the tasks report to a terminal")]

mod codegen;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks on this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the API's shapes from the vendored service model
    Codegen(codegen::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Codegen(options) => codegen::run(&options),
    }
}
