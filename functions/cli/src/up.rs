//! `towpath up`: the API on this machine's engine.

use crate::{
    credentials::KeyPair,
    inbound::{self, Known},
    machine::{Machine, Opening},
    objects::Objects,
    outward::Outward,
    server::{self, Front},
    signals::Signals,
    trigger::Calls,
};
use anyhow::Context;
use clap::Parser;
use events::Compatibility;
use http::HeaderName;
use local::settings::Settings;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::net::TcpListener;

/// The account unless another is given.
pub const ACCOUNT_DEFAULT: &str = "123456789012";

/// How long requests under way may take when the server is told to stop.
const LAST_REQUESTS_MAX: Duration = Duration::from_secs(5);

/// Serve the CodePipeline API on loopback, on this machine's engine.
///
/// Point any client at it: `aws --endpoint-url http://127.0.0.1:4500 codepipeline list-pipelines`. Requests must be
/// signed with the key pair given, or with the one that is made on first use and shown here.
#[derive(Parser)]
pub struct Args {
    /// The state folder: log, artifacts, action logs, key pair.
    #[arg(long, value_name = "DIR", default_value = ".towpath")]
    dir: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 4500)]
    port: u16,
    /// The key pair that callers sign with.
    #[arg(long, value_name = "KEY:SECRET", env = "TOWPATH_CREDENTIALS", hide_env_values = true)]
    credentials: Option<String>,
    /// The Region that requests are signed for.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The account, 12 digits.
    #[arg(long, default_value = ACCOUNT_DEFAULT)]
    account: String,
    /// The address that Git hosts reach this server at, for example through a tunnel; webhooks get addresses that
    /// begin with it. Without it: the address on this machine.
    #[arg(long, value_name = "URL", value_parser = public_url)]
    public_url: Option<String>,
    /// The header in which a proxy of yours says who really calls, for webhooks that ask for an address range; its
    /// last entry counts. Give it only if every call comes through that proxy.
    #[arg(long, value_name = "HEADER")]
    client_ip_header: Option<HeaderName>,
    /// How closely CodePipeline's own limits are kept: `exact`, as the service does it; `extended`, where an execution
    /// keeps its own definition and no older one deploys after a newer one. Without it: `compatibility` of the
    /// settings, and without that, `exact`.
    #[arg(long, value_name = "exact|extended", value_parser = crate::machine::compatibility)]
    compatibility: Option<Compatibility>,
    /// Settings. Without it: `towpath.toml` in the folder that holds the state folder, if there is one.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// Characters of a public address, most: with path and token it must fit into a webhook's URL of 1,000.
const PUBLIC_URL_CHARS_MAX: usize = 500;

fn public_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_web = matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some();
    if !is_web || url.query().is_some() || text.len() > PUBLIC_URL_CHARS_MAX {
        return Err("it must begin with `https://` or `http://`, name a host, and have no query".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Serves until it is told to stop.
pub async fn up(args: Args) -> anyhow::Result<u8> {
    anyhow::ensure!(
        args.account.len() == 12 && args.account.bytes().all(|byte| byte.is_ascii_digit()),
        "`--account {}` must have 12 digits",
        args.account
    );
    let mut signals = Signals::listen().context("signals cannot be caught")?;
    let given = args.credentials.as_deref().map(KeyPair::parse).transpose()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("port {} on 127.0.0.1 cannot be listened on; choose another with `--port`", args.port)
    })?;
    let address = listener.local_addr()?;
    let dir = std::path::absolute(&args.dir)?;
    let base = dir.parent().context("the state folder must lie in a folder")?.to_owned();
    let mut settings = Settings::load(args.settings.as_deref(), &base)?;
    settings.compatibility = args.compatibility.or(settings.compatibility);
    for warning in settings.warnings() {
        anstream::eprintln!("warning: {warning}");
    }
    let known = Known::of(&settings)?;
    let public_url = match &args.public_url {
        Some(url) => url.clone(),
        None => format!("http://{address}"),
    };
    let opening = Opening {
        public_url: &public_url,
        state: &dir,
        settings: settings.clone(),
        compatibility: Compatibility::Exact,
        region: &args.region,
        account: &args.account,
        command: &crate::command_line(),
    };
    let machine = Machine::open(opening).await?;
    let outward = Outward::of(&machine.service, &machine.log, &known, &settings.notifications, &dir)?;
    let keys = match given {
        Some(pair) => pair,
        None => {
            let (pair, _) = KeyPair::of(&dir)?;
            anstream::println!("export AWS_ACCESS_KEY_ID={}", pair.access_key);
            anstream::println!("export AWS_SECRET_ACCESS_KEY={}", pair.secret);
            anstream::println!("export AWS_DEFAULT_REGION={}", args.region);
            pair
        }
    };
    let keys = Arc::new(keys);
    let store = machine.artifacts().clone();
    if let Err(error) = store.sweep_incoming(SystemTime::now()) {
        // Nothing depends on it but the space that it takes.
        tracing::warn!(%error, "what is left of broken uploads could not be removed");
    }
    let objects = Objects::new(store, Arc::clone(&machine.access), Arc::clone(&keys), &args.region);
    let calls = Calls::new(args.client_ip_header);
    let front = Front { service: machine.service.clone(), keys, objects, calls, known: known.clone() };
    let router = server::router(front).into_make_service_with_connect_info::<SocketAddr>();
    anstream::println!("towpath is ready: http://{address} (state in {})", dir.display());
    let resumed = machine.resume(None).await?;
    if !resumed.is_empty() {
        anstream::println!("{} interrupted executions are taken up again", resumed.len());
    }
    let mut listening = inbound::listen(&machine.service, &known, settings, dir);
    outward.tell(&mut listening.tasks, &machine.service, &machine.log);
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        signals.told().await;
        let _ = tell.send(());
    });
    let served = tokio::select! {
        served = serving.into_future() => served,
        // Whoever is in the middle of a large object tries again.
        () = async { let _ = told.await; tokio::time::sleep(LAST_REQUESTS_MAX).await } => Ok(()),
        () = machine.sweep() => Ok(()),
    };
    drop(listening);
    anstream::println!("stopping: what runs is taken up again at the next start");
    machine.close().await;
    served?;
    Ok(0)
}
