//! `towpath aws-setup`: a profile by which the `aws` command and boto3 reach a Towpath behind a function URL.
//!
//! Both take the service model from files and let further files change it. One line in such a file makes them sign for
//! `lambda`; it lies in a folder of its own, which only this profile names, so that CodePipeline itself stays reachable.

pub mod credentials;
mod edit;

use crate::client::{
    config::{self, Files},
    endpoint::{Endpoint, LAMBDA, Reach, SignFor},
    keys::variable,
};
use anyhow::{Context, ensure};
use clap::Parser;
use edit::Wanted;
use std::{
    fs,
    io::{BufRead, ErrorKind, IsTerminal, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What changes the service model.
const PATCH: &str =
    "{\n  \"version\": 1.0,\n  \"merge\": { \"metadata\": { \"signingName\": \"lambda\" } }\n}\n";
/// Its place in a folder of models.
const PATCH_FILE: &str = "codepipeline/2015-07-09/service-2.sdk-extras.json";
/// The mode of a file that may hold secrets.
const PRIVATE: u32 = 0o600;

/// Teach `aws` and boto3 to reach a Towpath behind a function URL, by a profile.
///
/// It writes a profile into ~/.aws/config and one file that makes them sign for `lambda`, after it has shown what it
/// would change. Other profiles stay as they are, and CodePipeline stays reachable through them. `--undo` takes
/// everything out again.
#[derive(Parser)]
pub struct Args {
    /// The address of the Towpath. Without it: TOWPATH_URL.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The profile to write. One that is there gets further lines; a new one gets the keys of `--from`.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The profile whose keys a new one uses. Without it: AWS_PROFILE or `default`; without those, the environment's keys.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// The Region, where the address does not tell.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The service that requests are signed for, where the address does not tell.
    #[arg(long, value_name = "SERVICE")]
    sign_for: Option<SignFor>,
    /// The folder for what changes the service model. Without it: towpath/aws-models in ~/.config.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Take out what was written for the profile.
    #[arg(long, conflicts_with_all = ["url", "from", "region", "sign_for"])]
    undo: bool,
}

/// The name of the profile unless another is given.
const PROFILE_DEFAULT: &str = "towpath";

/// Sets it up. `outer` stood before it on the command line.
pub fn setup(args: Args, outer: Reach) -> anyhow::Result<u8> {
    let args = Args {
        url: args.url.or(outer.url),
        profile: args.profile.or(outer.profile),
        region: args.region.or(outer.region),
        sign_for: args.sign_for.or(outer.sign_for),
        ..args
    };
    let profile = args.profile.clone().unwrap_or_else(|| PROFILE_DEFAULT.to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ensure!(
        !profile.is_empty() && profile.chars().all(plain),
        "`{profile}` must consist of letters, digits, `-`, `_` and `.` to be a profile's name"
    );
    let models = match &args.models {
        Some(folder) => std::path::absolute(folder)?,
        None => models_default()?,
    };
    let config = Config::read()?;
    if args.undo { undo(&args, &profile, &models, &config) } else { write(&args, &profile, &models, &config) }
}

fn write(args: &Args, profile: &str, models: &Path, config: &Config) -> anyhow::Result<u8> {
    let reach = Reach {
        url: args.url.clone(),
        region: args.region.clone(),
        sign_for: args.sign_for,
        ..Reach::default()
    };
    ensure!(
        reach.url.is_some() || variable("TOWPATH_URL").is_some(),
        "give the address of the Towpath with `--url`, or in TOWPATH_URL"
    );
    let endpoint = reach.endpoint()?;
    let is_lambda = endpoint.service == LAMBDA;
    let others = config.others(profile)?;
    let settings = settings(args, profile, models, &endpoint, &others)?;
    let url = endpoint.url.as_str().trim_end_matches('/');
    let services = services_of(profile);
    let section = config::section_of(profile);
    let wanted = Wanted {
        profile,
        section: &section,
        settings: &settings,
        beside: &format!("[services {services}]\ncodepipeline =\n  endpoint_url = {url}\n"),
    };
    let text = edit::with(&config.text, &wanted).with_context(|| format!("`{}`", config.path.display()))?;
    let patch = models.join(PATCH_FILE);
    let has_patch = !is_lambda || fs::read_to_string(&patch).is_ok_and(|text| text == PATCH);
    if text == config.text && has_patch {
        anstream::println!("nothing to change: the profile `{profile}` leads to {url} already");
        tell(profile, models, is_lambda);
        return Ok(0);
    }
    anstream::println!("`{}` gets:", config.path.display());
    changes(&config.text, &text);
    if !has_patch {
        anstream::println!("`{}` is written:\n{}", patch.display(), PATCH.trim_end());
    }
    if !agreed(args.yes)? {
        return Ok(2);
    }
    if !has_patch {
        let folder = patch.parent().context("the file lies in a folder")?;
        let cannot = || format!("`{}` cannot be written", patch.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        fs::write(&patch, PATCH).with_context(cannot)?;
    }
    config.replace(&text)?;
    tell(profile, models, is_lambda);
    Ok(0)
}

fn undo(args: &Args, profile: &str, models: &Path, config: &Config) -> anyhow::Result<u8> {
    let text =
        edit::without(&config.text, profile).with_context(|| format!("`{}`", config.path.display()))?;
    let patch = models.join(PATCH_FILE);
    // Another profile may need it still.
    let goes = patch.exists() && !text.contains(&format!("data_path = {}\n", models.display()));
    if text == config.text && !goes {
        anstream::println!(
            "nothing to change: there are no lines of `towpath aws-setup` for the profile `{profile}`"
        );
        return Ok(0);
    }
    anstream::println!("`{}` loses:", config.path.display());
    changes(&config.text, &text);
    if goes {
        anstream::println!("`{}` is removed", patch.display());
    }
    if !agreed(args.yes)? {
        return Ok(2);
    }
    if text != config.text {
        config.replace(&text)?;
    }
    if goes {
        fs::remove_file(&patch).with_context(|| format!("`{}` cannot be removed", patch.display()))?;
        // As far as nothing else lies in them.
        let mut folder = patch.parent();
        while let Some(empty) = folder.filter(|folder| folder.starts_with(models)) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
    }
    anstream::println!("the profile `{profile}` no longer leads to a Towpath");
    Ok(0)
}

fn settings(
    args: &Args,
    profile: &str,
    models: &Path,
    endpoint: &Endpoint,
    others: &Files,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut settings = Vec::new();
    match others.value(profile, "region") {
        None => settings.push(("region", endpoint.region.clone())),
        Some(region) => ensure!(
            region == endpoint.region,
            "the profile `{profile}` is for the Region {region}, the Towpath is in {}: choose another name with \
             `--profile`, and this one's keys with `--from {profile}`",
            endpoint.region
        ),
    }
    settings.push(("towpath_url", endpoint.url.as_str().trim_end_matches('/').to_owned()));
    if args.sign_for.is_some() {
        settings.push(("towpath_sign_for", endpoint.service.to_owned()));
    }
    settings.push(("services", services_of(profile)));
    if endpoint.service == LAMBDA {
        settings.push(("data_path", models.display().to_string()));
    }
    if let Some(from) = keys_from(args, profile, others)? {
        let program = std::env::current_exe().context("the path of `towpath` is unknown")?;
        settings.push(("credential_process", format!("\"{}\" credentials{from}", program.display())));
    }
    Ok(settings)
}

/// Whose keys a new profile uses: arguments of `towpath credentials`.
fn keys_from(args: &Args, profile: &str, others: &Files) -> anyhow::Result<Option<String>> {
    if let Some(from) = &args.from {
        ensure!(from != profile, "`--from {from}` is the profile itself");
        ensure!(others.knows(from), "there is no profile `{from}` in ~/.aws/credentials or ~/.aws/config");
        ensure!(
            !others.knows(profile),
            "the profile `{profile}` has keys of its own: leave `--from` away, or choose another name"
        );
        return Ok(Some(format!(" --profile {from}")));
    }
    if others.knows(profile) {
        return Ok(None);
    }
    let usual = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    match usual != profile && others.knows(&usual) {
        true => Ok(Some(format!(" --profile {usual}"))),
        // Those of the environment.
        false => Ok(Some(String::new())),
    }
}

fn services_of(profile: &str) -> String {
    format!("towpath-aws-setup-{profile}")
}

fn models_default() -> anyhow::Result<PathBuf> {
    let base = match variable("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(variable("HOME").context("HOME is not set: name a folder with `--models`")?)
            .join(".config"),
    };
    Ok(std::path::absolute(base.join("towpath/aws-models"))?)
}

fn tell(profile: &str, models: &Path, is_lambda: bool) {
    // The command sets that variable for itself before it reads a profile, so the profile's `data_path` is for boto3.
    let with = if is_lambda { format!("AWS_DATA_PATH={} ", models.display()) } else { String::new() };
    anstream::println!(
        "\nTry it:\n  {with}aws --profile {profile} codepipeline list-pipelines\n  python -c 'import boto3; \
         print(boto3.Session(profile_name=\"{profile}\").client(\"codepipeline\").list_pipelines())'\n  towpath --profile \
         {profile} pipelines"
    );
    if is_lambda {
        anstream::println!(
            "Shorter:\n  alias towpath-aws='{with}aws --profile {profile} codepipeline'\nNot for a whole shell: with \
             AWS_DATA_PATH exported, calls to CodePipeline itself would be signed for Lambda too."
        );
    }
}

/// The lines that come and go.
fn changes(old: &str, new: &str) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let end = old[same..]
        .iter()
        .rev()
        .zip(new[same..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    old[same..old.len() - end].iter().for_each(|line| anstream::println!("  \u{1b}[31m- {line}\u{1b}[0m"));
    new[same..new.len() - end].iter().for_each(|line| anstream::println!("  \u{1b}[32m+ {line}\u{1b}[0m"));
}

fn agreed(yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        anstream::eprintln!("towpath: nothing was changed: there is nobody to ask; `--yes` does it without");
        return Ok(false);
    }
    anstream::print!("Change it? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !agreed {
        anstream::println!("nothing was changed");
    }
    Ok(agreed)
}

/// `~/.aws/config`.
struct Config {
    /// Behind links: what is replaced is the file, not a link to it.
    path: PathBuf,
    text: String,
    mode: u32,
}

impl Config {
    fn read() -> anyhow::Result<Self> {
        let path = config::config_path();
        let path = fs::canonicalize(&path).unwrap_or(path);
        match fs::read_to_string(&path) {
            Ok(text) => {
                ensure!(
                    text.len() as u64 <= config::FILE_BYTES_MAX,
                    "`{}` is larger than 1 MiB",
                    path.display()
                );
                let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
                Ok(Self { path, text, mode })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { path, text: String::new(), mode: PRIVATE })
            }
            Err(error) => Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        }
    }

    /// What the files say without our lines.
    fn others(&self, profile: &str) -> anyhow::Result<Files> {
        Files::with_config(&edit::without(&self.text, profile)?)
    }

    /// Writes it anew, as a whole or not at all, and keeps what was.
    fn replace(&self, text: &str) -> anyhow::Result<()> {
        let cannot = || format!("`{}` cannot be written", self.path.display());
        let folder = self.path.parent().context("the file lies in a folder")?;
        fs::create_dir_all(folder).with_context(cannot)?;
        if !self.text.is_empty() {
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
            let kept = PathBuf::from(format!("{}.before-towpath-{now}", self.path.display()));
            self.put(&kept, &self.text).with_context(cannot)?;
            anstream::println!("what was is kept in `{}`", kept.display());
        }
        let fresh = PathBuf::from(format!("{}.towpath-{}", self.path.display(), std::process::id()));
        self.put(&fresh, text).with_context(cannot)?;
        fs::rename(&fresh, &self.path).with_context(cannot)
    }

    fn put(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(self.mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}
