//! A proxy as companies have them: it opens the tunnels it is asked for and keeps what it sees.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::spawn,
};

/// Ends with the process; its tunnels end with those who use them.
pub struct ConnectProxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl ConnectProxy {
    pub fn start() -> ConnectProxy {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1");
        let proxy = ConnectProxy {
            address: listener.local_addr().expect("it is bound"),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&proxy.seen);
        spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let seen = Arc::clone(&seen);
                // What goes wrong in a tunnel is its client's to notice.
                spawn(move || tunnel(client, &seen));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that clients have sent, to it and through it.
    pub fn seen(&self) -> Vec<u8> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn tunnel(mut client: TcpStream, seen: &Arc<Mutex<Vec<u8>>>) -> io::Result<()> {
    let keep = |bytes: &[u8]| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(bytes);
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    keep(&head);
    let head = String::from_utf8_lossy(&head);
    let Some(target) = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next())
    else {
        return client.write_all(b"HTTP/1.1 405 No\r\n\r\n");
    };
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut back, mut to_client) = (server.try_clone()?, client.try_clone()?);
    spawn(move || {
        let copied = io::copy(&mut back, &mut to_client);
        to_client.shutdown(Shutdown::Write).and(copied)
    });
    let mut piece = [0; 4096];
    loop {
        match client.read(&mut piece)? {
            0 => return server.shutdown(Shutdown::Write),
            length => {
                keep(&piece[..length]);
                server.write_all(&piece[..length])?;
            }
        }
    }
}
