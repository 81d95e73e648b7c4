//! `tapline plugin swap` and `rollback`: another plugin into the cycle of a running server, looked at before it counts.

use std::{io::BufRead, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use tapline_client::Endpoint;

use super::{
    output::{Failure, Outcome, Result, print, say},
    progress::Progress,
    remote::{Remote, converse},
};

/// What is asked about an attempt.
const ATTEMPT: &str = "{ id kind stage plugin phase finished message reason oldManifestHash newManifestHash changes \
                       vectorsRun vectorsPassed effectiveTick leaf state { stage state } shadow { wanted done stages { \
                       stage cycles shadowRan equalCycles values equalValues maxDifference oldMeanUs newMeanUs oldMaxUs \
                       newMaxUs } } }";

/// A stage that a plugin computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// Channel impulse response
    Cir,
    /// The image of the room
    Tomography,
    /// People
    Tracker,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Cir => "CIR",
            Self::Tomography => "TOMOGRAPHY",
            Self::Tracker => "TRACKER",
        }
    }
}

/// Which plugin for which stage.
#[derive(Args)]
pub(super) struct Swap {
    #[command(flatten)]
    remote: Remote,
    /// The stage
    stage: Stage,
    /// A library of the server's plugin directory (`cir-dense`), or a built-in stage (`built-in:cir-dense`)
    plugin: String,
    /// BLAKE3 the file must have; another file is refused before any of its code runs
    #[arg(long, value_name = "HEX")]
    blake3: Option<String>,
    /// File with its configuration table, TOML (default: the table of the server's fleet file)
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Cycles in which it is compared on live input before it is used, 0 to 1200 (default: 40)
    #[arg(long, value_name = "N")]
    shadow_cycles: Option<u32>,
    /// Take it without asking when the comparison ended well
    #[arg(long)]
    yes: bool,
    /// Print the attempt as one JSON object at its end
    #[arg(long)]
    json: bool,
}

/// Which stage goes back.
#[derive(Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    remote: Remote,
    /// The stage
    stage: Stage,
    /// Print the attempt as one JSON object at its end
    #[arg(long)]
    json: bool,
}

/// An attempt, as far as it is shown in words; the whole is in [`Shown::value`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    id: u64,
    phase: String,
    finished: bool,
    message: String,
    reason: Option<String>,
    changes: Vec<String>,
    vectors_run: u32,
    vectors_passed: u32,
    shadow: Option<Shadow>,
}

#[derive(Deserialize)]
struct Shadow {
    wanted: u32,
    done: u32,
    stages: Vec<Compared>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    stage: String,
    cycles: u32,
    shadow_ran: u32,
    values: u64,
    equal_values: u64,
    max_difference: f64,
    old_mean_us: f64,
    new_mean_us: f64,
    old_max_us: u32,
    new_max_us: u32,
}

struct Shown {
    value: Value,
    attempt: Attempt,
}

impl Shown {
    fn of(value: Value) -> std::result::Result<Self, Failure> {
        let attempt = Attempt::deserialize(&value).map_err(|e| {
            Failure(format!(
                "the server's answer is no attempt as this program knows it: {e}"
            ))
        })?;
        Ok(Self { value, attempt })
    }
}

pub(super) fn swap(options: &Swap) -> Result {
    let table = match &options.table {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|e| Failure(format!("cannot read {}: {e}", path.display())))?)
        }
    };
    let variables = json!({
        "stage": options.stage.name(),
        "plugin": options.plugin,
        "blake3": options.blake3,
        "config": table,
        "cycles": options.shadow_cycles,
        "review": !options.yes,
    });
    let order = format!(
        "mutation($stage: PluginStage!, $plugin: String!, $blake3: String, $config: String, $cycles: Int, $review: \
         Boolean!) {{ order: swapPlugin(stage: $stage, plugin: $plugin, blake3: $blake3, config: $config, shadowCycles: \
         $cycles, review: $review) {ATTEMPT} }}"
    );
    let endpoint = options.remote.endpoint()?;
    let quiet = options.json;
    let mut end = converse(follow(&endpoint, &order, variables, quiet, true))?;
    if end.attempt.phase == "COMPARED" {
        let go = ask("Let it take over? [y/N] ");
        let (verb, variables) = (
            if go { "confirmSwap" } else { "cancelSwap" },
            json!({ "id": end.attempt.id }),
        );
        let decision = format!("mutation($id: Long!) {{ order: {verb}(id: $id) {ATTEMPT} }}");
        end = converse(follow(&endpoint, &decision, variables, quiet, false))?;
    }
    finish(&end, quiet, "APPLIED")
}

pub(super) fn rollback(options: &Rollback) -> Result {
    let order = format!("mutation($stage: PluginStage!) {{ order: rollbackPlugin(stage: $stage) {ATTEMPT} }}");
    let endpoint = options.remote.endpoint()?;
    let variables = json!({ "stage": options.stage.name() });
    let end = converse(follow(&endpoint, &order, variables, options.json, true))?;
    finish(&end, options.json, "ROLLED_BACK")
}

fn finish(end: &Shown, json: bool, good: &str) -> Result {
    if json {
        print(&end.value.to_string());
    } else if let Some(reason) = &end.attempt.reason {
        print(&format!("reason in the SWAP leaf: {reason}"));
    }
    Ok(if end.attempt.phase == good {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

/// A line on standard input; no answer is no.
fn ask(question: &str) -> bool {
    say(question);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// Gives an order and follows the attempt to its end. `ask`: or to the question; without, the decision is what was
/// ordered, and takes a cycle to be seen.
async fn follow(
    endpoint: &Endpoint,
    order: &str,
    variables: Value,
    quiet: bool,
    ask: bool,
) -> std::result::Result<Shown, Failure> {
    let mut connection = endpoint.open().await.map_err(Failure::of)?;
    let mut answer = connection.ask(order, variables).await.map_err(Failure::of)?;
    let mut now = Shown::of(answer["order"].take())?;
    let id = now.attempt.id;
    let subscription = format!("subscription($id: Long!) {{ swapProgress(id: $id) {ATTEMPT} }}");
    let followed = connection.subscribe(&subscription, json!({ "id": id })).await;
    let mut progress = followed.map_err(Failure::of)?;
    let mut told = String::new();
    let mut bar: Option<Progress> = None;
    loop {
        let waits = now.attempt.phase == "COMPARED";
        if waits && !ask {
            told = "COMPARED".to_owned();
        }
        if !quiet && told != now.attempt.phase {
            told.clone_from(&now.attempt.phase);
            if let Some(bar) = bar.take() {
                bar.done();
            }
            print(&format!("{:<12} {}", now.attempt.phase, now.attempt.message));
            if waits || (now.attempt.phase == "COMMITTED" && ask) {
                print(&comparison(&now.attempt));
            }
        }
        if now.attempt.finished || (waits && ask) {
            return Ok(now);
        }
        if let Some(shadow) = now.attempt.shadow.as_ref().filter(|_| now.attempt.phase == "SHADOWING") {
            bar.get_or_insert_with(|| Progress::steps("cycles compared", shadow.wanted.into()))
                .step(shadow.done.into());
        }
        let lost = |why: String| {
            Failure(format!(
                "{why}. The attempt goes on: GET /v1/plugins/swap/{id} shows it, cancelSwap ends it"
            ))
        };
        let next = progress.next().await.map_err(|e| lost(e.to_string()))?;
        let mut next = next.ok_or_else(|| lost("the server ended the subscription".to_owned()))?;
        now = Shown::of(next["swapProgress"].take())?;
    }
}

/// What was compared, and what the manifest says then.
fn comparison(attempt: &Attempt) -> String {
    let mut text = format!(
        "golden vectors: {} of {} gave the same bits, twice\n",
        attempt.vectors_passed, attempt.vectors_run
    );
    if let Some(shadow) = &attempt.shadow {
        text += "stage        ran of    same bits   largest difference   time now   candidate   slowest now   its slowest\n";
        for s in shadow.stages.iter().filter(|s| s.cycles > 0) {
            let (same, largest) = match s.values {
                0 => ("-".to_owned(), "-".to_owned()),
                n => (
                    format!("{:.2} %", 100.0 * s.equal_values as f64 / n as f64),
                    format!("{:.3e}", s.max_difference),
                ),
            };
            text += &format!(
                "{:<12} {:<9} {same:>9}   {largest:>18}   {:>8}   {:>9}   {:>11}   {:>11}\n",
                s.stage.to_lowercase(),
                format!("{}/{}", s.shadow_ran, s.cycles),
                time(s.old_mean_us),
                time(s.new_mean_us),
                time(s.old_max_us.into()),
                time(s.new_max_us.into()),
            );
        }
    }
    for change in &attempt.changes {
        text += &format!("{change}\n");
    }
    text
}

fn time(us: f64) -> String {
    if us >= 1_000.0 {
        format!("{:.2} ms", us / 1e3)
    } else {
        format!("{us:.0} us")
    }
}
