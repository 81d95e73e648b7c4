//! Constant-velocity Kalman filter with full covariance.
//!
//! State `[x, y, z, vx, vy, vz]`, metres and metres a second. Process noise is white acceleration of
//! spectral density `q` on each axis, so a step of `dt` adds `q [dt^3/3, dt^2/2; dt^2/2, dt]` (Bar-Shalom,
//! Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, eq. 6.2.2-12).
//! Position and velocity stay correlated through prediction, which is how a position measurement reaches
//! the velocity. The height is a prior, not a measurement: it is carried along unchanged.

use borsh::{BorshDeserialize, BorshSerialize};

/// Height of a standing person's middle above the floor and its standard deviation, metres: a prior.
const MIDDLE_M: f64 = 0.9;
const MIDDLE_SIGMA_M: f64 = 0.3;

/// Mean and covariance of position and velocity.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Kalman {
    /// x, y, z, vx, vy, vz.
    pub mean: [f64; 6],
    /// Full symmetric covariance.
    pub covariance: [[f64; 6]; 6],
}

/// A position on the floor with its covariance `[xx, xy, yy]`, square metres.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Floor {
    /// x, y in metres.
    pub at_m: [f64; 2],
    /// xx, xy, yy.
    pub covariance: [f64; 3],
}

impl Floor {
    /// Determinant of the covariance.
    pub fn determinant(&self) -> f64 {
        let [xx, xy, yy] = self.covariance;
        xx * yy - xy * xy
    }

    /// Inverse covariance `[xx, xy, yy]`, `None` when it is not positive definite.
    pub fn information(&self) -> Option<[f64; 3]> {
        let [xx, xy, yy] = self.covariance;
        let det = self.determinant();
        (xx > 0.0 && yy > 0.0 && det > 0.0).then(|| [yy / det, -xy / det, xx / det])
    }

    /// Squared Mahalanobis distance between two places, where `walked_m2` more variance lies on each axis. `None`
    /// when the covariances are degenerate.
    pub fn distance2(&self, other: &Self, walked_m2: f64) -> Option<f64> {
        let sum = Self {
            at_m: self.at_m,
            covariance: [
                self.covariance[0] + other.covariance[0] + walked_m2,
                self.covariance[1] + other.covariance[1],
                self.covariance[2] + other.covariance[2] + walked_m2,
            ],
        };
        let [ixx, ixy, iyy] = sum.information()?;
        let (dx, dy) = (self.at_m[0] - other.at_m[0], self.at_m[1] - other.at_m[1]);
        Some(dx * dx * ixx + 2.0 * dx * dy * ixy + dy * dy * iyy)
    }

    /// Whether all numbers are finite and the covariance is positive definite.
    pub fn is_sound(&self) -> bool {
        self.at_m.iter().chain(&self.covariance).all(|v| v.is_finite()) && self.information().is_some()
    }
}

impl Kalman {
    /// A new target at a measured place, speed unknown but for its standard deviation. The height is that of
    /// a standing person's middle, a prior.
    pub fn born(at: &Floor, speed_sigma_m_s: f64) -> Self {
        let mut covariance = [[0.0; 6]; 6];
        let [xx, xy, yy] = at.covariance;
        covariance[0][0] = xx;
        covariance[0][1] = xy;
        covariance[1][0] = xy;
        covariance[1][1] = yy;
        covariance[2][2] = MIDDLE_SIGMA_M * MIDDLE_SIGMA_M;
        covariance[3][3] = speed_sigma_m_s * speed_sigma_m_s;
        covariance[4][4] = speed_sigma_m_s * speed_sigma_m_s;
        Self {
            mean: [at.at_m[0], at.at_m[1], MIDDLE_M, 0.0, 0.0, 0.0],
            covariance,
        }
    }

    /// Place on the floor.
    pub fn floor(&self) -> Floor {
        let c = &self.covariance;
        Floor {
            at_m: [self.mean[0], self.mean[1]],
            covariance: [c[0][0], c[0][1], c[1][1]],
        }
    }

    /// Moves on by `dt` seconds with white acceleration of density `q`, m^2/s^3.
    pub fn predict(&mut self, dt: f64, q: f64) {
        for axis in 0..2 {
            self.mean[axis] += dt * self.mean[axis + 3];
        }
        // P <- F P F' with F = I but for F[axis][axis + 3] = dt: rows first, then columns.
        let p = &mut self.covariance;
        for axis in 0..2 {
            let moved = p[axis + 3].map(|v| dt * v);
            p[axis].iter_mut().zip(moved).for_each(|(v, m)| *v += m);
        }
        for axis in 0..2 {
            for row in p.iter_mut() {
                row[axis] += dt * row[axis + 3];
            }
            p[axis][axis] += q * dt * dt * dt / 3.0;
            p[axis][axis + 3] += q * dt * dt / 2.0;
            p[axis + 3][axis] += q * dt * dt / 2.0;
            p[axis + 3][axis + 3] += q * dt;
        }
    }

    /// Squared Mahalanobis distance of a measured place, and the log determinant's argument (the
    /// determinant of the innovation covariance); `None` when that is not positive definite.
    pub fn distance2(&self, measured: &Floor) -> Option<(f64, f64)> {
        let own = self.floor();
        let sum = Floor {
            at_m: own.at_m,
            covariance: core::array::from_fn(|k| own.covariance[k] + measured.covariance[k]),
        };
        let [ixx, ixy, iyy] = sum.information()?;
        let dx = measured.at_m[0] - own.at_m[0];
        let dy = measured.at_m[1] - own.at_m[1];
        Some((dx * dx * ixx + 2.0 * dx * dy * ixy + dy * dy * iyy, sum.determinant()))
    }

    /// Replaces the position's marginal by `posterior`, found outside (by a filter that is not Gaussian), and
    /// lets the velocity follow by regression: with `K = P_vp P_pp^-1`, `v += K (m - p)` and
    /// `P_vv += K (P - P_pp) K'`, `P_vp = K P`. With the posterior of a Gaussian measurement this is the Kalman
    /// update. False, and nothing changed, when `P_pp` is singular.
    pub fn conform(&mut self, posterior: &Floor) -> bool {
        let prior = self.floor();
        let Some([ixx, ixy, iyy]) = prior.information() else {
            return false;
        };
        let d = [posterior.at_m[0] - prior.at_m[0], posterior.at_m[1] - prior.at_m[1]];
        let gain: [[f64; 2]; 2] = core::array::from_fn(|k| {
            let row = self.covariance[k + 3];
            [row[0] * ixx + row[1] * ixy, row[0] * ixy + row[1] * iyy]
        });
        let [xx, xy, yy] = posterior.covariance;
        let grown = [
            xx - prior.covariance[0],
            xy - prior.covariance[1],
            yy - prior.covariance[2],
        ];
        for (i, g) in gain.iter().enumerate() {
            self.mean[i] = posterior.at_m[i];
            self.mean[i + 3] += g[0] * d[0] + g[1] * d[1];
            for (j, h) in gain.iter().enumerate().take(i + 1) {
                let added = g[0] * (grown[0] * h[0] + grown[1] * h[1]) + g[1] * (grown[1] * h[0] + grown[2] * h[1]);
                let value = self.covariance[i + 3][j + 3] + added;
                self.covariance[i + 3][j + 3] = value;
                self.covariance[j + 3][i + 3] = value;
            }
            for (j, cross) in [g[0] * xx + g[1] * xy, g[0] * xy + g[1] * yy].into_iter().enumerate() {
                self.covariance[i + 3][j] = cross;
                self.covariance[j][i + 3] = cross;
            }
        }
        self.covariance[0][0] = xx;
        self.covariance[0][1] = xy;
        self.covariance[1][0] = xy;
        self.covariance[1][1] = yy;
        true
    }

    /// Takes in a measured place. False, and nothing changed, when the innovation covariance is singular.
    pub fn update(&mut self, measured: &Floor) -> bool {
        let own = self.floor();
        let sum = Floor {
            at_m: own.at_m,
            covariance: core::array::from_fn(|k| own.covariance[k] + measured.covariance[k]),
        };
        let Some([ixx, ixy, iyy]) = sum.information() else {
            return false;
        };
        let dx = measured.at_m[0] - own.at_m[0];
        let dy = measured.at_m[1] - own.at_m[1];
        // Gain K = P H' S^-1, one row a state.
        let gain: [[f64; 2]; 6] = core::array::from_fn(|k| {
            let (a, b) = (self.covariance[k][0], self.covariance[k][1]);
            [a * ixx + b * ixy, a * ixy + b * iyy]
        });
        for (m, g) in self.mean.iter_mut().zip(&gain) {
            *m += g[0] * dx + g[1] * dy;
        }
        // Joseph form (I - K H) P (I - K H)' + K R K': stays positive definite under rounding.
        let mut left = self.covariance;
        for (row, g) in left.iter_mut().zip(&gain) {
            for (k, value) in row.iter_mut().enumerate() {
                *value -= g[0] * self.covariance[0][k] + g[1] * self.covariance[1][k];
            }
        }
        let [rxx, rxy, ryy] = measured.covariance;
        for i in 0..6 {
            for j in 0..=i {
                let kept = left[i][j] - (left[i][0] * gain[j][0] + left[i][1] * gain[j][1]);
                let added = gain[i][0] * (rxx * gain[j][0] + rxy * gain[j][1])
                    + gain[i][1] * (rxy * gain[j][0] + ryy * gain[j][1]);
                self.covariance[i][j] = kept + added;
                self.covariance[j][i] = kept + added;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(x: f64, y: f64, variance: f64) -> Floor {
        Floor {
            at_m: [x, y],
            covariance: [variance, 0.0, variance],
        }
    }

    #[test]
    fn one_update_by_hand() {
        // Prior variance 1, measurement variance 1: half way, half the variance; nothing else moves.
        let mut k = Kalman::born(&place(0.0, 0.0, 1.0), 1.0);
        assert!(k.update(&place(2.0, -4.0, 1.0)));
        assert_eq!(k.mean, [1.0, -2.0, 0.9, 0.0, 0.0, 0.0]);
        assert_eq!((k.covariance[0][0], k.covariance[3][3]), (0.5, 1.0));
    }

    #[test]
    fn prediction_correlates_position_and_velocity() {
        let mut k = Kalman::born(&place(0.0, 0.0, 1.0), 2.0);
        k.predict(0.5, 0.0);
        // P_xv = dt P_vv, P_xx = 1 + dt^2 P_vv.
        assert_eq!((k.covariance[0][3], k.covariance[0][0]), (2.0, 2.0));
        assert!(k.update(&place(1.0, 0.0, 2.0)));
        assert_eq!(k.mean[3], 2.0 / 4.0);
    }

    #[test]
    fn the_velocity_of_a_known_walk_is_found() {
        // 0.8 m/s east, -0.3 m/s north, measured at 2 Hz within 0.2 m by a fixed pattern of errors.
        let truth = |t: f64| [1.0 + 0.8 * t, 5.0 - 0.3 * t];
        let error = [0.2, -0.1, 0.0, 0.15, -0.2, 0.05, -0.05, 0.1];
        let mut k = Kalman::born(&place(1.0, 5.0, 0.04), 1.0);
        for step in 1..=20 {
            for _ in 0..10 {
                k.predict(0.05, 0.01);
            }
            let [x, y] = truth(0.5 * f64::from(step));
            let e = error[step as usize % 8];
            assert!(k.update(&place(x + e, y - e, 0.04)));
        }
        assert!(
            (k.mean[3] - 0.8).abs() < 0.05 && (k.mean[4] + 0.3).abs() < 0.05,
            "{:?}",
            k.mean
        );
        let sigma = k.covariance[3][3].sqrt();
        assert!(sigma < 0.15 && (k.mean[3] - 0.8).abs() < 3.0 * sigma, "{sigma}");
    }

    #[test]
    fn conforming_to_a_gaussian_posterior_is_the_kalman_update() {
        let mut k = Kalman::born(&place(1.0, 2.0, 0.3), 0.7);
        k.predict(0.4, 0.2);
        k.covariance[0][1] = 0.05;
        k.covariance[1][0] = 0.05;
        let measured = Floor {
            at_m: [1.4, 1.7],
            covariance: [0.2, -0.06, 0.1],
        };
        let mut updated = k;
        assert!(updated.update(&measured));
        let mut conformed = k;
        assert!(conformed.conform(&updated.floor()));
        for i in [0, 1, 3, 4] {
            assert!((conformed.mean[i] - updated.mean[i]).abs() < 1e-12);
            for j in [0, 1, 3, 4] {
                assert!(
                    (conformed.covariance[i][j] - updated.covariance[i][j]).abs() < 1e-12,
                    "{i} {j}"
                );
            }
        }
    }

    #[test]
    fn covariance_stays_symmetric_and_positive() {
        let mut k = Kalman::born(&place(0.0, 0.0, 1e-4), 1.0);
        for step in 0..10_000 {
            k.predict(0.05, 0.5);
            let measured = Floor {
                at_m: [f64::from(step % 7), f64::from(step % 3)],
                covariance: [0.5, 0.49, 0.5],
            };
            assert!(k.update(&measured));
            for i in 0..6 {
                for j in 0..i {
                    assert_eq!(k.covariance[i][j], k.covariance[j][i]);
                }
            }
            assert!(k.floor().is_sound());
        }
    }

    #[test]
    fn a_singular_measurement_changes_nothing() {
        let mut k = Kalman::born(&place(0.0, 0.0, 0.0), 0.0);
        let before = k;
        assert!(!k.update(&place(1.0, 1.0, 0.0)));
        assert_eq!(k, before);
    }
}
