//! The stage `tomography` as a loadable plugin.
