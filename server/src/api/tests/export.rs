//! Tables over HTTP.

use super::*;
use crate::{
    api::Metrics,
    log::tests::support::{self, Place},
    store::reader::Reader,
};

/// A log of 15 seconds with two people, and the router of a site in this mode over it.
fn served(mode: &str, limits: Limits) -> (Place, Bench, Router) {
    let place = Place::new();
    let mut log = place.open();
    support::boot(&mut log, 0);
    support::run(&mut log, 1..300).unwrap();
    support::shut_down(log, 300);
    let bench = Bench::in_mode(mode);
    let history = Arc::new(Reader::open(&place.data()).unwrap());
    let server = with_limits(
        Arc::clone(&bench.hub),
        history,
        Arc::new(Metrics::new()),
        Security::local(),
        limits,
    );
    let router = server.unwrap().into_router();
    (place, bench, router)
}

const DAY: &str = "from=2025-10-09&to=2025-10-10";

#[tokio::test]
async fn a_table_is_streamed_as_csv() {
    let (_place, _bench, router) = served("RawResearch", Limits::default());
    let path = format!("/v1/export?what=occupancy&{DAY}&resolution=1s");
    let (status, headers, text) = call(&router, get(&path)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(headers["tapline-resolution"], "1s");
    let lines: Vec<&str> = text.lines().collect();
    // The first second lacks the slot of the BOOT leaf.
    assert_eq!(
        lines[1],
        "2025-10-09T08:53:20Z,2025-10-09T08:53:21Z,site,19,19,0,0,0,0,0,19,0,0,0,0,0,0,0,0,0,0"
    );
    assert_eq!(lines.len(), 15, "{text}");
    // Two people in each closed second.
    let (status, _, people) = call(&router, get(&format!("/v1/export?what=people&{DAY}&resolution=1s"))).await;
    assert_eq!(
        (status, people.lines().count()),
        (StatusCode::OK, 1 + 2 * 14),
        "{people}"
    );
    let (status, _, events) = call(&router, get(&format!("/v1/export?what=events&{DAY}"))).await;
    assert_eq!((status, events.lines().count()), (StatusCode::OK, 2), "{events}");
}

#[tokio::test]
async fn a_strict_class_lets_out_fewer_tables() {
    for (mode, refused) in [
        ("RawResearch", vec![]),
        ("CareWithConsent", vec![]),
        ("PrivateHome", vec!["people"]),
        ("EnterpriseAnonymous", vec!["heat", "people"]),
        ("StrictNoIdentity", vec!["links", "flows", "heat", "people"]),
    ] {
        let (_place, _bench, router) = served(mode, Limits::default());
        for what in crate::export::What::ALL {
            let (status, _, text) = call(&router, get(&format!("/v1/export?what={}&{DAY}", what.name()))).await;
            if refused.contains(&what.name()) {
                assert_eq!(status, StatusCode::FORBIDDEN, "{mode} {what:?}");
                assert!(text.contains("PRIVACY"), "{text}");
            } else {
                assert_eq!(status, StatusCode::OK, "{mode} {what:?}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_a_reason() {
    let (_place, _bench, router) = served("RawResearch", Limits::default());
    for (query, expected) in [
        ("", "INVALID_ARGUMENT"),
        ("what=secrets&from=2025-10-09&to=2025-10-10", "INVALID_ARGUMENT"),
        ("what=heat&from=2025-10-10&to=2025-10-09", "INVALID_ARGUMENT"),
        ("what=heat&from=yesterday&to=2025-10-09", "INVALID_ARGUMENT"),
        (
            "what=heat&from=2025-10-09&to=2025-10-10&resolution=2s",
            "INVALID_ARGUMENT",
        ),
        ("what=heat&from=2025-10-09&to=2025-10-10&limit=1", "INVALID_ARGUMENT"),
    ] {
        let (status, _, text) = call(&router, get(&format!("/v1/export?{query}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {text}");
        assert!(text.contains(expected), "{query}: {text}");
    }
    let none = Limits {
        bundles: 0,
        ..Limits::default()
    };
    let (_place, _bench, busy) = served("RawResearch", none);
    let (status, _, text) = call(&busy, get(&format!("/v1/export?what=heat&{DAY}"))).await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE && text.contains("BUSY"),
        "{text}"
    );
}
