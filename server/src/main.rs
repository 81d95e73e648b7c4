//! The program `tapline`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tapline_server::cli::main()
}
