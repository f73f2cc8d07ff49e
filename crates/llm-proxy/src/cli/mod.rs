//! The command line. Results go to stdout, errors to stderr.

mod check;
mod demo;
mod files;
mod import;
mod init;
mod man;
mod providers;
mod remote;
mod status;
mod table;
mod talk;
mod usage;
mod watch;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use settings::StatePlace;

use crate::observe::log::{Format, Level};
use crate::serve::{ServeError, ServeOptions, serve};
use crate::source::{Overrides, Source};

/// Exit code for bad usage or a bad configuration.
const BAD_CONFIGURATION: u8 = 2;
/// Exit code for an address that is in use.
const ADDRESS_IN_USE: u8 = 3;

/// One address in front of many LLM providers: rotates to the next before you notice.
#[derive(Debug, Parser)]
#[command(
    name = "llm-proxy",
    version,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Clone, Default, clap::Args)]
struct ConfigArgs {
    /// The configuration file [default: ./config.yaml, then the platform's folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A further .env file
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The address to listen on or to talk to [default: 127.0.0.1]
    #[arg(long, value_name = "H")]
    host: Option<String>,
    /// The port to listen on or to talk to; 0 picks a free one [default: 8000]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

#[derive(Debug, Clone, Default, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The folder for the proxy's memory, or `memory` to keep nothing [default: the platform's]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The form of the log
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORM")]
    log_format: Format,
    /// The least level that is logged: debug, info, warning or error
    #[arg(long, default_value = "info", value_name = "L")]
    log_level: Level,
    /// End when the process that started the proxy is gone
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy (also without a command)
    Serve(Box<ServeArgs>),
    /// Check the configuration and the keys
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Also ask each provider for its list of models, which costs nothing
        #[arg(long)]
        live: bool,
        /// As --live, and send each provider one short request, which may cost money
        #[arg(long)]
        send: bool,
    },
    /// Show the running proxy's providers
    Status {
        #[command(flatten)]
        config: ConfigArgs,
        /// Show it anew each second until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Print the JSON of GET /status
        #[arg(long)]
        json: bool,
    },
    /// Show what was used: requests, tokens and times
    Usage {
        #[command(flatten)]
        config: ConfigArgs,
        /// What to group by: provider, model, key, day, hour, or several of them with commas
        #[arg(long, default_value = "day", value_name = "WHAT")]
        by: String,
        /// From when on: 24h, 7d, 2026-11-22 or a time [default: 7d]
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// The form of the answer
        #[arg(long, value_enum, default_value_t = usage::Form::Table, value_name = "FORM")]
        format: usage::Form,
    },
    /// Show the chain that a request would walk now, and why
    Explain {
        #[command(flatten)]
        config: ConfigArgs,
        /// The model name of the request
        #[arg(long, value_name = "M")]
        model: Option<String>,
    },
    /// Let the running proxy read its configuration anew
    Reload {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Let the running proxy forget the cooldowns of one provider, or of all
    Reset {
        #[command(flatten)]
        config: ConfigArgs,
        /// The provider
        provider: Option<String>,
    },
    /// Let the running proxy pass over a provider
    Disable {
        #[command(flatten)]
        config: ConfigArgs,
        /// The provider
        provider: String,
    },
    /// Let the running proxy use a provider again
    Enable {
        #[command(flatten)]
        config: ConfigArgs,
        /// The provider
        provider: String,
    },
    /// Write a commented config.yaml and .env.example
    Init {
        /// The folder to write into
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Overwrite what is there
        #[arg(long)]
        force: bool,
    },
    /// Make a config.yaml of one of LiteLLM's proxy or of the Python version
    Import {
        /// The configuration to read
        file: PathBuf,
        /// The file to write [default: print it]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Overwrite what is there
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Show the providers that are known
    Providers {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Try it without keys: the proxy in front of simulated providers with small quotas
    Demo {
        /// The port to listen on; 0 picks a free one
        #[arg(long, default_value_t = 8000, value_name = "N")]
        port: u16,
        /// End after the tour instead of serving on
        #[arg(long)]
        once: bool,
    },
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder
    #[command(hide = true)]
    Man {
        /// The folder to write into
        folder: Option<PathBuf>,
    },
}

/// What a command comes to: nothing more to say, or an error and its exit code.
type Outcome = Result<(), Failed>;

/// An error for stderr, and the exit code.
#[derive(Debug)]
struct Failed {
    message: String,
    code: u8,
}

impl Failed {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    fn configuration(lines: &[String]) -> Self {
        Self { message: lines.join("\n"), code: BAD_CONFIGURATION }
    }
}

impl From<ServeError> for Failed {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Configuration(lines) => Self::configuration(&lines),
            ServeError::AddressInUse(message) => Self { message, code: ADDRESS_IN_USE },
            ServeError::Failed(message) => Self::new(message),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_CONFIGURATION } else { 0 });
        }
    };
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let mut stderr = io::stderr().lock();
            for line in failed.message.lines() {
                let _ = writeln!(stderr, "error: {line}");
            }
            ExitCode::from(failed.code)
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Serve(args) => run_serve(*args),
        Command::Check { config, live, send } => {
            on_runtime(check::check(source(&config)?, live || send, send))
        }
        Command::Status { config, watch, json } => {
            let proxy = talk::Proxy::find(source(&config)?)?;
            if watch {
                return on_runtime(watch::watch(proxy, json));
            }
            on_runtime(remote::status(proxy, json))
        }
        Command::Usage { config, by, since, format } => {
            let proxy = talk::Proxy::find(source(&config)?)?;
            on_runtime(async move { usage::usage(proxy, &by, since.as_deref(), format).await })
        }
        Command::Explain { config, model } => {
            on_runtime(remote::explain(talk::Proxy::find(source(&config)?)?, model))
        }
        Command::Reload { config } => act(&config, "/reload", None),
        Command::Reset { config, provider } => act(&config, "/reset", provider),
        Command::Disable { config, provider } => act(&config, "/disable", Some(provider)),
        Command::Enable { config, provider } => act(&config, "/enable", Some(provider)),
        Command::Init { folder, force } => init::init(&folder, force),
        Command::Import { file, output, force } => import::import(&file, output.as_deref(), force),
        Command::Providers { json } => providers::providers(json),
        Command::Demo { port, once } => on_runtime(demo::demo(port, once)),
        Command::Schema => print(&settings::schema()),
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => man::man(folder.as_deref()),
    }
}

fn run_serve(args: ServeArgs) -> Outcome {
    let source = source(&args.config)?;
    let options = ServeOptions {
        format: args.log_format,
        level: args.log_level,
        exit_with_parent: args.exit_with_parent,
        state: args.state.map(state_place),
    };
    on_runtime(async move { serve(source, options).await.map_err(Failed::from) })
}

fn state_place(folder: PathBuf) -> StatePlace {
    if folder.as_os_str() == "memory" { StatePlace::Nowhere } else { StatePlace::Folder(folder) }
}

fn act(config: &ConfigArgs, path: &'static str, provider: Option<String>) -> Outcome {
    on_runtime(remote::act(talk::Proxy::find(source(config)?)?, path, provider))
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "llm-proxy", &mut script);
    print(&String::from_utf8_lossy(&script))
}

fn source(args: &ConfigArgs) -> Result<Source, Failed> {
    let overrides = Overrides {
        config: args.config.clone(),
        env_file: args.env_file.clone(),
        host: args.host.clone(),
        port: args.port,
    };
    Ok(Source::of_process(overrides, std::env::current_dir()?))
}

/// One thread from accept to answer: a request is never handed from one to another.
fn on_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Prints a result.
fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
        // `llm-proxy status | head` is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
