//! Every environment variable the workspace reads or sets, with its meaning.

/// Root of the workspace; else the nearest parent folder with a `Cargo.lock` and `crates/`.
pub const WORKSPACE_ROOT: &str = "PAPERS_ROOT";
/// The `data` program; else the one beside the running program.
pub const DATA_PROGRAM: &str = "PAPERS_DATA_PROGRAM";
/// A folder that mirrors data sets: `<mirror>/<name>/<file>`.
pub const DATASETS_MIRROR: &str = "DATASETS_MIRROR";
/// Where fetched data sets are kept; else the platform's cache folder.
pub const DATASETS_CACHE: &str = "DATASETS_CACHE";
/// Hugging Face's own cache folder.
pub const HF_HOME: &str = "HF_HOME";
/// `1`: the hub is never asked.
pub const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";
/// Address of the hub, where it is a mirror of the usual one.
pub const HF_ENDPOINT: &str = "HF_ENDPOINT";
/// Access token of the hub; else the one that its own login left in `HF_HOME`.
pub const HF_TOKEN: &str = "HF_TOKEN";
/// What is logged, in the syntax of the crate `tracing-subscriber`: `info`, `eval=debug`.
pub const LOG: &str = "RUST_LOG";
/// Set to anything: no colour.
pub const NO_COLOR: &str = "NO_COLOR";
/// Threads that a cell may use; set by the engine for each cell.
pub const CELL_THREADS: &str = "PAPERS_CELL_THREADS";
/// Base address of an OpenAI-compatible server, where none is named.
pub const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
/// Key of that server, where no other variable is named.
pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
