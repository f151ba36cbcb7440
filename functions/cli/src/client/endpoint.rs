//! Where the API is, and what a request to it is signed for: flags, environment, profile.

use super::{
    config::Files,
    keys::{profile_of, variable},
};
use anyhow::Context;
use api::sigv4;
use clap::{Args, ValueEnum};
use reqwest::Url;

/// The service that Lambda's function URLs want signatures for.
pub const LAMBDA: &str = "lambda";
/// Where the options of this file stand in a command's help.
const HEADING: &str = "Which Towpath";
/// What a function URL's host ends with, after its Region.
const FUNCTION_URL: &str = ".on.aws";
/// What the path of a function URL holds where one server stands for all of them: an emulator, `cargo lambda watch`.
const FUNCTION_PATH: &str = "/lambda-url/";

/// How a command that speaks to a Towpath elsewhere is told which one.
#[derive(Args, Clone, Debug, Default)]
pub struct Reach {
    /// The address of a Towpath: a function URL, or that of `towpath up` or `towpath proxy`. Without it: TOWPATH_URL,
    /// AWS_ENDPOINT_URL_CODEPIPELINE, or `towpath_url` of the profile.
    #[arg(long, visible_alias = "endpoint-url", value_name = "URL", help_heading = HEADING)]
    pub url: Option<String>,
    /// AWS CodePipeline itself.
    #[arg(long, conflicts_with = "url", help_heading = HEADING)]
    pub codepipeline: bool,
    /// The profile in ~/.aws whose keys are signed with. Without it: those of the environment, AWS_PROFILE, `default`.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub profile: Option<String>,
    /// The Region. Without it: that of the address, AWS_REGION, AWS_DEFAULT_REGION, or that of the profile.
    #[arg(long, value_name = "REGION", help_heading = HEADING)]
    pub region: Option<String>,
    /// The service that requests are signed for, where the address does not tell: a function URL behind a name of your
    /// own.
    #[arg(long, value_name = "SERVICE", help_heading = HEADING)]
    pub sign_for: Option<SignFor>,
}

/// A service that requests are signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignFor {
    /// A function URL.
    Lambda,
    /// Everything else.
    Codepipeline,
}

impl SignFor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lambda => LAMBDA,
            Self::Codepipeline => sigv4::SERVICE,
        }
    }
}

impl Reach {
    /// These options, and where one is missing that of `outer`, which stood before the command.
    pub fn or(self, outer: Self) -> Self {
        let is_placed = self.url.is_some() || self.codepipeline;
        Self {
            url: if is_placed { self.url } else { outer.url },
            codepipeline: if is_placed { self.codepipeline } else { outer.codepipeline },
            profile: self.profile.or(outer.profile),
            region: self.region.or(outer.region),
            sign_for: self.sign_for.or(outer.sign_for),
        }
    }

    /// Whether anything was given.
    pub fn is_empty(&self) -> bool {
        let Self { url, codepipeline, profile, region, sign_for } = self;
        url.is_none() && !codepipeline && profile.is_none() && region.is_none() && sign_for.is_none()
    }

    /// The address that is meant, as environment and files stand now.
    pub fn endpoint(&self) -> anyhow::Result<Endpoint> {
        self.resolved(&variable, &Files::read()?)
    }

    fn resolved(&self, env: &dyn Fn(&str) -> Option<String>, files: &Files) -> anyhow::Result<Endpoint> {
        let profile = profile_of(self.profile.as_deref(), env);
        let sign_for = match self.sign_for {
            Some(given) => Some(given),
            None => match env("TOWPATH_SIGN_FOR").or_else(|| files.value(&profile, "towpath_sign_for")) {
                None => None,
                Some(text) => Some(SignFor::from_str(&text, true).map_err(|_| {
                    anyhow::anyhow!("TOWPATH_SIGN_FOR must be `lambda` or `codepipeline`: `{text}`")
                })?),
            },
        };
        let region = Regions { given: self.region.as_deref(), env, files, profile: &profile };
        if self.codepipeline {
            return Endpoint::of_codepipeline(&region.known()?);
        }
        let (name, url) = self.place(env, files, &profile).context(
            "no Towpath is named: give its address with `--url`, in TOWPATH_URL, or as `towpath_url` of a profile in \
             ~/.aws/config (`towpath aws-setup` writes it); `--codepipeline` means AWS CodePipeline itself",
        )?;
        let url = checked(name, &url)?;
        let told = told_by_host(url.host_str().unwrap_or_default());
        let (host_service, host_region) =
            told.map_or((None, None), |(service, region)| (Some(service), Some(region)));
        if let (Some(given), Some(of_host)) = (&self.region, &host_region) {
            anyhow::ensure!(given == of_host, "`--region {given}` is not the Region of {url}: {of_host}");
        }
        let region = match host_region {
            Some(region) => region,
            None => region.known()?,
        };
        let path_service = url.path().contains(FUNCTION_PATH).then_some(LAMBDA);
        let service = sign_for.map(SignFor::as_str).or(host_service).or(path_service);
        let service = service.unwrap_or(sigv4::SERVICE);
        Ok(Endpoint { url, service, region })
    }

    /// The address, and what named it.
    fn place(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        files: &Files,
        profile: &str,
    ) -> Option<(&'static str, String)> {
        let of_profile = || {
            let own = files.value(profile, "towpath_url").map(|url| ("towpath_url", url));
            own.or_else(|| files.codepipeline_endpoint(profile).map(|url| ("endpoint_url", url)))
        };
        let named = |name: &'static str| env(name).map(|url| (name, url));
        let given = self.url.clone().map(|url| ("--url", url));
        // A profile that was asked for wins over the environment, as its keys do.
        given
            .or_else(|| self.profile.as_ref().and_then(|_| of_profile()))
            .or_else(|| named("TOWPATH_URL"))
            .or_else(|| named("AWS_ENDPOINT_URL_CODEPIPELINE"))
            .or_else(of_profile)
    }
}

/// The places that may name a Region.
pub struct Regions<'a> {
    given: Option<&'a str>,
    env: &'a dyn Fn(&str) -> Option<String>,
    files: &'a Files,
    profile: &'a str,
}

impl<'a> Regions<'a> {
    fn known(&self) -> anyhow::Result<String> {
        let region = self
            .given
            .map(str::to_owned)
            .or_else(|| (self.env)("AWS_REGION"))
            .or_else(|| (self.env)("AWS_DEFAULT_REGION"))
            .or_else(|| self.files.value(self.profile, "region"))
            .context("no Region is known: give `--region`, or set AWS_REGION")?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        anyhow::ensure!(
            !region.is_empty() && region.chars().all(plain),
            "`{region}` is not the name of a Region, such as `eu-west-1`"
        );
        Ok(region)
    }
}

/// An address of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub url: Url,
    /// The service that its requests are signed for.
    pub service: &'static str,
    /// The Region that they are signed for.
    pub region: String,
}

impl Endpoint {
    /// CodePipeline of a Region.
    pub fn of_codepipeline(region: &str) -> anyhow::Result<Self> {
        let url = format!("https://codepipeline.{region}.{}/", suffix(region));
        Ok(Self { url: checked("--region", &url)?, service: sigv4::SERVICE, region: region.to_owned() })
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        is_loopback(self.url.host_str().unwrap_or_default())
    }
}

/// What a host's name says of service and Region.
fn told_by_host(host: &str) -> Option<(&'static str, String)> {
    let region_of = |host: &str| Some(host.split_once(".lambda-url.")?.1.to_owned());
    if let Some(region) = host.strip_suffix(FUNCTION_URL).and_then(region_of) {
        return Some((LAMBDA, region));
    }
    let region = host.strip_prefix("codepipeline.")?.strip_suffix(".amazonaws.com")?;
    (!region.contains('.')).then(|| (sigv4::SERVICE, region.to_owned()))
}

/// An address, from what names it. Without TLS, a session token could be read on the way: on this machine alone.
pub fn checked(name: &str, url: &str) -> anyhow::Result<Url> {
    let parsed = Url::parse(url).with_context(|| format!("`{name} {url}` is not a URL"))?;
    let host = parsed.host_str().unwrap_or_default();
    anyhow::ensure!(
        parsed.scheme() == "https" || (parsed.scheme() == "http" && is_loopback(host)),
        "`{name} {url}` must begin with `https://`, or lead to this machine"
    );
    anyhow::ensure!(
        parsed.query().is_none() && parsed.fragment().is_none(),
        "`{name} {url}` must be an address without a query"
    );
    anyhow::ensure!(
        parsed.username().is_empty() && parsed.password().is_none(),
        "`{name}` must be an address without a password: requests are signed"
    );
    // A Lambda emulator serves all functions below one address; the service itself answers at `/` alone.
    anyhow::ensure!(
        matches!(parsed.path(), "" | "/") || is_loopback(host),
        "`{name} {url}` must be an address without a path: the API is served at `/`"
    );
    Ok(parsed)
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// What the names of a Region's services end with.
pub fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: &str = "https://abc.lambda-url.eu-central-1.on.aws/";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile tp]\ntowpath_url = https://abc.lambda-url.eu-central-1.on.aws\n\
         [profile own]\nregion = us-east-1\nservices = s\ntowpath_sign_for = lambda\n[services s]\ncodepipeline =\n  \
         endpoint_url = https://pipes.example.com\n";

    fn found(reach: Reach, variables: &[(&str, &str)]) -> Result<(String, &'static str, String), String> {
        let env = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let found = reach.resolved(&env, &Files::of("", CONFIG)).map_err(|error| error.to_string())?;
        Ok((found.url.into(), found.service, found.region))
    }

    fn at(url: &str) -> Reach {
        Reach { url: Some(url.into()), ..Reach::default() }
    }

    fn with(profile: &str) -> Reach {
        Reach { profile: Some(profile.into()), ..Reach::default() }
    }

    #[test]
    fn a_function_url_says_for_what_and_where_it_is_signed() {
        let function = (FUNCTION.to_owned(), LAMBDA, "eu-central-1".to_owned());
        assert_eq!(found(at(FUNCTION), &[("AWS_REGION", "us-east-1")]).unwrap(), function);
        assert_eq!(found(with("tp"), &[("TOWPATH_URL", "https://other.example.com")]).unwrap(), function);
        let error = found(Reach { region: Some("us-east-1".into()), ..at(FUNCTION) }, &[]).unwrap_err();
        assert!(error.contains("is not the Region"), "{error}");
    }

    #[test]
    fn other_addresses_are_signed_for_codepipeline_unless_told() {
        let local = found(at("http://127.0.0.1:4500"), &[]).unwrap();
        assert_eq!(local, ("http://127.0.0.1:4500/".into(), sigv4::SERVICE, "eu-west-1".into()));
        let told = Reach { sign_for: Some(SignFor::Lambda), ..at("https://pipes.example.com") };
        assert_eq!(found(told, &[]).unwrap().1, LAMBDA);
        assert_eq!(found(at("http://127.0.0.1:9/_aws/lambda-url/api/"), &[]).unwrap().1, LAMBDA);
        assert_eq!(
            found(with("own"), &[]).unwrap(),
            ("https://pipes.example.com/".into(), LAMBDA, "us-east-1".into())
        );
        let real = Reach { codepipeline: true, ..Reach::default() };
        let real = found(real, &[("TOWPATH_URL", FUNCTION)]).unwrap();
        assert_eq!(
            real,
            ("https://codepipeline.eu-west-1.amazonaws.com/".into(), sigv4::SERVICE, "eu-west-1".into())
        );
    }

    #[test]
    fn without_an_address_nothing_is_guessed() {
        let error = found(Reach::default(), &[]).unwrap_err();
        assert!(error.contains("`--url`") && error.contains("`--codepipeline`"), "{error}");
        assert_eq!(found(Reach::default(), &[("TOWPATH_URL", FUNCTION)]).unwrap().1, LAMBDA);
    }

    #[test]
    fn the_region_comes_from_the_nearest_place() {
        let region = |region: Option<&str>, variables: &[_]| {
            found(Reach { region: region.map(str::to_owned), ..at("http://[::1]:1") }, variables)
                .map(|found| found.2)
        };
        assert_eq!(region(None, &[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a")]).unwrap(), "a");
        assert_eq!(region(Some("c"), &[("AWS_REGION", "a")]).unwrap(), "c");
        assert_eq!(region(None, &[]).unwrap(), "eu-west-1");
        assert!(region(Some("evil.example/"), &[]).unwrap_err().contains("not the name of a Region"));
    }

    #[test]
    fn what_stands_before_the_command_fills_what_is_missing_after_it() {
        let outer = Reach { url: Some("https://a".into()), profile: Some("p".into()), ..Reach::default() };
        let inner = Reach { codepipeline: true, ..Reach::default() }.or(outer.clone());
        assert!(inner.codepipeline && inner.url.is_none() && inner.profile.as_deref() == Some("p"));
        assert_eq!(Reach::default().or(outer).url.as_deref(), Some("https://a"));
    }

    #[test]
    fn only_this_machine_is_called_without_tls() {
        for good in
            ["http://127.0.0.1:4500", "http://localhost:1/a/", "http://[::1]:1", "https://example.com"]
        {
            assert!(checked("--url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "ftp://127.0.0.1",
            "127.0.0.1:4500",
            "https://a/b",
            "http://127.0.0.1?x",
            "https://me:secret@example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert!(checked("--url", bad).is_err(), "{bad}");
        }
    }
}
