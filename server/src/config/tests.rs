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

/// Two nodes with these antennas of the second, a link of this many receive antennas to it.
fn array(antennas_m: &str, link: &str) -> Result<Fleet, String> {
    let text = format!(
        "version = 1\n[[site]]\nid = \"s\"\n[[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0]\n\
         [[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\nantennas_m = {antennas_m}\n[[site.link]]\ntx = 1\nrx = 2\n{link}\n"
    );
    Fleet::parse(&text, Path::new("fleet.toml")).map_err(|e| e.to_string())
}

#[test]
fn antennas_of_a_node_are_few_near_and_apart() {
    for good in [
        "[]",
        "[[0.0, 0.0], [0.1, 0.0]]",
        "[[0.1, 0.0], [0.105, 0.0], [0.1, 0.005]]",
        "[[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]",
    ] {
        assert!(array(good, "").is_ok(), "{good}");
    }
    for (bad, key, found) in [
        (
            "[[0.0, 0.0]]",
            "antennas_m",
            "found 1 antennas; allowed: none, or 2 to 4",
        ),
        (
            "[[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.3, 0.0], [0.4, 0.0]]",
            "antennas_m",
            "found 5 antennas",
        ),
        (
            "[[0.0, 0.0], [1.01, 0.0]]",
            "antennas_m[1]",
            "found 1.01; allowed: metres from position_m between -1 and 1",
        ),
        ("[[0.0, -30.0], [0.1, 0.0]]", "antennas_m[0]", "found -30"),
        ("[[0.0, 0.0], [nan, 0.0]]", "antennas_m[1]", "found NaN"),
        ("[[0.0, 0.0], [0.0, -inf]]", "antennas_m[1]", "found -inf"),
        (
            "[[0.0, 0.0], [0.1, 0.0], [0.003, 0.003]]",
            "antennas_m[2]",
            "found 0.0042 metres from antenna 0; allowed: at least 0.005 metres",
        ),
    ] {
        let key = format!("line 10: site[0].node[1].{key}: {found}");
        refused(array(bad, ""), &[&key]);
    }
    let syntax = array("[[0.0, 0.0, 1.0], [0.1, 0.0, 1.0]]", "").expect_err("three axes");
    assert!(
        syntax.contains("site[0].node[1].antennas_m[0]: invalid length 3, expected two numbers [x, y]"),
        "{syntax}"
    );
}

/// A place with an axis too many or too few is refused where it stands, not cut.
#[test]
fn places_have_as_many_numbers_as_axes() {
    let room = |outline: &str, rest: &str| {
        let text =
            format!("version = 1\n[[site]]\nid = \"s\"\n[[site.room]]\nid = \"r\"\noutline_m = {outline}\n{rest}\n");
        Fleet::parse(&text, Path::new("fleet.toml")).map_err(|e| e.to_string())
    };
    let square = "[[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]";
    for (outline, rest, wrong) in [
        (
            "[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [4.0, 3.0, 0.0]]",
            "",
            "outline_m[0]: invalid length 3, expected two numbers [x, y]",
        ),
        (
            square,
            "[[site.door]]\nid = \"d\"\nroom = \"r\"\nat_m = [1.0, 0.0, 0.0]",
            "at_m: invalid length 3, expected two numbers [x, y]",
        ),
        (
            square,
            "[[site.node]]\nid = 1\nposition_m = [1.0, 0.0]",
            "position_m: invalid length 2, expected three numbers [x, y, z]",
        ),
        (
            square,
            "[[site.node]]\nid = 1\nposition_m = [1.0, 0.0, 1.0, 1.0]",
            "position_m: invalid length 4, expected three numbers [x, y, z]",
        ),
    ] {
        let error = room(outline, rest).expect_err(wrong);
        assert!(error.contains(wrong), "{error}");
    }
}

/// Of three antennas of four it would not be known which ones they are.
#[test]
fn a_link_to_an_array_has_one_antenna_of_it_or_all() {
    let four = "[[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.3, 0.0]]";
    let paths = |antennas_m: &str, link: &str| {
        let fleet = array(antennas_m, link).expect("a good fleet file");
        fleet.select(None, "").expect("one site").paths.len()
    };
    assert_eq!(paths(four, ""), 1);
    assert_eq!(paths(four, "rx_antennas = 4"), 4);
    assert_eq!(paths("[]", "rx_antennas = 3"), 3);
    assert_eq!(paths(four, "kind = \"rss\"\nrx_antennas = 2"), 2);
    for (antennas_m, link, allowed) in [
        (
            four,
            "rx_antennas = 3",
            "line 14: site[0].link[0].rx_antennas: found 3; allowed: 1, or 4: as many as node 2 has",
        ),
        (
            "[[0.0, 0.0], [0.1, 0.0]]",
            "rx_antennas = 4",
            "found 4; allowed: 1, or 2",
        ),
        (four, "rx_antennas = 5", "found 5; allowed: 1 to 4"),
    ] {
        refused(array(antennas_m, link), &[allowed]);
    }
}

/// Strength reports name no antenna, so a mesh of strengths has no path that nothing would ever reach.
#[test]
fn a_mesh_has_all_antennas_of_the_node_that_receives() {
    let mesh = |kind: &str, antennas_m: [&str; 3]| {
        let node = |(id, antennas_m): (usize, &str)| {
            format!("[[site.node]]\nid = {id}\nposition_m = [{id}.0, 0.0, 1.0]\nantennas_m = {antennas_m}\n")
        };
        let nodes: String = antennas_m.into_iter().enumerate().map(node).collect();
        let text = format!("version = 1\n[[site]]\nid = \"s\"\n{nodes}[site.mesh]\nkind = {kind:?}\n");
        let fleet = Fleet::parse(&text, Path::new("fleet.toml")).expect("a good fleet file");
        fleet.select(None, "").expect("one site").paths
    };
    let four = "[[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.3, 0.0]]";
    let paths = mesh("csi", [four; 3]);
    assert_eq!(paths.len(), 6 * 4);
    let antennas = |tx: u16, rx: u16| {
        let of = paths.iter().filter(|p| (p.tx, p.rx) == (tx, rx));
        of.map(|p| (p.tx_antenna, p.rx_antenna)).collect::<Vec<_>>()
    };
    assert_eq!(antennas(2, 0), [(0, 0), (0, 1), (0, 2), (0, 3)]);
    // Two links to each: of four antennas, of two, of one.
    assert_eq!(
        mesh("csi", [four, "[[0.0, 0.0], [0.1, 0.0]]", "[]"]).len(),
        2 * 4 + 2 * 2 + 2
    );
    assert_eq!(mesh("rss", [four; 3]).len(), 6);
}
