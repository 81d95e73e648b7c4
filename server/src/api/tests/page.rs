//! The live page and the windows into the cycle.

use tapline_sim::{Scene, Simulator};

use super::{
    live::{hear, subscribe},
    *,
};
use crate::scope::Moment;

/// With the page or without it, `/` answers, and nothing but the page's own files comes from there.
#[tokio::test]
async fn the_page_or_how_to_get_it() {
    let router = Bench::new().router();
    let (status, headers, text) = call(&router, get("/")).await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    if headers[header::CONTENT_TYPE] == "text/html; charset=utf-8" {
        assert!(!text.contains("<style") && !text.contains("onload="), "{text}");
        for script in text.split("<script").skip(1) {
            assert!(script.contains(" src=\"/assets/"), "an inline script: {script}");
        }
    } else {
        assert!(text.contains("Node") && text.contains("cargo xtask build"), "{text}");
    }
    for path in [
        "/assets/none.js",
        "/assets/..%2Findex.html",
        "/assets/%2e%2e%2f%2e%2e%2fREADME.md",
        "/README.md",
    ] {
        assert_eq!(call(&router, get(path)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

/// What is really there reaches who looks, and only in a demo.
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_shows_its_scene_and_its_truth() {
    let bench = Bench::new();
    let router = bench.router();
    assert_eq!(data(&router, "{ demo { scene } }").await, json!({ "demo": null }));
    let mut scene = Scene::builtin("demo").unwrap();
    scene.person[0].appear_s = 0.0;
    bench.hub.scope.show_demo(scene.clone());
    let shown = data(&router, "{ demo { scene furniture { id low { x } } } }").await;
    assert_eq!(shown["demo"]["scene"], "demo");
    assert_eq!(shown["demo"]["furniture"][0]["id"], "cabinet");
    let (address, _stop) = bench.serve(Limits::default());
    let mut socket = subscribe(
        address,
        "subscription { truth { tMs people { id x joints { name z } } } }",
    )
    .await;
    let truth = Simulator::after_empty(scene, 1, 2.0).unwrap().truth_at(3.0);
    let hub = Arc::clone(&bench.hub);
    let feeding = tokio::spawn(async move {
        loop {
            hub.scope.show_moment(Moment {
                t_ms: 77,
                truth: truth.clone(),
            });
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let message = hear(&mut socket).await.unwrap();
    feeding.abort();
    let truth = &message["payload"]["data"]["truth"];
    assert_eq!(truth["tMs"], 77);
    assert_eq!(truth["people"][0]["joints"].as_array().unwrap().len(), 17);
}

/// A path that does not exist is refused with what there is.
#[tokio::test(flavor = "multi_thread")]
async fn the_response_of_no_path_is_refused() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let mut socket = subscribe(address, "subscription { response(path: 4000) { tick } }").await;
    let message = hear(&mut socket).await.unwrap();
    assert_eq!(message["type"], "error", "{message}");
    assert!(message.to_string().contains("4000"), "{message}");
}
