//! `towpath proxy`: an address on this machine at which any AWS client reaches a Towpath behind a function URL.
//!
//! A function URL wants signatures for `lambda`, AWS clients sign for `codepipeline`. The proxy checks the caller's
//! signature with the key it signs with itself, and signs again. It lends nobody anything: who cannot sign with those
//! keys is refused, so that a web page or another user of the machine gets no further than to an error.

mod forward;
mod local_keys;

use crate::{
    client::{endpoint::Reach, keys::Provider},
    signals::Signals,
};
use anyhow::Context;
use axum::Router;
use clap::Parser;
use forward::Forward;
use local_keys::Callers;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;

/// How long requests under way may take when the proxy is told to stop.
const LAST_REQUESTS_MAX: Duration = Duration::from_secs(5);

/// Let any AWS client reach a Towpath behind a function URL, at an address on this machine.
///
/// Terraform, the SDKs, the Jenkins plugin: whatever takes an endpoint works with
/// `--endpoint-url http://127.0.0.1:4501`. A caller signs with the same keys as the proxy; its signature is checked, and
/// each request is signed again for the function URL.
#[derive(Parser)]
pub struct Args {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 4501)]
    port: u16,
    /// Let callers sign with a key pair that is made for this proxy and printed, instead of with the keys it signs with
    /// itself. For keys that change by themselves: roles, single sign-on.
    #[arg(long)]
    own_keys: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Serves until it is told to stop. `outer` stood before it on the command line.
pub async fn proxy(args: Args, outer: Reach) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals cannot be caught")?;
    let reach = args.reach.or(outer);
    let endpoint = reach.endpoint()?;
    let keys = Arc::new(Provider::new(reach.profile.as_deref(), &endpoint.region));
    // Asked for at once: what is wrong with them is said here, not to the first caller.
    let first = keys.keys().await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("port {} on 127.0.0.1 cannot be listened on; choose another with `--port`", args.port)
    })?;
    let address = listener.local_addr()?;
    anyhow::ensure!(
        !(endpoint.is_here() && endpoint.url.port_or_known_default() == Some(address.port())),
        "{} is this proxy itself: `--url` names the Towpath behind it",
        endpoint.url
    );
    let callers = match args.own_keys {
        true => {
            let callers = Callers::own();
            callers.lines(&endpoint.region).iter().for_each(|line| anstream::println!("{line}"));
            callers
        }
        false => Callers::same(Arc::clone(&keys), first),
    };
    let shown = endpoint.url.to_string();
    let forward = Arc::new(Forward::new(endpoint, keys, callers, address)?);
    let router = Router::new().fallback(forward::answer).with_state(forward);
    anstream::println!("towpath proxy is ready: http://{address} leads to {shown}");
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        signals.told().await;
        let _ = tell.send(());
    });
    tokio::select! {
        served = serving.into_future() => served?,
        () = async { let _ = told.await; tokio::time::sleep(LAST_REQUESTS_MAX).await } => {}
    }
    Ok(0)
}
