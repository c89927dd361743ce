//! Numbers for who watches over the sensor, by HTTP: `/metrics` in Prometheus' text format, `/healthz` and `/readyz`.
//!
//! Served by tokio on the main thread, which shows its numbers once a second on the [`Board`]; whoever asks is answered from
//! there, so that asking costs nothing of what the sensor does. Below, a module knows only those before it: `health` (do the
//! workers work) · `process` (what the kernel says of this process) · `page` (the numbers as text) · `board` · `http` (a request,
//! an answer) · `endpoint` (who may connect).

mod board;
mod endpoint;
mod health;
mod http;
mod page;
mod process;

pub use board::Board;
pub use endpoint::Endpoint;
pub use health::Turns;
pub use page::Shown;
