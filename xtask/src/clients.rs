//! `cargo xtask clients`: the client examples and schemathesis, each against a running demo; the schema against its lint rules.
//! What a machine lacks is SKIPPED and said; with `TAPLINE_CLIENTS=required`, as in CI, it is an error.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    build,
    run::{program, root, run},
    web::{node, npm},
};

/// How long the demo may take to run its first cycle.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages each client has to see.
const MESSAGES: &str = "20";

/// A demo that ends with this.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client, ready to be run with the server's address.
type Client = (&'static str, Command);

/// Builds, then runs all clients.
pub(crate) fn clients() -> Result<(), String> {
    let built = build::build(false)?;
    tests(&built.tapline)
}

/// Runs all clients on what was built. They are made ready first, so that nothing else is busy while the demo runs.
pub(crate) fn tests(tapline: &Path) -> Result<(), String> {
    let clients: Vec<Client> = [curl()?, typescript()?, python()?, schemathesis()?]
        .into_iter()
        .flatten()
        .collect();
    let (http, udp) = (free()?, free()?);
    let child = program(tapline)
        .args(["demo", "--seconds=120"])
        .arg(format!("--http=127.0.0.1:{http}"))
        .arg(format!("--udp=127.0.0.1:{udp}"))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot start the demo: {e}"))?;
    let _demo = Demo(child);
    ready(http)?;
    let url = format!("http://127.0.0.1:{http}");
    for (name, mut command) in clients {
        run(name, command.env("TAPLINE_URL", &url).arg(&url).arg(MESSAGES))?;
    }
    Ok(())
}

fn free() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    Ok(listener.local_addr().map_err(|e| e.to_string())?.port())
}

/// Waits until cycles run.
fn ready(port: u16) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if answers(port).unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err(format!("the demo ran no cycle within {} s", PATIENCE.as_secs()))
}

fn answers(port: u16) -> std::io::Result<bool> {
    use std::io::Write as _;
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(
        socket,
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line)?;
    Ok(line.contains(" 200 "))
}

/// A client that cannot run here.
fn skipped(client: &str, why: &str) -> Result<(), String> {
    if std::env::var_os("TAPLINE_CLIENTS").is_some_and(|v| v == "required") {
        return Err(format!("the client {client} cannot be tested: {why}"));
    }
    println!("==> client {client}: SKIPPED: {why}");
    Ok(())
}

fn has(what: &str) -> bool {
    Command::new(what)
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
}

fn curl() -> Result<Option<Client>, String> {
    if !has("curl") || !has("bash") {
        skipped("curl", "there is no curl or bash here")?;
        return Ok(None);
    }
    Ok(Some((
        "client curl",
        Command::new(root().join("clients/curl/watch.sh")),
    )))
}

fn typescript() -> Result<Option<Client>, String> {
    if let Err(why) = node() {
        skipped("TypeScript", &why)?;
        return Ok(None);
    }
    let directory = root().join("clients/ts");
    if !directory.join("node_modules").is_dir() {
        let install = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
        let mut install_all = npm(&directory);
        if let Err(why) = run("install what the TypeScript client needs", install_all.args(install)) {
            skipped("TypeScript", &why)?;
            return Ok(None);
        }
    }
    run(
        "lint the schema",
        npm(&directory).args(["run", "--silent", "lint-schema"]),
    )?;
    run(
        "build the TypeScript client",
        npm(&directory).args(["run", "--silent", "build"]),
    )?;
    let mut example = Command::new("node");
    example.arg(directory.join("dist/examples/watch.js"));
    Ok(Some(("client TypeScript (graphql-ws)", example)))
}

fn python() -> Result<Option<Client>, String> {
    let Some(python) = environment("gql", "Python")? else {
        return Ok(None);
    };
    let mut example = Command::new(&python);
    example.arg(root().join("clients/python/watch.py"));
    Ok(Some(("client Python (gql)", example)))
}

/// Every route of `openapi.json`, tried with what fits the document and what does not.
fn schemathesis() -> Result<Option<Client>, String> {
    let Some(python) = environment("schemathesis", "schemathesis")? else {
        return Ok(None);
    };
    let mut command = Command::new("bash");
    command
        .arg(root().join("clients/python/schemathesis.sh"))
        .arg(python.with_file_name("schemathesis"));
    Ok(Some(("schemathesis", command)))
}

/// The Python of an environment that has what `clients/python/requirements.txt` names; none, said, without Python.
fn environment(module: &str, what: &str) -> Result<Option<std::path::PathBuf>, String> {
    if !has("python3") {
        skipped(what, "there is no python3 here")?;
        return Ok(None);
    }
    let environment = crate::run::target().join("clients-python");
    let python = environment.join("bin/python");
    if !installed(&python, module) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&environment);
        let mut install = Command::new(&python);
        let requirements = root().join("clients/python/requirements.txt");
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        let made = run("make a Python environment", &mut make).and_then(|()| {
            let what = "install what the Python clients need";
            run(what, install.arg(requirements))
        });
        if let Err(why) = made {
            skipped(what, &why)?;
            return Ok(None);
        }
    }
    Ok(Some(python))
}

fn installed(python: &Path, module: &str) -> bool {
    Command::new(python)
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|o| o.status.success())
}
