//! A server that keeps a client waiting in a way in which the stand-in can't: it never takes a connection.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::sockets::connections_being_made;

/// Connections to it are never made: its queue is full, and the kernel lets the next ones wait.
pub struct NeverAccepts {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl NeverAccepts {
    pub fn start() -> NeverAccepts {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("it is bound");
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            queue.push(stream);
        }
        NeverAccepts {
            address,
            _listener: listener,
            _queue: queue,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1beta", self.address)
    }

    /// How many connections are being made at the moment.
    pub fn waiting(&self) -> usize {
        connections_being_made(self.address)
    }
}
