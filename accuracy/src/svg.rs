//! Small pictures: curves in axes, and plans with equal scales. Deterministic text, no dependency.
#![allow(dead_code, reason = "shared by the families; not every one needs all of it")]

use std::fmt::Write as _;

const WIDTH: f64 = 560.0;
const MARGIN: [f64; 4] = [34.0, 18.0, 48.0, 56.0];
/// Colour-blind safe (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555",
];

/// A picture under construction.
pub(crate) struct Picture {
    title: String,
    labels: [String; 2],
    low: [f64; 2],
    high: [f64; 2],
    height: f64,
    body: String,
    legend: Vec<(String, &'static str)>,
}

impl Picture {
    /// Axes over these ranges, with names.
    pub(crate) fn chart(title: &str, x: (&str, [f64; 2]), y: (&str, [f64; 2])) -> Self {
        Self {
            title: title.to_owned(),
            labels: [x.0.to_owned(), y.0.to_owned()],
            low: [x.1[0], y.1[0]],
            high: [x.1[1], y.1[1]],
            height: 320.0,
            body: String::new(),
            legend: Vec::new(),
        }
    }

    /// A floor plan: metres on both axes, at one scale.
    pub(crate) fn plan(title: &str, low_m: [f64; 2], high_m: [f64; 2]) -> Self {
        let mut picture = Self::chart(title, ("x, m", [low_m[0], high_m[0]]), ("y, m", [low_m[1], high_m[1]]));
        let inner = WIDTH - MARGIN[1] - MARGIN[3];
        let ratio = (high_m[1] - low_m[1]) / (high_m[0] - low_m[0]).max(1e-9);
        picture.height = inner * ratio + MARGIN[0] + MARGIN[2];
        picture
    }

    fn at(&self, point: [f64; 2]) -> (f64, f64) {
        let share = |axis: usize| (point[axis] - self.low[axis]) / (self.high[axis] - self.low[axis]).max(1e-12);
        let (w, h) = (WIDTH - MARGIN[1] - MARGIN[3], self.height - MARGIN[0] - MARGIN[2]);
        (MARGIN[3] + share(0) * w, MARGIN[0] + (1.0 - share(1)) * h)
    }

    /// The colour of the nth thing drawn.
    pub(crate) fn colour(n: usize) -> &'static str {
        COLOURS[n % COLOURS.len()]
    }

    /// A line through the points, named in the legend unless the name is empty.
    pub(crate) fn line(&mut self, name: &str, colour: &'static str, points: &[[f64; 2]]) {
        self.path(name, colour, points, "");
    }

    /// A dashed line.
    pub(crate) fn dashed(&mut self, name: &str, colour: &'static str, points: &[[f64; 2]]) {
        self.path(name, colour, points, " stroke-dasharray=\"5 4\"");
    }

    fn path(&mut self, name: &str, colour: &'static str, points: &[[f64; 2]], extra: &str) {
        let mut text = String::new();
        for &point in points {
            let (x, y) = self.at(point);
            let _ = write!(text, "{x:.1},{y:.1} ");
        }
        let _ = writeln!(
            self.body,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{extra} points=\"{}\"/>",
            text.trim_end()
        );
        self.name(name, colour);
    }

    /// Dots of this radius, pixels.
    pub(crate) fn dots(&mut self, name: &str, colour: &'static str, radius: f64, points: &[[f64; 2]]) {
        for &point in points {
            let (x, y) = self.at(point);
            let _ = writeln!(
                self.body,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>"
            );
        }
        self.name(name, colour);
    }

    /// A filled rectangle from corner to corner; `shade` 0 is white, 1 is the darkest.
    pub(crate) fn cell(&mut self, low: [f64; 2], high: [f64; 2], shade: f64) {
        let ((x0, y1), (x1, y0)) = (self.at(low), self.at(high));
        let grey = (255.0 * (1.0 - 0.85 * shade.clamp(0.0, 1.0))).round() as u8;
        let _ = writeln!(
            self.body,
            "<rect x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"rgb({grey},{grey},255)\"/>",
            x1 - x0 + 0.3,
            y1 - y0 + 0.3
        );
    }

    /// A pale band over a part of the x axis.
    pub(crate) fn band(&mut self, name: &str, from: f64, to: f64) {
        let ((x0, y1), (x1, y0)) = (self.at([from, self.low[1]]), self.at([to, self.high[1]]));
        let _ = writeln!(
            self.body,
            "<rect x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#eee5c8\"/>",
            x1 - x0,
            y1 - y0
        );
        self.name(name, "#d8c88a");
    }

    fn name(&mut self, name: &str, colour: &'static str) {
        if !name.is_empty() && !self.legend.iter().any(|(n, _)| n == name) {
            self.legend.push((name.to_owned(), colour));
        }
    }

    /// The file's text.
    pub(crate) fn svg(self) -> String {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{h:.0}\" viewBox=\"0 0 {WIDTH} {h:.0}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{}\" y=\"20\" font-size=\"13\">{}</text>\n",
            MARGIN[3],
            escape(&self.title),
            h = self.height,
        );
        text += &self.body;
        let (left, bottom) = self.at(self.low);
        let (right, top) = self.at(self.high);
        let _ = writeln!(
            text,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"#333\"/>",
            right - left,
            bottom - top
        );
        for tick in ticks(self.low[0], self.high[0]) {
            let (x, _) = self.at([tick, self.low[1]]);
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 14.0,
                number(tick)
            );
        }
        for tick in ticks(self.low[1], self.high[1]) {
            let (_, y) = self.at([self.low[0], tick]);
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 5.0,
                y + 4.0,
                number(tick)
            );
        }
        let (middle_x, middle_y) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let _ = writeln!(
            text,
            "<text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(14 {middle_y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            bottom + 32.0,
            escape(&self.labels[0]),
            escape(&self.labels[1])
        );
        for (i, (name, colour)) in self.legend.iter().enumerate() {
            let y = top + 14.0 + 15.0 * i as f64;
            let _ = writeln!(
                text,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"4\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
                right - 18.0,
                y - 6.0,
                right - 24.0,
                escape(name)
            );
        }
        text + "</svg>\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// About five round numbers within a range.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    if !(raw.is_finite() && raw > 0.0) {
        return Vec::new();
    }
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw);
    let step = step.unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

fn number(v: f64) -> String {
    let text = format!("{v:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            ticks(0.0, 1.0).iter().map(|t| number(*t)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(ticks(0.0, 400.0).len(), 5);
        assert!(ticks(1.0, 1.0).is_empty());
    }

    #[test]
    fn a_picture_is_whole() {
        let mut p = Picture::plan("a < b", [0.0, 0.0], [4.0, 2.0]);
        p.line("truth", Picture::colour(0), &[[0.0, 0.0], [4.0, 2.0]]);
        let svg = p.svg();
        assert!(
            svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.contains("a &lt; b"),
            "{svg}"
        );
        assert!(svg.contains("points=\"56.0,277.0 542.0,34.0\""), "{svg}");
    }
}
