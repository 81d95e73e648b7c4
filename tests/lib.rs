//! Helpers for the end-to-end tests: where the built programs are, how to start and stop them.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lie in the root")
}

/// The built program. `cargo xtask test` builds it with its plugins; `cargo test` alone does not.
pub fn tapline() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/PROFILE/deps");
    let program = directory.join("tapline");
    assert!(
        program.is_file() && directory.join("plugins/manifest.toml").is_file(),
        "{} or its plugins are not built: run `cargo xtask build` first",
        program.display()
    );
    program
}

/// The program with arguments, in the repository's root, as a user starts it.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(tapline());
    command
        .current_dir(root())
        .args(arguments)
        // A debug build's backtrace takes longer than a cycle has: a panic would come out as a timeout.
        .env("RUST_BACKTRACE", "0")
        .env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs to the end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

/// Runs to the end, wants success, gives standard output.
pub fn succeed(arguments: &[&str]) -> String {
    let out = run(arguments);
    assert!(
        out.status.success(),
        "{arguments:?}: {}\n{}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).expect("output is text")
}

/// The summary of a replay.
pub fn replay(arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["replay", "--json"];
    all.extend(arguments);
    let text = succeed(&all);
    serde_json::from_str(text.lines().last().expect("a summary")).expect("the summary is JSON")
}

/// A file of the public recordings, or none, said, when they are not here.
pub fn recording(name: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("TAPLINE_DATA") else {
        eprintln!("SKIPPED: TAPLINE_DATA is not set");
        return None;
    };
    Some(Path::new(&directory).join(name))
}

/// A server, stopped when dropped.
pub struct Server {
    child: Child,
    /// Where HTTP is.
    pub http: SocketAddr,
    /// Where nodes send to.
    pub udp: SocketAddr,
}

impl Server {
    /// Starts it on free ports over a data directory and waits until it is ready.
    pub fn start(config: &Path, data_dir: &Path) -> Self {
        Self::start_with(config, data_dir, &[])
    }

    /// The same with more arguments.
    pub fn start_with(config: &Path, data_dir: &Path, more: &[&str]) -> Self {
        Self::start_as(config, data_dir, |command| {
            command.args(more);
        })
    }

    /// The same with whatever its command needs besides.
    pub fn start_as(config: &Path, data_dir: &Path, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(&["serve", "--log", "warn", "--config"]);
        command.arg(config).arg("--data-dir").arg(data_dir);
        adjust(&mut command);
        Self::begin(command)
    }

    /// The demo of a scene on free ports, with more arguments.
    pub fn demo(scene: &str, more: &[&str]) -> Self {
        let mut command = command(&["demo", "--scene", scene]);
        command.args(more);
        Self::begin(command)
    }

    /// On free ports; waits until it is ready.
    fn begin(mut command: Command) -> Self {
        let (http, udp) = (free_tcp(), free_udp());
        command.args(["--http", &http.to_string(), "--udp", &udp.to_string()]);
        let child = command.stdout(Stdio::null()).spawn().expect("the server starts");
        let mut server = Self { child, http, udp };
        let begun = Instant::now();
        while !server
            .get("/readyz")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        {
            assert!(
                server.child.try_wait().expect("its state").is_none(),
                "the server ended before it was ready"
            );
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the server did not become ready in a minute"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// One GET: status line, headers and body; none when nobody answers.
    pub fn get(&self, path: &str) -> Option<String> {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.http
        ))
    }

    /// One GraphQL query; the answer's `data`.
    pub fn query(&self, query: &str) -> serde_json::Value {
        let body = serde_json::json!({ "query": query }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.http,
            body.len()
        );
        let answer = self.exchange(&request).expect("the server answers");
        let json = &answer[answer.find('{').expect("a JSON body")..=answer.rfind('}').expect("a JSON body")];
        let value: serde_json::Value = serde_json::from_str(json).expect("the answer is JSON");
        assert!(value["errors"].is_null(), "{value}");
        value["data"].clone()
    }

    fn exchange(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.http, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// True when the process is no more, whatever ended it.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// The signal that ended the process; none when it runs, or ended by itself.
    pub fn ended_by(&mut self) -> Option<i32> {
        self.child.try_wait().expect("its state")?.signal()
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "{status}");
    }

    /// SIGKILL: the power cut of processes.
    pub fn kill(mut self) {
        self.child.kill().expect("the server is killed");
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Something that streams until dropped: a simulated room, or a recording.
pub struct Room(Child);

impl Room {
    /// Streams a built-in scene.
    pub fn start(scene: &str, to: SocketAddr) -> Self {
        let mut command = command(&["simulate", "--scene", scene, "--loop", "--to", &to.to_string()]);
        Self(command.spawn().expect("the simulator starts"))
    }

    /// Plays a recording in real time.
    pub fn play(recording: &Path, to: SocketAddr) -> Self {
        let mut command = command(&["send", "--to", &to.to_string()]);
        Self(command.arg(recording).spawn().expect("the sender starts"))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fleet file of a built-in scene.
pub fn scene_config(scene: &str, directory: &Path) -> PathBuf {
    let path = directory.join(format!("{scene}.toml"));
    succeed(&[
        "simulate",
        "--scene",
        scene,
        "--write-config",
        path.to_str().expect("a plain path"),
    ]);
    assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 0));
    path
}

fn free_tcp() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address")
}

fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address")
}
