//! The `llm-proxy` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_proxy::cli::main()
}
