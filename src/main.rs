//! The program: everything it does is in the library, and this alone exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nflab::cli::main(std::env::args_os().collect()))
}
