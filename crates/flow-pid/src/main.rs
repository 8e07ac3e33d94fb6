//! The command line of this paper: the engine's, and `estimate` for data of one's own.

use std::process::ExitCode;

use flow_pid::tool::cli;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    match arguments.peek().and_then(|first| first.to_str()) {
        Some(cli::COMMAND) => cli::main(arguments),
        Some("-h" | "--help" | "help") => {
            cli::announce();
            eval::main::<flow_pid::FlowPid>()
        }
        _ => eval::main::<flow_pid::FlowPid>(),
    }
}
