//! Servers that keep a client waiting in ways in which Google's API, and so its stand-in, doesn't: one that never takes a
//! connection, and one whose answer comes in drops. They send no vector, ever.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{sleep, spawn},
    time::Duration,
};

/// Connections to it are never made: its queue is full, and the kernel lets the next ones wait.
pub struct NeverAccepts {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl NeverAccepts {
    pub fn start() -> NeverAccepts {
        let listener = listen();
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
        const SYN_SENT: &str = "02";
        let remote = format!("0100007F:{:04X}", self.address.port());
        fs::read_to_string("/proc/net/tcp")
            .expect("/proc is mounted")
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields[2] == remote && fields[3] == SYN_SENT)
            .count()
    }
}

/// Answers each request with a byte at a time, without end.
pub struct Trickles {
    address: SocketAddr,
    answers: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Trickles {
    pub fn start() -> Trickles {
        let listener = listen();
        let trickles = Trickles {
            address: listener.local_addr().expect("it is bound"),
            answers: Arc::default(),
            stopped: Arc::default(),
        };
        let (answers, stopped) = (Arc::clone(&trickles.answers), Arc::clone(&trickles.stopped));
        spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Relaxed) {
                    return;
                }
                let (answers, stopped) = (Arc::clone(&answers), Arc::clone(&stopped));
                spawn(move || trickle(stream, &answers, &stopped));
            }
        });
        trickles
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1beta", self.address)
    }

    /// How many answers have begun so far.
    pub fn answers(&self) -> usize {
        self.answers.load(Relaxed)
    }
}

impl Drop for Trickles {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        // Wakes the thread that accepts; where this fails it goes on waiting for nobody.
        let _ = TcpStream::connect(self.address);
    }
}

/// Until the client has had enough.
fn trickle(mut stream: TcpStream, answers: &AtomicUsize, stopped: &AtomicBool) {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{";
    let mut request = [0; 1024];
    let mut sent = match stream.read(&mut request) {
        Ok(1..) => stream.write_all(head.as_bytes()),
        _ => return,
    };
    answers.fetch_add(1, Relaxed);
    while sent.is_ok() && !stopped.load(Relaxed) {
        sleep(Duration::from_millis(5));
        sent = stream.write_all(b" ");
    }
}

fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1")
}
