//! The demo: builds, then runs `tapline demo`.

use std::os::unix::process::CommandExt as _;

use clap::Args;

use crate::{build, run::program};

/// What to show.
#[derive(Args)]
pub(crate) struct Options {
    /// Scene of the simulator
    #[arg(long, default_value = "demo")]
    scene: String,
    /// Stop after this many seconds (default: until Ctrl-C)
    #[arg(long)]
    seconds: Option<u64>,
    /// Optimised build
    #[arg(long)]
    release: bool,
    /// HTTP port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// UDP port
    #[arg(long, default_value_t = 5005)]
    udp_port: u16,
    /// Further arguments of `tapline demo`, for example `--record DIR`
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds, then becomes the demo: signals go straight to it.
pub(crate) fn demo(options: &Options) -> Result<(), String> {
    let built = build::build(options.release)?;
    let mut demo = program(&built.tapline);
    demo.args(["demo", "--scene", &options.scene])
        .arg(format!("--http=127.0.0.1:{}", options.port))
        .arg(format!("--udp=127.0.0.1:{}", options.udp_port));
    if let Some(seconds) = options.seconds {
        demo.arg(format!("--seconds={seconds}"));
    }
    demo.args(&options.more);
    Err(format!("cannot start the demo: {}", demo.exec()))
}
