//! The stage `cir-fft` as a loadable plugin.
