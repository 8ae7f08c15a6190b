//! A gateway in front of Chroma, as those have one who want a token: the server itself asks for none. It keeps what it is asked,
//! and fails where it is told to.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::spawn,
};

use serde_json::Value;

use crate::chroma::Chroma;

/// Ends with the process.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behind: SocketAddr,
    script: Mutex<Script>,
    seen: Mutex<Vec<Asked>>,
}

type Script = Arc<dyn Fn(&Asked) -> Verdict + Send + Sync>;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// With the request line.
    pub head: String,
    pub body: Arc<Vec<u8>>,
}

/// What becomes of a request.
pub enum Verdict {
    Pass,
    /// It is answered here.
    Answer(u16, &'static str),
    /// The connection is closed before Chroma hears of it.
    Close,
    /// Chroma does what it is asked, and its answer is lost.
    Lose,
}

impl Asked {
    /// Whether it goes to this end of a collection, such as `upsert`.
    pub fn is(&self, what: &str) -> bool {
        let line = self.head.lines().next().unwrap_or_default();
        line.ends_with(&format!("/{what} HTTP/1.1"))
    }

    /// The IDs of the records that it is about.
    pub fn ids(&self) -> Vec<String> {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let ids = body["ids"].as_array().cloned().unwrap_or_default();
        ids.iter()
            .map(|id| id.as_str().expect("a text").to_owned())
            .collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Gateway {
    pub fn before(
        chroma: &Chroma,
        script: impl Fn(&Asked) -> Verdict + Send + Sync + 'static,
    ) -> Gateway {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1");
        let gateway = Gateway {
            address: listener.local_addr().expect("it is bound"),
            shared: Arc::new(Shared {
                behind: chroma.address(),
                script: Mutex::new(Arc::new(script)),
                seen: Mutex::default(),
            }),
        };
        let shared = Arc::clone(&gateway.shared);
        spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let shared = Arc::clone(&shared);
                // What goes wrong is the client's to notice.
                spawn(move || shared.serve(client));
            }
        });
        gateway
    }

    /// One that lets those pass who bring this token, in the form of Chroma's own servers or as a bearer.
    pub fn asking_for(chroma: &Chroma, token: &str) -> Gateway {
        let bearer = format!("Bearer {token}");
        let token = token.to_owned();
        Gateway::before(chroma, move |asked| {
            let brought = asked.header("x-chroma-token") == Some(&token)
                && asked.header("authorization") == Some(&bearer);
            match brought {
                true => Verdict::Pass,
                false => Verdict::Answer(401, r#"{"error":"AuthError","message":"Unauthorized"}"#),
            }
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Another script from now on.
    pub fn set(&self, script: impl Fn(&Asked) -> Verdict + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// All that it was asked.
    pub fn seen(&self) -> Vec<Asked> {
        lock(&self.shared.seen).clone()
    }

    /// How many records each request of this kind was about.
    pub fn sizes(&self, what: &str) -> Vec<usize> {
        let seen = self.seen();
        let such = seen.iter().filter(|asked| asked.is(what));
        such.map(|asked| asked.ids().len()).collect()
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let mut asked = Asked {
            head: String::from_utf8_lossy(&head).into_owned(),
            body: Arc::default(),
        };
        let length = asked.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap_or_default()];
        client.read_exact(&mut body)?;
        asked.body = Arc::new(body);
        lock(&self.seen).push(asked.clone());
        let script = lock(&self.script).clone();
        match script(&asked) {
            Verdict::Pass => client.write_all(&self.forward(&asked)?)?,
            Verdict::Answer(status, body) => write!(
                client,
                "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )?,
            Verdict::Close => {}
            Verdict::Lose => drop(self.forward(&asked)?),
        }
        client.shutdown(Shutdown::Both)
    }

    fn forward(&self, asked: &Asked) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.behind)?;
        let lines = asked.head.trim_end().lines();
        for line in lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:")) {
            write!(server, "{line}\r\n")?;
        }
        server.write_all(b"Connection: close\r\n\r\n")?;
        server.write_all(&asked.body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
