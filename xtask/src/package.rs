//! `cargo xtask package`: the functions as ZIPs for AWS, small and quick to start, with the template that deploys them.

use crate::{functions, tools, venv};
use anyhow::{bail, ensure};
use std::{env, fs, process::Command};

/// What builds them, with every version pinned.
const REQUIREMENTS: &str = include_str!("../requirements-package.txt");
/// Largest ZIP, in bytes: what starts in 8 ms.
const ZIP_BYTES_MAX: u64 = 6_000_000;

/// What to build for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Processor of the functions; the template's parameter `Architecture` must be the same
    #[arg(long, value_enum, default_value_t = Architecture::Arm64)]
    architecture: Architecture,
    /// Only these functions
    #[arg(long = "function", value_name = "NAME")]
    functions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Architecture {
    #[value(name = "arm64")]
    Arm64,
    #[value(name = "x86_64")]
    X86,
}

impl Architecture {
    fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }
}

/// Builds, packs, and says how large each came out.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    tools::need_python()?;
    let known = functions::names()?;
    for name in &options.functions {
        ensure!(known.contains(name), "no function is called `{name}`: {}", known.join(", "));
    }
    let target = options.architecture.target();
    need_target(target)?;
    let programs =
        venv::make(&tools::cache()?.join("packaging"), REQUIREMENTS, ("cargo-lambda", "lambda --version"))?;

    tools::step(&format!("Building the functions for {target}"));
    let folder = tools::root().join("target/lambda");
    let mut build = Command::new(programs.join("cargo-lambda"));
    build.current_dir(tools::root()).env("CARGO_TARGET_DIR", tools::target()?).env("PATH", path(&programs)?);
    build.args(["lambda", "build", "--locked", "--package", "lambda", "--profile", "lambda"]);
    build.args(["--target", target, "--output-format", "zip", "--lambda-dir"]).arg(&folder);
    if options.functions.is_empty() {
        build.arg("--bins");
    }
    for name in &options.functions {
        build.args(["--bin", name]);
    }
    if !tools::shown(&mut build)? {
        bail!("the functions could not be built");
    }
    functions::template(&folder)?;

    let mut too_large = Vec::new();
    for name in if options.functions.is_empty() { &known } else { &options.functions } {
        let bytes = fs::metadata(folder.join(name).join("bootstrap.zip"))?.len();
        println!("{name:>10}  {:.2} MB", bytes as f64 / 1e6);
        if bytes > ZIP_BYTES_MAX {
            too_large.push(name.as_str());
        }
    }
    ensure!(too_large.is_empty(), "larger than 6 MB: {}", too_large.join(", "));
    println!(
        "\ndeploy them: sam deploy --guided --template-file target/lambda/template.yaml \
         --parameter-overrides Architecture={}",
        options.architecture.name()
    );
    Ok(())
}

/// The standard library of the target must be there: zig brings the C library only.
fn need_target(target: &str) -> anyhow::Result<()> {
    let library = tools::quiet(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    ensure!(
        fs::exists(&library)?,
        "Rust's standard library for `{target}` is not installed: `rustup target add {target}`, or build for another \
         processor (`--architecture x86_64`)"
    );
    Ok(())
}

/// cargo-lambda looks for zig, by its Python name too, beside itself.
fn path(programs: &std::path::Path) -> anyhow::Result<std::ffi::OsString> {
    let known = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(std::iter::once(programs.to_owned()).chain(env::split_paths(&known)))?)
}
