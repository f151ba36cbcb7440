//! `towpath credentials`: the keys of a profile, for programs.

use crate::client::{endpoint::Reach, keys::Provider, process};
use clap::Parser;

/// Print the keys of a profile, as `credential_process` of another profile wants them.
///
/// So a profile that leads to a Towpath has the keys of one that is there already, whatever way that one gets them.
#[derive(Parser)]
pub struct Args {
    /// The profile. Without it: the keys of the environment, AWS_PROFILE, `default`.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The Region whose STS is asked for a role.
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    region: String,
}

/// Prints them.
pub async fn credentials(args: Args, outer: Reach) -> anyhow::Result<u8> {
    let profile = args.profile.or(outer.profile);
    let keys = Provider::new(profile.as_deref(), &args.region).keys().await?;
    // To programs as it is, not through what takes colours out.
    println!("{}", process::printed(&keys)?);
    Ok(0)
}
