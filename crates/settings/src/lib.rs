//! Configuration: file, environment and catalogue in, a valid [`Settings`] or every problem at once
//! out.
//!
//! [`parse`] is the pure heart: it turns a text and an [`Env`] into settings and touches nothing.
//! [`load()`] finds and reads the files around it. The crate knows nothing of HTTP, of state, or of
//! the running server.

mod catalogue;
mod endpoints;
mod env;
mod expand;
mod import;
mod init;
mod keys;
mod load;
mod model;
mod params;
mod problem;
mod read;
mod secret;
mod traits;
mod url;
mod values;
mod yaml;

pub use catalogue::{AuthStyle, Catalogue, CatalogueEntry, FreeTier, StreamUsage};
pub use endpoints::{Endpoints, endpoints};
pub use env::{Env, Warnings};
pub use import::{Imported, import};
pub use init::{env_example, starter_config};
pub use keys::{reference, schema};
pub use load::{
    LoadError, LoadRequest, Loaded, load, platform_dirs, platform_state_dir, read_text,
};
pub use model::{
    Chain, KeyOrder, Limits, Memory, ModelChoice, Provider, ProviderKey, Rotation, Server,
    Settings, Skipped, StatePlace, Step, StreamRecovery, Tier, Timeouts, UnknownModel, Unlisted,
};
pub use params::{MessageRefusal, ParamRule};
pub use problem::{Fault, Problem};
pub use read::parse;
pub use secret::Secret;
pub use traits::{LackRule, Lacks, LimitScope, Prefill, PrefillRule, PrefillWay, SlowFirstToken};
pub use values::DailyReset;
