//! What an estimator holds, counted.

use crate::{
    cir::{BatchSolver, DenseOperator, FftOperator, Lanes8, Settings, ToneGrid},
    tier::Tier,
};

/// The widest grid: the dense matrix is stored once, the transform needs tables of a few kilobytes, a group of
/// eight links works in 0.6 MB, and a link's start for the next cycle is 8 bytes a tap.
#[test]
fn he40_stays_within_its_memory() {
    let grid = ToneGrid::of_tier(Tier::He40);
    let dense = DenseOperator::new(grid.clone());
    assert_eq!(dense.table_bytes(), 484 * 1452 * 8);
    let solver = BatchSolver::<Lanes8, _>::new(FftOperator::new(grid), Settings::default());
    let (operator_tables, operator_work) = solver.operator().bytes();
    let tables = operator_tables + solver.table_bytes();
    let work = operator_work + solver.work_bytes();
    assert!(tables <= 50_000, "{tables} bytes of tables");
    assert!(work <= 600_000, "{work} bytes of work");
}
