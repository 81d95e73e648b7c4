//! The fleet file of a scene.

use std::fmt::Write as _;

use super::scene::Scene;

/// Room, two zones, doors, nodes with their antennas, and all links.
pub(super) fn fleet_file(scene: &Scene) -> String {
    let name = scene.scenario.name();
    let [width_m, depth_m, height_m] = scene.room.size_m;
    let outline = |west_m: f64, east_m: f64| {
        format!("[[{west_m:?}, 0.0], [{east_m:?}, 0.0], [{east_m:?}, {depth_m:?}], [{west_m:?}, {depth_m:?}]]")
    };
    let mut text = format!(
        "# A room of an independent simulator, scene \"{name}\".\n\nversion = 1\n\n[defaults.privacy]\nmode = \"RawResearch\"\n\n\
         [[site]]\nid = \"os-{name}\"\nname = \"Independent simulator, {name}\"\n\n\
         [[site.room]]\nid = \"lab\"\noutline_m = {}\nheight_m = {height_m:?}\n",
        outline(0.0, width_m)
    );
    for (id, west_m, east_m) in [("west", 0.0, width_m / 2.0), ("east", width_m / 2.0, width_m)] {
        let outline = outline(west_m, east_m);
        let _ = write!(
            text,
            "\n[[site.zone]]\nid = \"{id}\"\nroom = \"lab\"\noutline_m = {outline}\n"
        );
    }
    for (number, door) in (1..).zip(&scene.room.doors) {
        let id = if number == 1 {
            "door".to_owned()
        } else {
            format!("door-{number}")
        };
        let _ = write!(
            text,
            "\n[[site.door]]\nid = \"{id}\"\nroom = \"lab\"\nat_m = {:?}\nwidth_m = {:?}\n",
            door.at_m, door.width_m
        );
    }
    add_nodes(scene, &mut text);
    add_links(scene, &mut text);
    text
}

fn add_nodes(scene: &Scene, text: &mut String) {
    for node in &scene.nodes {
        let at_m = [node.at.x, node.at.y, node.at.z];
        let _ = write!(
            text,
            "\n[[site.node]]\nid = {}\nposition_m = {at_m:?}\nrole = \"sensor\"\nchip = \"esp32s3\"\nsimulated = true\n",
            node.id
        );
        if node.antennas.len() > 1 {
            let antennas_m: Vec<[f64; 2]> = node.antennas.iter().map(|antenna| [antenna.x, antenna.y]).collect();
            let _ = writeln!(text, "antennas_m = {antennas_m:?}");
        }
    }
}

fn add_links(scene: &Scene, text: &mut String) {
    for tx in &scene.nodes {
        for rx in scene.nodes.iter().filter(|rx| rx.id != tx.id) {
            let _ = write!(
                text,
                "\n[[site.link]]\ntx = {}\nrx = {}\ntier = \"HT40\"\n",
                tx.id, rx.id
            );
            if rx.antennas.len() > 1 {
                let _ = writeln!(text, "rx_antennas = {}", rx.antennas.len());
            }
            text.push_str("channels = [6]\n");
        }
    }
}
