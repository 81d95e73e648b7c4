//! A line chart as SVG, readable on a light and on a dark page.

use std::fmt::Write as _;

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Which colour of the palette.
    pub colour: usize,
    /// Drawn dashed.
    pub dashed: bool,
    /// `(x, y)`, ascending in x.
    pub points: Vec<(f64, f64)>,
}

/// A chart; [`Chart::svg`] draws it.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: &'static str,
    /// Name and unit of the abscissa.
    pub x: &'static str,
    /// Name and unit of the ordinate.
    pub y: &'static str,
    /// Logarithmic ordinate.
    pub log: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Okabe and Ito's palette, told apart by every kind of colour vision.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
const LEFT: f64 = 64.0;
const TOP: f64 = 36.0;
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 260.0;

impl Chart {
    /// The drawing.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|l| &l.points);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
        };
        let (x0, x1) = range(&mut points().map(|p| p.0));
        let (y0, y1) = range(&mut points().map(|p| self.scale(p.1)));
        let (y0, y1) = if self.log {
            (y0.floor(), y1.ceil())
        } else {
            (y0.min(0.0), y1 * 1.05)
        };
        let place_x = |x: f64| LEFT + WIDTH * (x - x0) / (x1 - x0);
        let place_y = |y: f64| TOP + HEIGHT * (y1 - self.scale(y)) / (y1 - y0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 350\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"720\" height=\"350\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
            self.title
        );
        let ticks = |low: f64, high: f64| (0..=5).map(move |i| low + (high - low) * f64::from(i) / 5.0);
        let x_ticks: Vec<f64> = self
            .lines
            .first()
            .map_or_else(Vec::new, |l| l.points.iter().map(|p| p.0).collect());
        for x in x_ticks {
            let at = place_x(x);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {TOP}v{HEIGHT}\" stroke=\"#dddddd\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{x}</text>",
                TOP + HEIGHT + 16.0
            );
        }
        let y_ticks: Vec<f64> = if self.log {
            (y0 as i32..=y1 as i32).map(|e| 10f64.powi(e)).collect()
        } else {
            ticks(y0, y1).collect()
        };
        for y in y_ticks {
            let at = place_y(y);
            let label = if self.log { format!("{y}") } else { format!("{y:.2}") };
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}h{WIDTH}\" stroke=\"#dddddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        for (i, line) in self.lines.iter().enumerate() {
            let path: Vec<String> = line
                .points
                .iter()
                .map(|(x, y)| format!("{:.1} {:.1}", place_x(*x), place_y(*y)))
                .collect();
            let style = format!(
                "stroke=\"{}\" stroke-width=\"2\" fill=\"none\"{}",
                COLOURS[line.colour % COLOURS.len()],
                if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" }
            );
            let (left, top) = (LEFT + WIDTH + 16.0, TOP + 12.0 + 20.0 * i as f64);
            let _ = writeln!(
                svg,
                "<path d=\"M{}\" {style}/>\n<path d=\"M{left} {top}h24\" {style}/><text x=\"{}\" y=\"{}\">{}</text>",
                path.join("L"),
                left + 30.0,
                top + 4.0,
                line.name
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n</svg>",
            LEFT + WIDTH / 2.0,
            TOP + HEIGHT + 40.0,
            self.x,
            TOP + HEIGHT / 2.0,
            self.y
        );
        svg
    }

    fn scale(&self, y: f64) -> f64 {
        if self.log { y.max(1e-9).log10() } else { y }
    }
}
