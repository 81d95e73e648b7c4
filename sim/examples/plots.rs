//! Draws the figures of docs/simulator.md: `cargo run --release -p tapline-sim --example plots docs/images`.

#![allow(clippy::print_stdout, reason = "a program that reports to its user")]

use std::{error::Error, fmt::Write as _, fs, path::Path};

use num_complex::Complex64;
use tapline_sim::{LIGHT_M_S, Scene, Simulator};

/// A line of a figure.
struct Series {
    label: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// A diagram: axes as (label, low, high, ticks), upright marks, lines.
struct Figure {
    title: &'static str,
    x: (&'static str, f64, f64, usize),
    y: (&'static str, f64, f64, usize),
    marks: Vec<(f64, &'static str)>,
    series: Vec<Series>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const EDGE: f64 = 44.0;
const BLUE: &str = "#1f6fb4";
const ORANGE: &str = "#d9700a";

impl Figure {
    fn svg(&self) -> Result<String, std::fmt::Error> {
        let (w, h) = (WIDTH - LEFT - 16.0, HEIGHT - 2.0 * EDGE);
        let px = |x: f64| LEFT + (x - self.x.1) / (self.x.2 - self.x.1) * w;
        let py = |y: f64| EDGE + (self.y.2 - y) / (self.y.2 - self.y.1) * h;
        let mut out = String::new();
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\"><title>{}</title><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>",
            self.title, self.title
        )?;
        for i in 0..=self.x.3 {
            let x = self.x.1 + (self.x.2 - self.x.1) * i as f64 / self.x.3 as f64;
            writeln!(
                out,
                "<path d=\"M{0:.1} {EDGE}v{h}\" stroke=\"#ddd\"/><text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{x}</text>",
                px(x),
                HEIGHT - EDGE + 16.0
            )?;
        }
        for i in 0..=self.y.3 {
            let y = self.y.1 + (self.y.2 - self.y.1) * i as f64 / self.y.3 as f64;
            writeln!(
                out,
                "<path d=\"M{LEFT} {0:.1}h{w}\" stroke=\"#ddd\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{y}</text>",
                py(y),
                LEFT - 6.0,
                py(y) + 4.0
            )?;
        }
        for (x, label) in &self.marks {
            writeln!(
                out,
                "<path d=\"M{0:.1} {EDGE}v{h}\" stroke=\"#777\" stroke-dasharray=\"4 3\"/>\
                 <text x=\"{1:.1}\" y=\"{2}\" fill=\"#555\">{label}</text>",
                px(*x),
                px(*x) + 4.0,
                EDGE + 12.0
            )?;
        }
        for (i, s) in self.series.iter().enumerate() {
            let points: String = s
                .points
                .iter()
                .map(|(x, y)| format!("{:.1},{:.1} ", px(*x), py(*y)))
                .collect();
            let y = 18.0 + 16.0 * i as f64;
            writeln!(
                out,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{0}\" stroke-width=\"1.5\"/>\
                 <path d=\"M{1} {2}h24\" stroke=\"{0}\" stroke-width=\"3\"/><text x=\"{3}\" y=\"{4}\">{5}</text>",
                s.colour,
                WIDTH - 220.0,
                y - 4.0,
                WIDTH - 190.0,
                y,
                s.label
            )?;
        }
        writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text></svg>",
            LEFT + w / 2.0,
            HEIGHT - 8.0,
            self.x.0,
            EDGE + h / 2.0,
            self.y.0
        )?;
        Ok(out)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(into) = std::env::args().nth(1) else {
        return Err("usage: plots DIRECTORY".into());
    };
    for (name, svg) in [
        ("simulator-fresnel.svg", fresnel()?.svg()?),
        ("simulator-doppler.svg", doppler()?.svg()?),
        ("simulator-link.svg", link()?.svg()?),
        ("simulator-plan.svg", plan()?),
    ] {
        let path = Path::new(&into).join(name);
        fs::write(&path, svg)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// A hall whose walls do nothing, with a 5 m link and what else is given.
fn hall(rest: &str) -> Result<Simulator, Box<dyn Error>> {
    let text = format!(
        "name='hall'\ntitle='hall'\nduration_s=60.0\n\
         [radio]\ntier='HT20'\ncentre_mhz=2437.0\nrate_hz=20.0\nreflections=0\n\
         [[room]]\nid='hall'\nmin=[-20,-20,0]\nmax=[20,20,10]\n\
         [[node]]\nid=1\nat=[-2.5,0,1.2]\nantenna={{kind='isotropic'}}\n\
         [[node]]\nid=2\nat=[2.5,0,1.2]\nantenna={{kind='isotropic'}}\n{rest}"
    );
    Ok(Simulator::new(Scene::from_toml(&text)?, 1)?)
}

fn power(channel: &[Complex64]) -> f64 {
    channel.iter().map(Complex64::norm_sqr).sum::<f64>() / channel.len() as f64
}

fn channel(s: &mut Simulator, t_s: f64) -> Result<Vec<Complex64>, Box<dyn Error>> {
    Ok(s.channel_at(1, 2, t_s).ok_or("nodes 1 and 2 are in every scene")?)
}

fn fresnel() -> Result<Figure, Box<dyn Error>> {
    let empty = power(&channel(&mut hall("")?, 0.0)?);
    let mut points = Vec::new();
    for i in -250..=250 {
        let y = f64::from(i) * 0.01;
        let person = format!("[[person]]\nid=1\nstart=[0.0,{y:?}]\nfacing_deg=90.0\nbreath_mm=0.0\n");
        points.push((
            y,
            10.0 * libm::log10(power(&channel(&mut hall(&person)?, 0.0)?) / empty),
        ));
    }
    let zone = (0.25 * 5.0 * LIGHT_M_S / 2.437e9).sqrt();
    Ok(Figure {
        title: "A person beside the middle of a 5 m link",
        x: ("distance from the line, m", -2.5, 2.5, 10),
        y: ("level against the empty hall, dB", -12.0, 4.0, 8),
        marks: vec![(-zone, "first Fresnel zone"), (zone, "")],
        series: vec![Series {
            label: "2437 MHz, HT20 mean",
            colour: BLUE,
            points,
        }],
    })
}

fn doppler() -> Result<Figure, Box<dyn Error>> {
    let walker = "[[person]]\nid=1\nstart=[-6.0,4.0]\nbreath_mm=0.0\n[[person.do]]\nwalk=[[14.0,4.0]]\nspeed_m_s=1.2\n";
    let mut s = hall(walker)?;
    let still = channel(&mut hall("")?, 0.0)?[26];
    let (n, rate_hz, begin_s) = (512_u32, 256.0, 9.0);
    let mut signal = Vec::new();
    for i in 0..n {
        signal.push(channel(&mut s, begin_s + f64::from(i) / rate_hz)?[26] - still);
    }
    let level = |f: f64| {
        let sum: Complex64 = signal
            .iter()
            .zip(0..n)
            .map(|(v, i)| {
                let phase = core::f64::consts::TAU * f64::from(i) / rate_hz;
                let window = 0.5 - 0.5 * libm::cos(core::f64::consts::TAU * f64::from(i) / f64::from(n));
                v * Complex64::new(libm::cos(phase * f), -libm::sin(phase * f)) * window
            })
            .sum();
        10.0 * libm::log10(sum.norm_sqr())
    };
    let spectrum: Vec<(f64, f64)> = (-600..=200)
        .map(|i| f64::from(i) * 0.1)
        .map(|f| (f, level(f)))
        .collect();
    let top = spectrum.iter().map(|p| p.1).fold(f64::MIN, f64::max);
    let way = |t: f64| {
        let at = s.bodies_at(t)[0].segments[1].at;
        let to = |x: f64| ((at.x - x) * (at.x - x) + at.y * at.y + (at.z - 1.2) * (at.z - 1.2)).sqrt();
        to(-2.5) + to(2.5)
    };
    let trunk_hz = -(way(begin_s + 1.5) - way(begin_s + 0.5)) * 2.437e9 / LIGHT_M_S;
    Ok(Figure {
        title: "Doppler spectrum of a person walking away, 2 s",
        x: ("Doppler shift, Hz", -60.0, 20.0, 8),
        y: ("power, dB", -60.0, 0.0, 6),
        marks: vec![(trunk_hz, "trunk, from its velocity")],
        series: vec![Series {
            label: "scattered field, tone +1",
            colour: BLUE,
            points: spectrum
                .into_iter()
                .map(|(f, p)| (f, f64::max(p - top, -60.0)))
                .collect(),
        }],
    })
}

fn link() -> Result<Figure, Box<dyn Error>> {
    let mut s = Simulator::new(Scene::builtin("one-walker")?, 1)?;
    let mut lines = [Vec::new(), Vec::new()];
    for i in 0..1400 {
        let t_s = 35.0 + f64::from(i) * 0.05;
        for (line, (tx, rx)) in lines.iter_mut().zip([(1, 3), (1, 4)]) {
            let h = s.channel_at(tx, rx, t_s).ok_or("nodes 1, 3, 4 are in the scene")?;
            line.push((t_s, 15.0 + 10.0 * libm::log10(power(&h))));
        }
    }
    let [across, beside] = lines;
    Ok(Figure {
        title: "Level on two links of scene one-walker",
        x: ("time, s", 35.0, 105.0, 7),
        y: ("level, dBm", -60.0, -25.0, 7),
        marks: vec![(40.0, "someone comes")],
        series: vec![
            Series {
                label: "1 to 3, across the room",
                colour: BLUE,
                points: across,
            },
            Series {
                label: "1 to 4, along a wall",
                colour: ORANGE,
                points: beside,
            },
        ],
    })
}

/// The floor plan of scene one-walker with the way walked.
fn plan() -> Result<String, Box<dyn Error>> {
    let s = Simulator::new(Scene::builtin("one-walker")?, 1)?;
    let (scale, edge) = (60.0, 24.0);
    let (px, py) = (|x: f64| edge + x * scale, |y: f64| edge + (5.0 - y) * scale);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\
         <title>Floor plan of scene one-walker</title><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        px(9.2),
        py(0.0) + edge
    );
    let scene = s.scene();
    for r in &scene.room {
        write!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#333\" stroke-width=\"4\"/>",
            px(r.min.x),
            py(r.max.y),
            (r.max.x - r.min.x) * scale,
            (r.max.y - r.min.y) * scale
        )?;
    }
    for d in &scene.door {
        let (x, y, half) = (px(d.at[0]), py(d.at[1]), d.width_m / 2.0 * scale);
        write!(
            out,
            "<path d=\"M{x} {}v{}\" stroke=\"#fff\" stroke-width=\"6\"/>",
            y - half,
            2.0 * half
        )?;
    }
    for f in &scene.furniture {
        write!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#e6d9c4\" stroke=\"#a58\"/>",
            px(f.min.x),
            py(f.max.y),
            (f.max.x - f.min.x) * scale,
            (f.max.y - f.min.y) * scale
        )?;
    }
    let mut way = String::new();
    for i in 0..((s.duration_s() * 10.0) as u32) {
        for p in s.truth_at(f64::from(i) * 0.1).people {
            write!(way, "{:.1},{:.1} ", px(p.position_m[0]), py(p.position_m[1]))?;
        }
    }
    write!(
        out,
        "<polyline points=\"{way}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"1.5\"/>"
    )?;
    for n in &scene.node {
        write!(
            out,
            "<circle cx=\"{0}\" cy=\"{1}\" r=\"7\" fill=\"{ORANGE}\"/><text x=\"{2}\" y=\"{3}\">{4}</text>",
            px(n.at.x),
            py(n.at.y),
            px(n.at.x) + 10.0,
            py(n.at.y) + 4.0,
            n.id
        )?;
    }
    Ok(out + "</svg>\n")
}
