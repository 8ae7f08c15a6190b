//! The server as its user sees it, and the threads it runs: one that accepts, one a connection. Dropping it ends them
//! all, whatever they wait for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::accounts::Accounts;
use crate::config::Config;
use crate::connection;
use crate::request::Request;
use crate::shared::{BACKLOG, Shared};
use crate::stats::Stats;

/// A running stand-in, on a port of its own at 127.0.0.1.
pub struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Standin {
    /// # Panics
    /// When no port can be had.
    pub fn start(config: Config) -> Standin {
        Standin::start_on(0, config).expect("a free port on 127.0.0.1")
    }

    /// Port 0 is any free port.
    pub fn start_on(port: u16, config: Config) -> io::Result<Standin> {
        let listener = listener(port)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config, listener));
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&shared))
        };
        Ok(Standin {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// With the version, as clients that take a version in their base URL need it.
    pub fn base_url(&self) -> String {
        format!("{}/v1beta", self.origin())
    }

    /// The same for Vertex AI.
    pub fn vertex_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    pub fn accounts(&self) -> Accounts {
        self.shared.lock().config.accounts.clone()
    }

    /// The key file of the service account, which gets its tokens here.
    pub fn service_account(&self) -> String {
        let config = Arc::clone(&self.shared.lock().config);
        let file = config
            .accounts
            .service_account(&config.project, &self.token_uri());
        format!("{file:#}\n")
    }

    /// The credentials file of a user, who gets his tokens here.
    pub fn authorized_user(&self) -> String {
        let config = Arc::clone(&self.shared.lock().config);
        let file = config
            .accounts
            .authorized_user(&config.project, &self.token_uri());
        format!("{file:#}\n")
    }

    /// An access token as the token endpoint gives them.
    pub fn access_token(&self) -> String {
        let config = Arc::clone(&self.shared.lock().config);
        config.accounts.issue(config.token_lifetime)
    }

    fn token_uri(&self) -> String {
        format!("{}/token", self.origin())
    }

    fn origin(&self) -> String {
        let scheme = match self.shared.lock().config.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Ends every connection and refuses new ones until `listen`, as if the program had ended.
    pub fn refuse(&self) {
        self.shared.refuse();
    }

    /// Takes connections again after `refuse` or `Fault::Refuse`.
    ///
    /// # Panics
    /// When the system does not let it.
    pub fn listen(&self) {
        self.shared.listen().expect("the port is still ours");
    }

    pub fn stats(&self) -> Stats {
        self.shared.lock().stats
    }

    /// Waits until the stats are as told, at most for `timeout`; returns whether they became so.
    pub fn wait_until(&self, timeout: Duration, told: impl Fn(&Stats) -> bool) -> bool {
        self.shared.wait_until(timeout, told)
    }

    /// The requests so far, in the order of their arrival, if `Config::record` was on when they came.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Changes the behaviour from the next request on.
    pub fn set(&self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.shared.lock().config));
    }

    /// The vector that is served for a text sent without task type.
    pub fn vector(&self, text: &str, model: &str, dimensions: usize) -> Vec<f32> {
        self.vector_for(text, model, dimensions, "")
    }

    /// The vector that is served for a text sent with a task type.
    pub fn vector_for(
        &self,
        text: &str,
        model: &str,
        dimensions: usize,
        task_type: &str,
    ) -> Vec<f32> {
        let config = Arc::clone(&self.shared.lock().config);
        config.semantics.vector(text, model, dimensions, task_type)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.shared.stop();
        // Wakes the acceptor; where even this fails it can't be waited for.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

/// A port that the system chose is lost with the first pause in listening, one that was asked for is not; so it is asked
/// for again while another socket still has it.
fn listener(port: u16) -> io::Result<TcpListener> {
    let bound = |port: u16| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        Ok::<_, io::Error>(TcpListener::from(socket))
    };
    if port != 0 {
        // Not for two.
        return TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    }
    let chosen = bound(0)?;
    let listener = bound(chosen.local_addr()?.port())?;
    SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

fn accept(shared: &Arc<Shared>) {
    let mut handlers: Vec<JoinHandle<()>> = Vec::new();
    while let Some(stream) = shared.accept() {
        let Some(registered) = shared.connected(&stream) else {
            break;
        };
        handlers.retain(|handler| !handler.is_finished());
        handlers.push(thread::spawn(move || {
            // What goes wrong on a connection is the client's to notice.
            let _ = connection::serve(stream, registered.id, &registered.shared);
        }));
    }
    for handler in handlers {
        let _ = handler.join();
    }
}
