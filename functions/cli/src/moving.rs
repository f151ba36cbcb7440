//! `towpath move`: pipelines of CodePipeline, moved to a Towpath while both are there.
//!
//! On both sides the same pipeline gets the same pushes. Which side runs it is a matter of one transition on each: that
//! into the second stage. On the side that does not run it the transition is closed, so that its executions fetch their
//! sources and wait there, the newest of them only. Whoever is switched to gets its transition opened after the other's
//! is closed and nothing moves behind it any more: at no time do both deploy. All of it is calls of the public API, and
//! all of it can be taken back.

mod create;
mod hand_over;
mod side;

use crate::client::endpoint::Reach;
use clap::{Args as ClapArgs, Parser, Subcommand};
use side::Side;
use std::path::PathBuf;

/// How the reason of a transition begins that was closed here.
pub const HELD: &str = "towpath move - ";
/// Where the options of the other side stand in a command's help.
const HEADING: &str = "Which CodePipeline";

/// Move pipelines from CodePipeline to a Towpath, side by side and step by step.
///
/// `create` makes them in Towpath and holds them there; `switch` has Towpath run them, and holds them in CodePipeline;
/// `back` takes that back. docs/moving-in.md has the whole way.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Make pipelines in Towpath out of files of `towpath import --all`, and hold them in front of their second stage.
    Create(CreateArgs),
    /// Say for each pipeline which side runs it.
    Status(StatusArgs),
    /// Have Towpath run pipelines, and hold them in CodePipeline.
    Switch(SwitchArgs),
    /// Have CodePipeline run pipelines again, and hold them in Towpath.
    Back(SwitchArgs),
}

#[derive(ClapArgs)]
struct CreateArgs {
    /// Files, or folders of them.
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(ClapArgs)]
struct StatusArgs {
    /// Pipelines; without them, all that either side has.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    sides: Sides,
}

#[derive(ClapArgs)]
struct SwitchArgs {
    /// Pipelines.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// How long to wait for what is still going on on the side that ran it, minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    wait: u32,
    #[command(flatten)]
    sides: Sides,
}

/// Both sides. That of CodePipeline has the keys and the Region of Towpath's, unless told otherwise.
#[derive(ClapArgs)]
struct Sides {
    #[command(flatten)]
    reach: Reach,
    /// Where CodePipeline answers. Without it: the address that AWS has for the Region.
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    from_url: Option<String>,
    /// The profile for CodePipeline.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    from_profile: Option<String>,
    /// The Region of CodePipeline.
    #[arg(long, value_name = "REGION", help_heading = HEADING)]
    from_region: Option<String>,
}

impl Sides {
    /// CodePipeline and Towpath.
    fn both(self, outer: Reach) -> anyhow::Result<(Side, Side)> {
        let reach = self.reach.or(outer);
        anyhow::ensure!(!reach.codepipeline, "`--codepipeline` is the other side: `--url` names a Towpath");
        let towpath = Side::new("Towpath", &reach)?;
        let from = Reach {
            codepipeline: self.from_url.is_none(),
            url: self.from_url,
            profile: self.from_profile.or(reach.profile),
            region: Some(self.from_region.unwrap_or_else(|| towpath.client.region().to_owned())),
            sign_for: None,
        };
        let codepipeline = Side::new("CodePipeline", &from)?;
        anyhow::ensure!(
            codepipeline.client.shown() != towpath.client.shown(),
            "both sides are {}: `--url` names the Towpath, `--from-url` CodePipeline",
            towpath.client.shown()
        );
        Ok((codepipeline, towpath))
    }
}

/// Carries a step out. `outer` stood before it on the command line.
pub async fn run(args: Args, outer: Reach) -> anyhow::Result<u8> {
    match args.step {
        Step::Create(args) => {
            create::create(&Side::new("Towpath", &args.reach.or(outer))?, &args.paths).await
        }
        Step::Status(args) => {
            let (codepipeline, towpath) = args.sides.both(outer)?;
            hand_over::status(&codepipeline, &towpath, args.names).await
        }
        Step::Switch(args) => {
            let (codepipeline, towpath) = args.sides.both(outer)?;
            hand_over::all(&codepipeline, &towpath, &args.names, args.wait).await
        }
        Step::Back(args) => {
            let (codepipeline, towpath) = args.sides.both(outer)?;
            hand_over::all(&towpath, &codepipeline, &args.names, args.wait).await
        }
    }
}
