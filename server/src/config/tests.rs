//! What a fleet file may say, and how it is told what is wrong.

use std::path::Path;

use super::*;

/// A fleet of one site with a room of this size, two nodes and a mesh of strengths; `server` and `site` are added to it.
fn fleet(room_m: f32, server: &str, site: &str) -> Result<Fleet, String> {
    let text = format!(
        "version = 1\n[server]\n{server}\n[[site]]\nid = \"s\"\n{site}\n\
         [[site.room]]\nid = \"r\"\noutline_m = [[0.0, 0.0], [{room_m:?}, 0.0], [{room_m:?}, {room_m:?}], [0.0, {room_m:?}]]\n\
         [[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n[[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n"
    );
    Fleet::parse(&text, Path::new("fleet.toml")).map_err(|e| e.to_string())
}

fn refused(fleet: Result<Fleet, String>, expect: &[&str]) {
    let error = fleet.expect_err("a problem");
    for part in expect {
        assert!(error.contains(part), "{part:?}: {error}");
    }
    assert!(error.contains("1 problem(s)"), "{error}");
}

/// `config check` called good what `serve` refused.
#[test]
fn what_cannot_be_served_is_no_good_file() {
    // 256 x 256 voxels of 0.25 m.
    assert!(fleet(64.0, "", "").is_ok());
    refused(
        fleet(64.25, "", ""),
        &["site[0].pipeline.grid.pitch_m", "66049 voxels", "at most 65536"],
    );
    refused(
        fleet(64.0, "", "pipeline.grid = { pitch_m = 0.25, layers = 2 }"),
        &["line 6: site[0].pipeline.grid.pitch_m", "131072 voxels"],
    );
    assert!(fleet(64.25, "", "pipeline.grid.pitch_m = 0.5").is_ok());

    for (one, key) in [
        ("tls_certificate = \"c.pem\"", "line 3: server.tls_certificate"),
        ("tls_key = \"k.pem\"", "line 3: server.tls_key"),
    ] {
        refused(fleet(5.0, one, ""), &[key, "together, or neither"]);
    }
    assert!(fleet(5.0, "tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"", "").is_ok());

    // One path more than the front stages take.
    let channels = (1..=64).map(|c| c.to_string()).collect::<Vec<_>>().join(", ");
    let links = |pairs: u16| -> String {
        let node = |id: u16| format!("[[site.node]]\nid = {id}\nposition_m = [3.0, 0.0, 1.0]\n");
        let link = |rx: u16| {
            format!("[[site.link]]\ntx = 1\nrx = {rx}\nkind = \"rss\"\nchannels = [{channels}]\ntx_antennas = 4\n")
        };
        (10..10 + pairs).map(|id| node(id) + &link(id)).collect()
    };
    assert_eq!(limits::PATHS, 16 * 64 * 4);
    assert!(fleet(5.0, "", &links(16)).is_ok());
    refused(
        fleet(5.0, "", &links(17)),
        &["site[0].link", "4352 link paths", "at most 4096"],
    );
}

/// A campus has its origin kilometres away: products of such coordinates in single precision have no square metre left.
#[test]
fn an_outline_far_from_the_origin_has_its_area_and_its_sense() {
    let outline = [[3006.8, 3011.3], [3008.0, 3011.3], [3008.0, 3012.1], [3006.8, 3012.1]];
    assert_eq!(check_outline("zone", &outline), Ok(()));
    let mut reversed = outline;
    reversed.reverse();
    let problem = check_outline("zone", &reversed).unwrap_err();
    assert_eq!(problem.found, "an area of -0.960 square metres");
    assert!(check_outline("zone", &[]).is_err());
}

/// `history(area)` and `why` answered for the room where a zone of the same id was meant.
#[test]
fn site_rooms_and_zones_do_not_share_an_id() {
    let with = |room: &str, zone: &str| {
        fleet(
            5.0,
            "",
            &format!(
                "[[site.room]]\nid = {room:?}\noutline_m = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]\n\
                 [[site.zone]]\nid = {zone:?}\nroom = \"r\"\noutline_m = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]\n"
            ),
        )
    };
    assert!(with("attic", "bed").is_ok());
    for (room, zone, key) in [
        ("s", "bed", "line 7: site[0].room[0].id"),
        ("site", "bed", "line 7: site[0].room[0].id"),
        ("attic", "attic", "line 10: site[0].zone[0].id"),
        ("attic", "r", "line 10: site[0].zone[0].id"),
        ("r", "bed", "site[0].room[1].id"),
    ] {
        refused(
            with(room, zone),
            &[key, "twice", "an id of its own among site, rooms and zones"],
        );
    }
}
