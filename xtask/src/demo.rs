//! The demo: server and simulated room, started together, stopped together.

use std::{
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    build,
    run::{program, target},
};

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
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds, starts, waits, stops.
pub(crate) fn demo(options: &Options) -> Result<(), String> {
    let built = build::build(options.release)?;
    let data = target().join("demo-data");
    let config = target().join("demo.toml");
    let _ = std::fs::remove_dir_all(&data);
    let _ = std::fs::remove_file(target().join("demo-data.anchor"));
    let (http, udp) = (
        format!("127.0.0.1:{}", options.port),
        format!("127.0.0.1:{}", options.udp_port),
    );

    let mut site = program(&built.tapline);
    site.args(["simulate", "--scene", &options.scene, "--write-config"])
        .arg(&config);
    crate::run::run("write the simulated room's configuration", &mut site)?;

    let mut server = program(&built.tapline);
    server
        .args(["serve", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(&data)
        .args(["--http", &http, "--udp", &udp]);
    let server = Running(server.spawn().map_err(|e| format!("cannot start the server: {e}"))?);
    let mut room = program(&built.tapline);
    room.args(["simulate", "--scene", &options.scene, "--to", &udp, "--loop"])
        .stdout(Stdio::null());
    let room = Running(room.spawn().map_err(|e| format!("cannot start the simulator: {e}"))?);

    println!("\nTapline is running with a simulated room ({} scene).", options.scene);
    println!("  GraphiQL      http://{http}/graphiql");
    println!("  health        http://{http}/readyz");
    println!("  metrics       http://{http}/metrics");
    println!("  nodes send to udp://{udp}");
    println!("Try this subscription:  subscription {{ poses {{ cycle simulated tracks {{ id positionM sigmaM }} }} }}");
    println!("Ctrl-C stops it.\n");
    wait(server, room, options.seconds)
}

fn wait(mut server: Running, mut room: Running, seconds: Option<u64>) -> Result<(), String> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = server.0.try_wait() {
            return Err(format!("the server ended ({status})"));
        }
        if let Ok(Some(status)) = room.0.try_wait() {
            return Err(format!("the simulator ended ({status})"));
        }
        if seconds.is_some_and(|s| start.elapsed() >= Duration::from_secs(s)) {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
}
