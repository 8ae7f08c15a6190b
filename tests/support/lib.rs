//! What the stories stand on: private PostgreSQL servers, a database and a stand-in for Google's API for each test, sessions
//! that keep their notices, and checks that say in one call what must be true. It knows nothing of single stories.

mod chroma;
mod cluster;
mod connect_proxy;
mod database;
mod gateway;
mod install;
mod members;
mod never_accepts;
mod page;
mod pg_upgrade;
mod process;
mod psql;
mod refusal;
mod scratch;
mod scripts;
mod session;
mod sockets;
mod store;
mod trial;
mod vectors;
mod vertex;
mod wait;

pub use chroma::Chroma;
pub use cluster::Cluster;
pub use connect_proxy::ConnectProxy;
pub use database::Db;
pub use gateway::{Asked, Gateway, Verdict};
pub use install::{Install, clean};
pub use members::Members;
pub use never_accepts::NeverAccepts;
pub use page::page;
pub use process::Process;
pub use psql::{Psql, Said};
pub use refusal::{denied, refused};
pub use scripts::{Scripts, install_release};
pub use session::{Finished, Session};
pub use sockets::open_connections;
pub use store::{Record, Store};
pub use trial::{Trial, trials};
pub use vectors::{Space, prompt};
pub use vertex::{PROJECT, Vertex};
pub use wait::{timed, wait_until};
