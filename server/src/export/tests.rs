//! What is exported is what the store answers, however it is cut.

use rusqlite::Connection;

use super::{Cell, Csv, ExportError, Request, Resolution, Sink, Span, What, export, rows::in_pieces};
use crate::{
    rollup::{Calendar, Kind, Level, Series, fields::area},
    store::rollup::{
        query,
        tests::{roll, store},
    },
};

const ALL: Span = Span {
    from_s: None,
    to_s: None,
};

fn berlin() -> Calendar {
    Calendar::of("Europe/Berlin").unwrap()
}

/// The rows, each cell as text.
#[derive(Default)]
struct Rows(Vec<Vec<String>>);

impl Sink for Rows {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.0.push(cells.iter().map(|c| format!("{c:?}")).collect());
        Ok(())
    }
}

fn request(db: &Connection, what: What, level: Level) -> Request {
    Request::settle(db, what, ALL, Resolution::At(level), true).unwrap()
}

fn csv(db: &Connection, request: &Request) -> Vec<Vec<String>> {
    let mut csv = Csv::new(Vec::new(), request.what).unwrap();
    export(db, &berlin(), request, &mut csv).unwrap();
    let text = String::from_utf8(csv.finish().unwrap()).unwrap();
    let lines: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let names: Vec<&str> = request.what.columns().iter().map(|c| c.name).collect();
    assert_eq!(lines[0], names);
    lines[1..].to_vec()
}

#[test]
fn pieces_of_any_size_give_the_same_rows() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    for what in What::ALL {
        for level in Level::ALL {
            let request = request(&db, what, level);
            let rows = |piece| {
                let mut rows = Rows::default();
                let counted = in_pieces(&db, &berlin(), &request, &mut rows, piece).unwrap();
                assert_eq!(counted, rows.0.len() as u64);
                rows.0
            };
            let whole = rows(1_000_000);
            assert!(whole.iter().all(|row| row.len() == what.columns().len()));
            for piece in [7, 60] {
                assert!(rows(piece) == whole, "{what:?} {level:?}");
            }
            // Flows need two places, and this site is one.
            assert!(!whole.is_empty() || what == What::Flows, "{what:?} {level:?}");
        }
    }
}

#[test]
fn the_columns_add_up_to_what_the_store_says() {
    let (_place, mut db, cycles) = store();
    roll(&mut db);
    let number = |row: &[String], column: usize| row[column].parse::<f64>().unwrap();
    // Occupancy of the site by seconds: states add up to the cycles, and each to the sum of its rows.
    let rows = csv(&db, &request(&db, What::Occupancy, Level::Second));
    let site: Vec<_> = rows.iter().filter(|row| row[2] == "site").collect();
    let series = Series::new(Kind::Area, "site");
    let points = query::points(&db, &berlin(), &series, Level::Second, (0, i64::MAX), 10_000).unwrap();
    assert_eq!(site.len(), points.points.len());
    for (row, point) in site.iter().zip(&points.points) {
        assert_eq!((4..8).map(|i| number(row, i)).sum::<f64>(), number(row, 3));
        assert_eq!(number(row, 6), point.row.sum[area::STATE + 2] as f64);
    }
    let operation = csv(&db, &request(&db, What::Operation, Level::Second));
    let counted: f64 = operation.iter().map(|row| number(row, 2)).sum();
    assert!(
        counted > cycles.len() as f64 - 21.0 && counted < cycles.len() as f64,
        "{counted}"
    );
    // Time in the cells is time of the people.
    let heat: f64 = csv(&db, &request(&db, What::Heat, Level::Minute))
        .iter()
        .map(|row| number(row, 5))
        .sum();
    let people: f64 = csv(&db, &request(&db, What::People, Level::Minute))
        .iter()
        .map(|row| number(row, 4) / 20.0)
        .sum();
    assert!(heat > 1.0 && (heat - people).abs() < 1e-6, "{heat} {people}");
    // Changes ascend.
    let events = csv(&db, &request(&db, What::Events, Level::Second));
    assert!(events.len() > 10 && events.windows(2).all(|w| number(&w[0], 1) <= number(&w[1], 1)));
    // The cycle is the sum of nine stages.
    let latency = csv(&db, &request(&db, What::Latency, Level::Hour));
    for window in latency.chunks(10) {
        let stages: f64 = window[1..].iter().map(|row| number(row, 4)).sum();
        assert!((number(&window[0], 4) - stages).abs() < 1e-6, "{window:?}");
    }
}

#[test]
fn without_zones_there_is_nothing_finer_than_a_room() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    for what in [What::Occupancy, What::Events] {
        let all = request(&db, what, Level::Second);
        let rooms = Request { zones: false, ..all };
        let column = what.columns().iter().position(|c| c.name == "area").unwrap();
        let names = |request: &Request| {
            let rows = csv(&db, request).into_iter();
            rows.map(|row| row[column].clone())
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(
            names(&all).into_iter().collect::<Vec<_>>(),
            ["room:living", "site", "zone:sofa"]
        );
        assert_eq!(names(&rooms).into_iter().collect::<Vec<_>>(), ["room:living", "site"]);
    }
}

#[test]
fn what_is_left_open_is_settled_by_what_there_is() {
    let (_place, mut db, _) = store();
    let nothing = Request::settle(&db, What::Occupancy, ALL, Resolution::Auto, true).unwrap();
    assert!(csv(&db, &nothing).is_empty());
    roll(&mut db);
    // The store says itself which calendar it follows.
    assert_eq!(query::calendar(&db).unwrap().name(), "Europe/Berlin");
    // 25 hours: by minutes, for 10,000 windows must do.
    let auto = Request::settle(&db, What::Occupancy, ALL, Resolution::Auto, true).unwrap();
    assert_eq!(auto.level, Level::Minute);
    let far = Span {
        from_s: Some(i64::MIN),
        to_s: Some(i64::MAX),
    };
    let clamped = Request::settle(&db, What::Occupancy, far, Resolution::At(Level::Second), true).unwrap();
    assert!(clamped.windows() < 100_000, "{clamped:?}");
    assert_eq!(
        csv(&db, &clamped),
        csv(&db, &request(&db, What::Occupancy, Level::Second))
    );
}
