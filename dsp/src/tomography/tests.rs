//! The imager against hand-worked rooms, a slow double-precision reference, and itself after a restart.

use proptest::prelude::*;

use super::*;

/// Eight nodes round a 4 x 4 m room.
fn ring() -> Vec<Node> {
    [
        (0., 0.),
        (2., 0.),
        (4., 0.),
        (4., 2.),
        (4., 4.),
        (2., 4.),
        (0., 4.),
        (0., 2.),
    ]
    .iter()
    .zip(1..)
    .map(|(&(x, y), id)| Node { id, at_m: [x, y, 1.0] })
    .collect()
}

fn grid() -> ImageGrid {
    ImageGrid::new([0.0; 3], [0.25, 0.25, 1.0], [16, 16, 1]).unwrap()
}

/// Samples of all directed links when a body of 0.3 m stands at `body`.
fn samples(nodes: &[Node], body: Option<[f32; 3]>) -> Vec<LinkSample> {
    let mut all = Vec::new();
    for tx in nodes {
        for rx in nodes.iter().filter(|rx| rx.id != tx.id) {
            let excess = body.map_or(f32::INFINITY, |b| excess_path_m(&grid(), b, tx.at_m, rx.at_m));
            all.push(LinkSample {
                tx: tx.id,
                rx: rx.id,
                quiet: Some(QuietSample {
                    quiet_dbm: -50.0,
                    attenuation_db: if excess < 0.05 { 6.0 } else { 0.0 },
                    noise_db: 0.5,
                }),
                change: None,
                age_s: 0.0,
            });
        }
    }
    all
}

fn methods() -> [ImagerConfig; 2] {
    let attenuation = ReadingConfig {
        quantity: Quantity::Attenuation,
        ..ReadingConfig::default()
    };
    [
        Method::L1(L1Config::default()),
        Method::Tikhonov(TikhonovConfig::default()),
    ]
    .map(|method| ImagerConfig {
        reading: attenuation,
        method,
        ..ImagerConfig::default()
    })
}

fn image(config: ImagerConfig, nodes: &[Node], samples: &[LinkSample]) -> (ImageSummary, Vec<f32>, Vec<f32>) {
    let mut imager = Imager::new(config, grid(), 100);
    let (mut mean, mut variance) = (vec![f32::NAN; 256], vec![f32::NAN; 256]);
    let summary = imager
        .image(nodes.iter().copied(), samples, &mut mean, &mut variance)
        .unwrap();
    (summary, mean, variance)
}

fn peak(mean: &[f32]) -> [f32; 3] {
    let best = (0..mean.len()).max_by(|&a, &b| mean[a].total_cmp(&mean[b])).unwrap();
    grid().centre(grid().coordinates(best))
}

#[test]
fn a_body_lights_its_own_place() {
    let body = [2.1, 1.1, 1.0];
    for config in methods() {
        let (summary, mean, variance) = image(config, &ring(), &samples(&ring(), Some(body)));
        assert!(summary.valid && summary.links_used == 28, "{summary:?}");
        assert!(
            grid().distance(peak(&mean), body) < 0.5,
            "{:?} {:?}",
            config.method,
            peak(&mean)
        );
        assert!(variance.iter().all(|v| v.is_finite() && *v > 0.0));
    }
}

#[test]
fn no_change_gives_a_flat_image() {
    for config in methods() {
        let (summary, mean, _) = image(config, &ring(), &samples(&ring(), None));
        assert!(summary.valid);
        assert!(mean.iter().all(|v| *v == 0.0));
    }
}

#[test]
fn too_few_links_give_no_image() {
    let two: Vec<_> = samples(&ring(), Some([2.0, 2.0, 1.0])).into_iter().take(2).collect();
    for config in methods() {
        let (summary, mean, _) = image(config, &ring(), &two);
        assert!(!summary.valid && summary.links_used == 2);
        assert!(mean.iter().all(|v| *v == 0.0));
    }
}

#[test]
fn the_sparse_image_is_certified() {
    let (summary, mean, _) = image(methods()[0], &ring(), &samples(&ring(), Some([1.3, 2.6, 1.0])));
    assert!(
        summary.solved.relative_gap <= 1e-3 && summary.solved.iterations > 0,
        "{summary:?}"
    );
    assert!(mean.iter().all(|v| *v >= 0.0) && mean.iter().filter(|v| **v > 0.0).count() < 128);
}

/// Cyclic coordinate descent in double precision on the dense problem: slow, and with nothing in common
/// with the fast solver.
fn sparse_reference(
    weights: &LinkWeights,
    readings: &[Option<Reading>],
    universal: f64,
    voxels: usize,
) -> (f64, Vec<f64>) {
    let mut rows = Vec::new();
    let mut y = Vec::new();
    for (link, r) in readings.iter().enumerate() {
        let Some(r) = r else { continue };
        let s = 1.0 / f64::from(r.variance).sqrt();
        let mut row = vec![0.0; voxels];
        let (v, w) = weights.row(link);
        v.iter().zip(w).for_each(|(&v, &w)| row[v as usize] = s * f64::from(w));
        rows.push(row);
        y.push(s * f64::from(r.value));
    }
    let mut x = vec![0.0; voxels];
    let mut residual = y;
    for _ in 0..4000 {
        for v in 0..voxels {
            let norm: f64 = rows.iter().map(|r| r[v] * r[v]).sum();
            if norm == 0.0 {
                continue;
            }
            let slope: f64 = rows.iter().zip(&residual).map(|(r, e)| r[v] * e).sum();
            let next = (x[v] + (slope - universal * norm.sqrt()) / norm).max(0.0);
            rows.iter()
                .zip(&mut residual)
                .for_each(|(r, e)| *e -= r[v] * (next - x[v]));
            x[v] = next;
        }
    }
    let price = |v: usize| universal * rows.iter().map(|r| r[v] * r[v]).sum::<f64>().sqrt() * x[v];
    let objective = 0.5 * residual.iter().map(|e| e * e).sum::<f64>() + (0..voxels).map(price).sum::<f64>();
    (objective, x)
}

#[test]
fn the_sparse_objective_is_the_reference_s() {
    let nodes = ring();
    let given = samples(&nodes, Some([2.7, 1.4, 1.0]));
    let geometry = LinkGeometry::build(&nodes, given.iter().map(|s| (s.tx, s.rx)).collect()).unwrap();
    let coarse = ImageGrid::new([0.0; 3], [0.5, 0.5, 1.0], [8, 8, 1]).unwrap();
    let weights = geometry.weights(&coarse, WeightModel::Ellipse, 0.3);
    let mut readings = vec![None; geometry.pairs().len()];
    reading::combine(&geometry, &given, &methods()[0].reading, &mut readings);
    let config = L1Config {
        tolerance: 1e-4,
        max_iterations: 5000,
        sparsity: 0.2,
    };
    let mut solver = L1Solver::new(config, &weights, 64);
    let (mut mean, mut variance) = (vec![0.0; 64], vec![0.0; 64]);
    let solved = solver.solve(&readings, &mut mean, &mut variance);
    assert!(solved.relative_gap <= 1e-4, "{solved:?}");
    let mut crossed: Vec<_> = (0..readings.len())
        .flat_map(|link| weights.row(link).0.to_vec())
        .collect();
    crossed.sort_unstable();
    crossed.dedup();
    let universal = 0.2 * (2.0 * (1.0 + crossed.len() as f64).ln()).sqrt();
    let (objective, _) = sparse_reference(&weights, &readings, universal, 64);
    assert!(
        (f64::from(solved.objective) / objective - 1.0).abs() < 2e-4,
        "{solved:?} against {objective}"
    );
}

/// Relative duality gap of an image, from the image alone, in double precision on the dense problem.
fn gap_of(weights: &LinkWeights, readings: &[Option<Reading>], sparsity: f64, image: &[f32]) -> f64 {
    let mut rows = vec![vec![0.0; image.len()]; readings.len()];
    let mut y = vec![0.0; readings.len()];
    for (link, reading) in readings.iter().enumerate() {
        let Some(r) = reading else { continue };
        let s = 1.0 / f64::from(r.variance).sqrt();
        let (at, w) = weights.row(link);
        at.iter()
            .zip(w)
            .for_each(|(&v, &w)| rows[link][v as usize] = s * f64::from(w));
        y[link] = s * f64::from(r.value);
    }
    let norms: Vec<f64> = (0..image.len())
        .map(|v| rows.iter().map(|r| r[v] * r[v]).sum::<f64>().sqrt())
        .collect();
    let crossed = norms.iter().filter(|n| **n > 0.0).count();
    let universal = sparsity * (2.0 * (1.0 + crossed as f64).ln()).sqrt();
    let residual: Vec<f64> = rows
        .iter()
        .zip(&y)
        .map(|(row, y)| y - row.iter().zip(image).map(|(w, x)| w * f64::from(*x)).sum::<f64>())
        .collect();
    let price: f64 = norms
        .iter()
        .zip(image)
        .map(|(n, x)| universal * n * f64::from(*x))
        .sum();
    let misfit: f64 = residual.iter().map(|r| r * r).sum();
    let cross: f64 = residual.iter().zip(&y).map(|(r, y)| r * y).sum();
    let steepest = norms.iter().enumerate().fold(1.0_f64, |most, (v, n)| {
        let slope: f64 = rows.iter().zip(&residual).map(|(row, r)| row[v] * r).sum();
        if *n > 0.0 {
            most.max(slope / (universal * n))
        } else {
            most
        }
    });
    let scale = (cross / misfit).min(1.0 / steepest).max(0.0);
    let primal = 0.5 * misfit + price;
    (primal - (scale * cross - 0.5 * scale * scale * misfit)) / primal
}

/// The same posterior from the voxels' side: invert `C`, add `W' R^-1 W`, invert.
fn smooth_reference(
    grid: &ImageGrid,
    weights: &LinkWeights,
    readings: &[Option<Reading>],
    prior: TikhonovConfig,
) -> (Vec<f64>, Vec<f64>) {
    let n = grid.voxels();
    let at = |v| grid.centre(grid.coordinates(v));
    let mut c = vec![0.0; n * n];
    for a in 0..n {
        for b in 0..n {
            let d = f64::from(grid.distance(at(a), at(b))) / f64::from(prior.correlation_m);
            c[a * n + b] = f64::from(prior.sigma * prior.sigma) * (-d).exp();
        }
    }
    let invert = |m: Vec<f64>| {
        let factor = Cholesky::factorise(m, n).unwrap();
        let mut inverse = vec![0.0; n * n];
        for (k, column) in inverse.chunks_exact_mut(n).enumerate() {
            column[k] = 1.0;
            factor.solve(column);
        }
        inverse
    };
    let mut normal = invert(c);
    let mut right = vec![0.0; n];
    for (link, r) in readings.iter().enumerate() {
        let Some(r) = r else { continue };
        let (v, w) = weights.row(link);
        for (&a, &wa) in v.iter().zip(w) {
            right[a as usize] += f64::from(wa * r.value / r.variance);
            for (&b, &wb) in v.iter().zip(w) {
                normal[a as usize * n + b as usize] += f64::from(wa) * f64::from(wb) / f64::from(r.variance);
            }
        }
    }
    let posterior = invert(normal);
    let mean = (0..n)
        .map(|a| (0..n).map(|b| posterior[a * n + b] * right[b]).sum())
        .collect();
    (mean, (0..n).map(|a| posterior[a * n + a]).collect())
}

#[test]
fn the_smooth_image_is_the_reference_s_posterior() {
    let nodes = ring();
    let mut given = samples(&nodes, Some([1.2, 3.0, 1.0]));
    given[5].age_s = 9.0;
    given[12].quiet = None;
    let geometry = LinkGeometry::build(&nodes, given.iter().map(|s| (s.tx, s.rx)).collect()).unwrap();
    let coarse = ImageGrid::new([0.0; 3], [0.5, 0.5, 1.0], [8, 8, 1]).unwrap();
    let weights = geometry.weights(&coarse, WeightModel::InverseArea, 0.8);
    let mut readings = vec![None; geometry.pairs().len()];
    reading::combine(&geometry, &given, &methods()[1].reading, &mut readings);
    readings[3] = None;
    let prior = TikhonovConfig::default();
    let mut solver = TikhonovSolver::new(prior, &coarse, &weights);
    let (mut mean, mut variance) = (vec![0.0; 64], vec![0.0; 64]);
    solver.solve(&readings, &mut mean, &mut variance).unwrap();
    let (want_mean, want_variance) = smooth_reference(&coarse, &weights, &readings, prior);
    for v in 0..64 {
        assert!(
            (f64::from(mean[v]) - want_mean[v]).abs() < 1e-3,
            "{v}: {} {}",
            mean[v],
            want_mean[v]
        );
        assert!((f64::from(variance[v]) - want_variance[v]).abs() < 1e-3, "{v}");
    }
}

#[test]
fn a_solid_image_finds_the_height() {
    let nodes: Vec<_> = ring()
        .into_iter()
        .enumerate()
        .map(|(i, mut n)| {
            n.at_m[2] = if i % 2 == 0 { 0.3 } else { 2.2 };
            n
        })
        .collect();
    let solid = ImageGrid::new([0.0; 3], [0.5, 0.5, 0.5], [8, 8, 5]).unwrap();
    // On the line from node 1 (0, 0, 0.3) to node 5 (4, 4, 0.3): a low body.
    let low = [2.0, 2.0, 0.3];
    let mut given = samples(&nodes, None);
    for s in &mut given {
        let at = |id: u32| nodes[id as usize - 1].at_m;
        if excess_path_m(&solid, low, at(s.tx), at(s.rx)) < 0.05 {
            s.quiet.as_mut().unwrap().attenuation_db = 6.0;
        }
    }
    let config = ImagerConfig {
        excess_m: 0.2,
        ..methods()[1]
    };
    let mut imager = Imager::new(config, solid, 100);
    let (mut mean, mut variance) = (vec![0.0; 320], vec![0.0; 320]);
    imager
        .image(nodes.into_iter(), &given, &mut mean, &mut variance)
        .unwrap();
    let best = (0..320).max_by(|&a, &b| mean[a].total_cmp(&mean[b])).unwrap();
    assert!(
        solid.centre(solid.coordinates(best))[2] < 1.0,
        "{:?}",
        solid.centre(solid.coordinates(best))
    );
}

fn walk(imager: &mut Imager, steps: std::ops::Range<u32>) -> Vec<u32> {
    let nodes = ring();
    let mut bits = Vec::new();
    for k in steps {
        let mut given = samples(&nodes, Some([0.5 + 0.2 * k as f32, 2.0, 1.0]));
        given[k as usize].age_s = 3.0;
        for s in &mut given[..10] {
            s.quiet.as_mut().unwrap().noise_db = 0.5 + 0.1 * k as f32;
        }
        let (mut mean, mut variance) = (vec![0.0; 256], vec![0.0; 256]);
        imager
            .image(nodes.iter().copied(), &given, &mut mean, &mut variance)
            .unwrap();
        bits.extend(mean.iter().chain(&variance).map(|v| v.to_bits()));
    }
    bits
}

#[test]
fn a_restored_state_continues_bit_for_bit() {
    for config in methods() {
        let mut whole = Imager::new(config, grid(), 100);
        let want = walk(&mut whole, 0..12);
        for cut in [0, 5, 11] {
            let mut first = Imager::new(config, grid(), 100);
            let mut got = walk(&mut first, 0..cut);
            let mut blob = Vec::new();
            first.export_state(&mut blob).unwrap();
            let mut second = Imager::new(config, grid(), 100);
            second.import_state(&blob).unwrap();
            got.extend(walk(&mut second, cut..12));
            assert_eq!(got, want, "cut at {cut}");
        }
    }
}

#[test]
fn a_foreign_state_is_refused_and_changes_nothing() {
    let [sparse, smooth] = methods();
    let mut imager = Imager::new(sparse, grid(), 100);
    walk(&mut imager, 0..2);
    let mut before = Vec::new();
    imager.export_state(&mut before).unwrap();
    let mut other = Imager::new(smooth, grid(), 100);
    walk(&mut other, 0..2);
    let mut blob = Vec::new();
    other.export_state(&mut blob).unwrap();
    for bad in [&blob[..], &blob[..blob.len() / 2], b"", b"\x01\xff\xff\xff\xff"] {
        assert!(imager.import_state(bad).is_err());
    }
    let mut after = Vec::new();
    imager.export_state(&mut after).unwrap();
    assert_eq!(before, after);
}

proptest! {
    /// Whatever the readings, their noise, the sparsity and the image before: the gap is reached, and it is the true one.
    #[test]
    fn the_gap_is_reached_and_true(
        all in prop::collection::vec((prop::collection::vec((-3.0_f32..12.0, 0.1_f32..4.0, 0..8_u32), 28), 0.05_f32..1.5), 1..4),
        inverse_area in any::<bool>(),
        tolerance in prop::sample::select(vec![1e-2_f32, 1e-3, 1e-5]),
    ) {
        let nodes = ring();
        let ends = samples(&nodes, None).iter().map(|s| (s.tx, s.rx)).collect();
        let model = if inverse_area { WeightModel::InverseArea } else { WeightModel::Ellipse };
        let weights = LinkGeometry::build(&nodes, ends).unwrap().weights(&grid(), model, 0.3);
        let sparsity = all[0].1;
        let config = L1Config { tolerance, sparsity, max_iterations: 1000 };
        let mut solver = L1Solver::new(config, &weights, 256);
        let (mut mean, mut variance) = (vec![0.0; 256], vec![0.0; 256]);
        for (links, _) in &all {
            let readings: Vec<_> = links
                .iter()
                .map(|&(value, variance, gone)| (gone > 0).then_some(Reading { value, variance }))
                .collect();
            let solved = solver.solve(&readings, &mut mean, &mut variance);
            prop_assert!(solved.relative_gap <= tolerance, "{solved:?}");
            prop_assert!(mean.iter().all(|v| *v >= 0.0));
            let gap = gap_of(&weights, &readings, f64::from(sparsity), &mean);
            prop_assert!((gap - f64::from(solved.relative_gap)).abs() < 1e-5, "{gap} {solved:?}");
        }
    }

    /// Which id a node has, and so the order of links, does not matter to the image.
    #[test]
    fn renaming_nodes_gives_the_same_image(order in Just((1..9_u32).collect::<Vec<_>>()).prop_shuffle(), x in 0.5_f32..3.5, y in 0.5_f32..3.5) {
        let body = Some([x, y, 1.0]);
        let mut renamed = ring();
        renamed.iter_mut().zip(&order).for_each(|(n, &id)| n.id = id);
        renamed.sort_by_key(|n| n.id);
        let config = methods()[1];
        let (_, a, _) = image(config, &ring(), &samples(&ring(), body));
        let (_, b, _) = image(config, &renamed, &samples(&renamed, body));
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() <= 1e-4 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    /// Hostile numbers give an error or a finite image, never a panic or a NaN.
    #[test]
    fn hostile_samples_give_finite_images(values in prop::collection::vec((any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>(), 0..12_u32, 0..12_u32), 1..40)) {
        let given: Vec<_> = values.iter().map(|&(a, q, n, age, tx, rx)| LinkSample {
            tx, rx,
            quiet: Some(QuietSample { quiet_dbm: q, attenuation_db: a, noise_db: n }),
            change: Some((a, q)),
            age_s: age,
        }).collect();
        for mut config in methods() {
            config.min_links = 1;
            for quantity in [Quantity::Deviation, Quantity::Attenuation, Quantity::Change] {
                config.reading.quantity = quantity;
                let (_, mean, variance) = image(config, &ring(), &given);
                prop_assert!(mean.iter().chain(&variance).all(|v| v.is_finite()));
            }
        }
    }
}
