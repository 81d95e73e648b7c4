//! `tapline serve`.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{
    ConfigArguments,
    output::{Failure, Outcome, Result},
};
use crate::run::{
    live::{DEADLINE, LiveOptions, serve},
    start::prepare_with,
};
use crate::{
    api::Security,
    config::{Fleet, Site, orders::Orders},
    tokens::secret_path,
};

/// How to serve.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigArguments,
    /// Data directory instead of the one in the file
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// HTTP address instead of the one in the file
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// UDP address instead of the one in the file
    #[arg(long, value_name = "ADDRESS")]
    udp: Option<SocketAddr>,
    /// Write every datagram and slot into this new file, for `replay`
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// What to log, for example `info` or `tapline_server=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "TAPLINE_LOG")]
    log: String,
    /// Log as JSON lines
    #[arg(long)]
    log_json: bool,
}

pub(super) fn run(options: &Options) -> Result {
    start_logging(&options.log, options.log_json)?;
    let stop = stop_on_signal()?;
    let c = &options.config;
    let data_dir = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => Fleet::load(&c.config).map_err(Failure::of)?.store.dir,
    };
    let mut orders = Orders::load(&data_dir).map_err(Failure::of)?;
    let kept = orders.clone();
    let apply = |site: &mut Site| orders.apply(site);
    let prepared = prepare_with(&c.config, c.site.as_deref(), c.manifest.as_deref(), apply).map_err(Failure::of)?;
    if orders != kept {
        tracing::info!("the fleet file has overtaken orders of operators: they are forgotten");
        orders.save(&data_dir).map_err(Failure::of)?;
    }
    let live = live_options(options, &prepared.fleet)?;
    if !live.udp.ip().is_loopback() && prepared.fleet.server.allow.is_empty() {
        return Err(Failure(format!(
            "--udp {} is not a loopback address: name the senders in [server] allow first",
            live.udp
        )));
    }
    serve(prepared, &live, &stop).map_err(Failure::of)?;
    Ok(Outcome::Yes)
}

/// Set by SIGTERM and SIGINT.
pub(super) fn stop_on_signal() -> std::result::Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // A second signal ends the process at once: the log survives that too.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop)).map_err(Failure::of)?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Failure::of)?;
    }
    Ok(stop)
}

/// Who may reach the API, and how, by the fleet file.
pub(super) fn security(
    fleet: &Fleet,
    http: SocketAddr,
    data_dir: &std::path::Path,
) -> std::result::Result<Security, Failure> {
    let server = &fleet.server;
    // A fleet file has both or neither.
    let tls = match server.tls_certificate.clone().zip(server.tls_key.as_ref()) {
        Some((certificate, key)) => Some((certificate, secret_path(key).map_err(Failure::of)?)),
        None => None,
    };
    let tokens = match &server.tokens {
        // The default path: where no token was ever made, there is no file.
        None => data_dir.join("tokens.json"),
        Some(named) => {
            let path = secret_path(named).map_err(Failure::of)?;
            // Whoever names a file means that callers show tokens. Without it the server would be open, by a slip of the pen.
            if !path.exists() {
                return Err(Failure(format!(
                    "[server] tokens names {}, which is not there: make the first token with `tapline token create --name NAME \
                     --scope read,subscribe` and the same --config, correct the path, or leave the line out",
                    path.display()
                )));
            }
            path
        }
    };
    Ok(Security {
        address: http,
        tokens: Some(tokens),
        insecure: server.insecure,
        public_log: server.public_log,
        names: server.names.clone(),
        tls,
    })
}

fn live_options(options: &Options, fleet: &crate::config::Fleet) -> std::result::Result<LiveOptions, Failure> {
    let mut fleet_store = fleet.store.clone();
    if let Some(dir) = &options.data_dir {
        dir.clone_into(&mut fleet_store.dir);
    }
    let http = options.http.unwrap_or(fleet.server.http);
    Ok(LiveOptions {
        security: security(fleet, http, &fleet_store.dir)?,
        http,
        udp: options.udp.unwrap_or(fleet.server.udp),
        anchor: fleet_store.anchor(),
        data_dir: fleet_store.dir,
        capture: options.capture.clone(),
        deadline: DEADLINE,
        ready: None,
    })
}

pub(super) fn start_logging(wanted: &str, json: bool) -> std::result::Result<(), Failure> {
    let filter =
        EnvFilter::try_new(wanted).map_err(|e| Failure(format!("--log {wanted:?}: {e}; try info or debug")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A typing error in the path must not open the server to everybody.
    #[test]
    fn a_token_file_that_is_named_has_to_be_there() {
        let data = tempfile::tempdir().unwrap();
        let named = data.path().join("callers.json");
        let security = |line: &str| {
            let site = "[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]\n\
                 [[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n\
                 [site.mesh]\nkind = \"rss\"\n";
            let fleet = format!("version = 1\n[server]\n{line}\n{site}");
            let fleet = Fleet::parse(&fleet, std::path::Path::new("fleet.toml")).unwrap();
            security(&fleet, ([127, 0, 0, 1], 0).into(), data.path()).map(|s| s.tokens)
        };
        let default = data.path().join("tokens.json");
        assert_eq!(
            security("").ok().flatten(),
            Some(default),
            "none was ever made: no file"
        );
        let line = format!("tokens = {named:?}");
        let refused = security(&line).unwrap_err().0;
        assert!(
            refused.contains("callers.json, which is not there") && refused.contains("tapline token create"),
            "{refused}"
        );
        std::fs::write(&named, "{}").unwrap();
        assert_eq!(security(&line).ok().flatten(), Some(named));
    }
}
