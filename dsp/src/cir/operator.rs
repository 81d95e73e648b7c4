//! The sensing operator `Phi` and its adjoint, dense and by fast transform.

use std::sync::Arc;

use num_complex::{Complex, Complex32};
use rustfft::{Fft, FftPlannerScalar};

use super::{comb::Comb, grid::ToneGrid, lane::Lane};

/// `Phi`, K tones by G taps, columns of norm 1; see [`ToneGrid`] for its entries.
///
/// Missing tones are no business of the operator: the solver masks its residual.
pub trait SensingOperator<T: Lane> {
    /// The tones and taps it maps between.
    fn grid(&self) -> &ToneGrid;

    /// `tones = Phi taps`; every tone is written.
    ///
    /// # Panics
    /// When `taps` is not G or `tones` not K long.
    fn forward(&mut self, taps: &[Complex<T>], tones: &mut [Complex<T>]);

    /// `taps = Phi^H tones`; every tap is written.
    ///
    /// # Panics
    /// When `taps` is not G or `tones` not K long.
    fn adjoint(&mut self, tones: &[Complex<T>], taps: &mut [Complex<T>]);
}

/// The matrix itself, one row after the other, used both ways: K G complex numbers (5.6 MB for HE40).
/// Cost: 8 K G flops a product. Order of every sum: ascending tap in `forward`, ascending tone in `adjoint`.
#[derive(Clone, Debug)]
pub struct DenseOperator {
    grid: ToneGrid,
    rows: Vec<Complex32>,
}

impl DenseOperator {
    /// Computes the matrix.
    pub fn new(grid: ToneGrid) -> Self {
        let roots = grid.scaled_roots();
        let taps = grid.taps();
        let rows = grid
            .bins()
            .iter()
            .flat_map(|&bin| {
                let roots = &roots;
                (0..taps).map(move |tap| roots[bin * tap % taps])
            })
            .collect();
        Self { grid, rows }
    }

    /// Bytes of the stored matrix.
    pub fn table_bytes(&self) -> usize {
        size_of_val(self.rows.as_slice())
    }
}

/// Rows computed together, so that sums that must be sequential do not wait for each other.
const ROWS: usize = 2;

impl<T: Lane> SensingOperator<T> for DenseOperator {
    fn grid(&self) -> &ToneGrid {
        &self.grid
    }

    fn forward(&mut self, taps: &[Complex<T>], tones: &mut [Complex<T>]) {
        let count = self.grid.taps();
        assert_eq!((taps.len(), tones.len()), (count, self.grid.tones()));
        for (rows, tones) in self.rows.chunks(ROWS * count).zip(tones.chunks_mut(ROWS)) {
            let mut sums = [Complex::new(T::zero(), T::zero()); ROWS];
            if tones.len() == ROWS {
                for (tap, value) in taps.iter().enumerate() {
                    for (row, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + scale(rows[row * count + tap], *value);
                    }
                }
            } else {
                for (entry, value) in rows.iter().zip(taps) {
                    sums[0] = sums[0] + scale(*entry, *value);
                }
            }
            tones.copy_from_slice(&sums[..tones.len()]);
        }
    }

    fn adjoint(&mut self, tones: &[Complex<T>], taps: &mut [Complex<T>]) {
        let count = self.grid.taps();
        assert_eq!((taps.len(), tones.len()), (count, self.grid.tones()));
        taps.fill(Complex::new(T::zero(), T::zero()));
        for (row, tone) in self.rows.chunks_exact(count).zip(tones) {
            for (entry, tap) in row.iter().zip(taps.iter_mut()) {
                *tap = *tap + scale(entry.conj(), *tone);
            }
        }
    }
}

#[inline(always)]
fn scale<T: Lane>(entry: Complex32, value: Complex<T>) -> Complex<T> {
    Complex::new(T::splat(entry.re), T::splat(entry.im)) * value
}

/// The products by fast transforms: [`super::comb`] where the grid has its factors (every tier has), else
/// one transform of length G by RustFFT's scalar planner. Cost: about `5 G log2 G` flops a product.
pub struct FftOperator<T: Lane> {
    grid: ToneGrid,
    transform: Transform<T>,
}

enum Transform<T: Lane> {
    Comb(Box<Comb<T>>),
    Whole(Whole<T>),
}

impl<T: Lane> FftOperator<T> {
    /// Plans the transforms.
    pub fn new(grid: ToneGrid) -> Self {
        let transform = match Comb::new(&grid) {
            Some(comb) => Transform::Comb(Box::new(comb)),
            None => Transform::Whole(Whole::new(&grid)),
        };
        Self { grid, transform }
    }

    /// The same by a transform of length G, whatever its factors.
    pub fn whole(grid: ToneGrid) -> Self {
        let transform = Transform::Whole(Whole::new(&grid));
        Self { grid, transform }
    }

    /// Bytes of the tables and of the work memory; for a transform of length G, of the work memory only.
    pub fn bytes(&self) -> (usize, usize) {
        match &self.transform {
            Transform::Comb(comb) => comb.bytes(),
            Transform::Whole(whole) => (0, (whole.buffer.len() + whole.scratch.len()) * size_of::<Complex<T>>()),
        }
    }
}

impl<T: Lane> SensingOperator<T> for FftOperator<T> {
    fn grid(&self) -> &ToneGrid {
        &self.grid
    }

    fn forward(&mut self, taps: &[Complex<T>], tones: &mut [Complex<T>]) {
        assert_eq!((taps.len(), tones.len()), (self.grid.taps(), self.grid.tones()));
        match &mut self.transform {
            Transform::Comb(comb) => comb.forward(taps, tones),
            Transform::Whole(whole) => whole.forward(&self.grid, taps, tones),
        }
    }

    fn adjoint(&mut self, tones: &[Complex<T>], taps: &mut [Complex<T>]) {
        assert_eq!((taps.len(), tones.len()), (self.grid.taps(), self.grid.tones()));
        match &mut self.transform {
            Transform::Comb(comb) => comb.adjoint(tones, taps),
            Transform::Whole(whole) => whole.adjoint(&self.grid, tones, taps),
        }
    }
}

/// A transform of length G of which K bins are used. RustFFT's twiddles are the one use of the platform's
/// sine and cosine (in f64, rounded to f32), held by golden digests.
struct Whole<T: Lane> {
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
    buffer: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
    scale: T,
}

impl<T: Lane> Whole<T> {
    fn new(grid: &ToneGrid) -> Self {
        let mut planner = FftPlannerScalar::new();
        let forward = planner.plan_fft_forward(grid.taps());
        let inverse = planner.plan_fft_inverse(grid.taps());
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        let zero = Complex::new(T::zero(), T::zero());
        Self {
            scale: T::splat((1.0 / (grid.tones() as f64).sqrt()) as f32),
            buffer: vec![zero; grid.taps()],
            scratch: vec![zero; scratch],
            forward,
            inverse,
        }
    }

    fn forward(&mut self, grid: &ToneGrid, taps: &[Complex<T>], tones: &mut [Complex<T>]) {
        self.buffer.copy_from_slice(taps);
        self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
        for (tone, &bin) in tones.iter_mut().zip(grid.bins()) {
            let value = self.buffer[bin];
            *tone = Complex::new(value.re * self.scale, value.im * self.scale);
        }
    }

    fn adjoint(&mut self, grid: &ToneGrid, tones: &[Complex<T>], taps: &mut [Complex<T>]) {
        taps.fill(Complex::new(T::zero(), T::zero()));
        for (tone, &bin) in tones.iter().zip(grid.bins()) {
            taps[bin] = Complex::new(tone.re * self.scale, tone.im * self.scale);
        }
        self.inverse.process_with_scratch(taps, &mut self.scratch);
    }
}
