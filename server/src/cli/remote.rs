//! Commands that speak to a running server: where it is, and who asks.

use std::{future::Future, path::PathBuf};

use clap::Args;
use tapline_client::Endpoint;

use super::output::Failure;

/// The variable that holds the token: an argument would show it to every process of the machine.
const TOKEN: &str = "TAPLINE_TOKEN";

/// Which server.
#[derive(Args, Clone, Debug)]
pub(super) struct Remote {
    /// The running server: HOST:PORT, http://HOST:PORT or https://HOST:PORT
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        env = "TAPLINE_SERVER"
    )]
    server: String,
    /// File with the token to show (default: the variable TAPLINE_TOKEN, else none)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the certificates to trust with https (default: the system's)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Remote {
    /// The server's address as it was given.
    pub(super) fn address(&self) -> &str {
        &self.server
    }

    /// The server, not yet spoken to.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        let token = match &self.token_file {
            None => std::env::var(TOKEN).ok(),
            Some(path) => {
                let text = std::fs::read_to_string(path);
                Some(text.map_err(|e| Failure(format!("cannot read {}: {e}", path.display())))?)
            }
        };
        let token = token.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        Endpoint::new(&self.server, self.ca.as_deref(), token).map_err(Failure::of)
    }
}

/// Runs a conversation to its end.
pub(super) fn converse<T>(talk: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::of)?;
    runtime.block_on(talk)
}
