//! Connections as the kernel lists them, so that an end that somebody forgot to close is seen.

use std::{fs, net::SocketAddr};

use crate::process::Process;

const ESTABLISHED: &str = "01";
const SYN_SENT: &str = "02";
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";

/// How many connections to this loopback address are open, at the client's end or at the server's.
pub fn open_connections(address: SocketAddr) -> usize {
    let address = as_listed(address);
    let ends = listed();
    let open = ends.iter().filter(|end| {
        (end.local == address || end.remote == address)
            && [ESTABLISHED, CLOSE_WAIT].contains(&&*end.state)
    });
    // Each has two ends, unless one is closed.
    open.count().div_ceil(2)
}

/// How many connections to this loopback address are being made at the moment.
pub fn connections_being_made(address: SocketAddr) -> usize {
    let address = as_listed(address);
    let ends = listed();
    ends.iter()
        .filter(|end| end.remote == address && end.state == SYN_SENT)
        .count()
}

/// Whether it is this process that takes connections at this loopback address.
pub fn listens(process: Process, address: SocketAddr) -> bool {
    let address = as_listed(address);
    let ends = listed();
    let listens = ends
        .iter()
        .find(|end| end.local == address && end.state == LISTEN);
    listens.is_some_and(|end| {
        let socket = format!("socket:[{}]", end.inode);
        process.open_files().contains(&socket)
    })
}

struct End {
    local: String,
    remote: String,
    state: String,
    inode: String,
}

fn listed() -> Vec<End> {
    fs::read_to_string("/proc/net/tcp")
        .expect("/proc is mounted")
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned))
        .filter_map(|mut fields| {
            Some(End {
                local: fields.nth(1)?,
                remote: fields.next()?,
                state: fields.next()?,
                inode: fields.nth(5)?,
            })
        })
        .collect()
}

fn as_listed(address: SocketAddr) -> String {
    format!("0100007F:{:04X}", address.port())
}
