//! A batch of links of one grid, from tones to taps and estimates.
//!
//! Use: [`BatchSolver::clear`], [`BatchSolver::load`] a link into each lane, [`BatchSolver::solve`],
//! [`BatchSolver::read`] each lane. What a lane gives depends on that lane's input alone, to the bit:
//! not on its number, on the other lanes, or on what the buffers held before.

use num_complex::{Complex, Complex32};

use super::{
    admm,
    delay::PathFitter,
    estimate::{Estimate, NoAnswer, Solved, describe},
    hybrid::Hybrid,
    lane::Lane,
    noise::{choose_lambda, estimate_variance},
    operator::SensingOperator,
    proximal::{self, End, Pace, Problem, Workspace},
    settings::{Method, Settings},
};
use crate::detmath;

/// Fewest measured tones, whatever the grid.
const TONES_MIN: usize = 8;
/// Largest component of a tone below which there is no signal, and above which squares overflow.
const AMPLITUDE_RANGE: (f32, f32) = (1e-15, 1e15);

/// One link's input.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Complex channel at each of the K tones; masked ones may hold anything.
    pub tones: &'a [Complex32],
    /// 0 where a tone is missing.
    pub mask: &'a [u8],
    /// Noise variance `E|n|^2` of a complex tone in the square of their unit, where it is known.
    pub noise_variance: Option<f32>,
    /// Normalised taps to start from; all zero for none.
    pub warm: &'a [Complex32],
}

/// What a lane holds beside its tones.
#[derive(Clone, Copy, Debug, Default)]
struct Loaded {
    norm: f32,
    noise_variance: Option<f32>,
}

/// Solves up to [`Lane::LANES`] links of one grid at once. Takes all its memory at construction.
pub struct BatchSolver<T: Lane, O> {
    operator: O,
    settings: Settings,
    work: Workspace<T>,
    measured: Vec<Complex<T>>,
    mask: Vec<T>,
    lambda: T,
    lanes: u32,
    loaded: Vec<Loaded>,
    ends: Vec<End>,
    hybrid: Hybrid,
    fitter: PathFitter,
    tones: Vec<Complex32>,
    mask_bytes: Vec<u8>,
    squares: Vec<f32>,
}

impl<T: Lane, O: SensingOperator<T>> BatchSolver<T, O> {
    /// Takes the memory for an operator's grid.
    pub fn new(operator: O, settings: Settings) -> Self {
        let (tones, taps) = (operator.grid().tones(), operator.grid().taps());
        let zero = Complex32::new(0.0, 0.0);
        Self {
            work: Workspace::new(tones, taps),
            measured: vec![Complex::new(T::zero(), T::zero()); tones],
            mask: vec![T::zero(); tones],
            lambda: T::one(),
            lanes: 0,
            loaded: vec![Loaded::default(); T::LANES],
            ends: vec![End::default(); T::LANES],
            hybrid: Hybrid::new(&operator),
            fitter: PathFitter::new(operator.grid()),
            tones: vec![zero; tones],
            mask_bytes: vec![0; tones],
            squares: vec![0.0; tones],
            operator,
            settings,
        }
    }

    /// The operator.
    pub fn operator(&self) -> &O {
        &self.operator
    }

    /// Bytes of work memory beside the operator's: what grows with the grid and with the lanes.
    pub fn work_bytes(&self) -> usize {
        self.work.bytes()
            + size_of_val(self.measured.as_slice())
            + size_of_val(self.mask.as_slice())
            + self.hybrid.work_bytes()
            + self.fitter.bytes()
            + size_of_val(self.tones.as_slice())
            + size_of_val(self.mask_bytes.as_slice())
            + size_of_val(self.squares.as_slice())
    }

    /// Bytes of tables beside the operator's.
    pub fn table_bytes(&self) -> usize {
        self.hybrid.table_bytes()
    }

    /// Empties every lane.
    pub fn clear(&mut self) {
        self.lanes = 0;
        self.lambda = T::one();
        let zero = Complex::new(T::zero(), T::zero());
        self.measured.fill(zero);
        self.mask.fill(T::zero());
        self.work.taps.fill(zero);
    }

    /// Puts a link into an empty lane.
    ///
    /// # Errors
    /// Why the link can have no answer; its lane then stays empty.
    ///
    /// # Panics
    /// When the lane does not exist or a slice has not the grid's length.
    pub fn load(&mut self, lane: usize, link: &Link<'_>) -> Result<(), NoAnswer> {
        let grid = self.operator.grid();
        assert!(lane < T::LANES, "lane {lane} of {}", T::LANES);
        assert_eq!(
            (link.tones.len(), link.mask.len(), link.warm.len()),
            (grid.tones(), grid.tones(), grid.taps()),
            "a link has one tone and one mask byte for each tone of its grid, one warm tap for each tap"
        );
        let (norm, count) = measure(link)?;
        let fill = count as f32 / grid.tones() as f32;
        let known = link.noise_variance.filter(|v| v.is_finite() && *v > 0.0);
        let variance = known.or_else(|| estimate_variance(grid, link.tones, |k| link.mask[k] != 0, &mut self.squares));
        let inverse = 1.0 / norm;
        let sigma = variance.map(|v| v.sqrt() * inverse);
        self.loaded[lane] = Loaded {
            norm,
            noise_variance: known.map(|v| v * inverse * inverse),
        };
        for (k, (tone, mask)) in link.tones.iter().zip(link.mask).enumerate() {
            if *mask != 0 {
                self.measured[k].re.set(lane, tone.re * inverse);
                self.measured[k].im.set(lane, tone.im * inverse);
                self.mask[k].set(lane, 1.0);
            }
        }
        let warm: &[Complex32] = if self.settings.warm_start { link.warm } else { &[] };
        if self.settings.method == Method::WorkingSet {
            self.hybrid.load(lane, warm, count == grid.tones());
        } else {
            for (tap, warm) in self.work.taps.iter_mut().zip(warm) {
                tap.re.set(lane, warm.re);
                tap.im.set(lane, warm.im);
            }
        }
        self.lambda
            .set(lane, choose_lambda(&self.settings, self.work.taps.len(), sigma, fill));
        self.lanes |= 1 << lane;
        Ok(())
    }

    /// True when the lane holds a link.
    pub fn holds(&self, lane: usize) -> bool {
        self.lanes >> lane & 1 == 1
    }

    /// Solves the loaded lanes.
    pub fn solve(&mut self) {
        let problem = Problem {
            measured: &self.measured,
            mask: &self.mask,
            lambda: self.lambda,
            lanes: self.lanes,
        };
        let (operator, settings, work, ends) = (&mut self.operator, &self.settings, &mut self.work, &mut self.ends);
        let gap_tolerance = settings.gap_tolerance;
        let pace = match settings.method {
            Method::WorkingSet => return self.hybrid.solve(operator, &problem, settings, work, ends),
            Method::Admm => {
                return admm::solve(operator, &problem, gap_tolerance, settings.max_iterations, work, ends);
            }
            Method::Ista => Pace::Plain,
            Method::Fista => Pace::Accelerated { gap_tolerance },
        };
        proximal::solve(operator, &problem, pace, settings.max_iterations, work, ends);
    }

    /// The answer of a lane. `taps` gets the gains in the tones' unit, `H(k) = sum_g taps_g exp(-2 pi i k g / G)`,
    /// all zero where there is no answer; `warm` the normalised taps for the next call.
    ///
    /// # Panics
    /// When `taps` or `warm` is not G long.
    ///
    /// # Errors
    /// [`NoAnswer::NoInput`] for an empty lane, [`NoAnswer::NoSignal`] when no tap rises above `lambda`.
    pub fn read(&mut self, lane: usize, taps: &mut [Complex32], warm: &mut [Complex32]) -> Result<Estimate, NoAnswer> {
        assert_eq!((taps.len(), warm.len()), (self.work.taps.len(), self.work.taps.len()));
        taps.fill(Complex32::new(0.0, 0.0));
        if !self.holds(lane) {
            return Err(NoAnswer::NoInput);
        }
        let loaded = self.loaded[lane];
        let end = self.ends[lane];
        for (k, tone) in self.tones.iter_mut().enumerate() {
            *tone = Complex32::new(self.measured[k].re.get(lane), self.measured[k].im.get(lane));
            self.mask_bytes[k] = u8::from(self.mask[k].get(lane) != 0.0);
        }
        for (tap, x) in warm.iter_mut().zip(&self.work.taps) {
            *tap = Complex32::new(x.re.get(lane), x.im.get(lane));
        }
        let solved = Solved {
            tones: &self.tones,
            mask: &self.mask_bytes,
            taps: warm,
            lambda: self.lambda.get(lane),
            noise_variance: loaded.noise_variance,
            iterations: end.iterations,
            certificate: end.certificate,
        };
        let estimate = describe(
            self.operator.grid(),
            &mut self.fitter,
            &solved,
            self.settings.gap_tolerance,
        )
        .ok_or(NoAnswer::NoSignal)?;
        let scale = loaded.norm / (self.tones.len() as f32).sqrt();
        for (tap, x) in taps.iter_mut().zip(warm.iter()) {
            *tap = Complex32::new(x.re * scale, x.im * scale);
        }
        Ok(estimate)
    }
}

/// Euclidean norm of the measured tones, and how many there are.
fn measure(link: &Link<'_>) -> Result<(f32, usize), NoAnswer> {
    let (mut count, mut peak, mut power) = (0, 0.0, 0.0);
    let measured = || {
        link.tones
            .iter()
            .zip(link.mask)
            .filter_map(|(tone, mask)| (*mask != 0).then_some(tone))
    };
    for tone in measured() {
        if !(tone.re.is_finite() && tone.im.is_finite()) {
            return Err(NoAnswer::NotFinite);
        }
        peak = detmath::max(peak, detmath::max(tone.re.abs(), tone.im.abs()));
        count += 1;
    }
    if count < TONES_MIN || 2 * count < link.tones.len() {
        return Err(NoAnswer::TooFewTones);
    }
    if peak < AMPLITUDE_RANGE.0 {
        return Err(NoAnswer::NoSignal);
    }
    if peak > AMPLITUDE_RANGE.1 {
        return Err(NoAnswer::NotFinite);
    }
    for tone in measured() {
        power += tone.re * tone.re + tone.im * tone.im;
    }
    Ok((power.sqrt(), count))
}
