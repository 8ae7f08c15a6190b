//! No connection is used again that has bytes of an answer nobody asked for: they would be taken for the
//! answer to the next request, and its rows would get the vectors of others. ureq looks at the socket and
//! at what it has read from TLS; this looks at what TLS has read and not yet handed out.

use std::cell::Cell;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    TcpConnector, Transport,
};

thread_local! {
    /// This thread asks a transport for what it has; it must not wait for more.
    static ONLY_LOOKING: Cell<bool> = const { Cell::new(false) };
}

/// ureq's own chain, with our two below and above TLS.
pub fn connector() -> impl Connector {
    ().chain(ConnectProxyConnector::default())
        .chain(TcpConnector::default())
        .chain(Below)
        .chain(RustlsConnector::default())
        .chain(Above)
}

#[derive(Debug)]
struct Below;

#[derive(Debug)]
struct Above;

/// Gives nothing new to those who only look.
#[derive(Debug)]
struct Socket<T>(T);

#[derive(Debug)]
struct Guarded<T: Transport>(T);

/// What was last read and sent may be an access token, or what one was asked for with.
impl<T: Transport> Drop for Guarded<T> {
    fn drop(&mut self) {
        let buffers = self.0.buffers();
        let unread = buffers.input().len();
        buffers.input_consume(unread);
        let (input, output) = buffers.tmp_and_output();
        input.fill(0);
        output.fill(0);
    }
}

impl<T: Transport> Connector<T> for Below {
    type Out = Socket<T>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<T>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(Socket))
    }
}

impl<T: Transport> Connector<T> for Above {
    type Out = Guarded<T>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<T>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(Guarded))
    }
}

impl<T: Transport> Transport for Socket<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match ONLY_LOOKING.get() {
            true => Err(Error::Timeout(timeout.reason)),
            false => self.0.await_input(timeout),
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

impl<T: Transport> Transport for Guarded<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let sent = self.0.transmit_output(amount, timeout);
        // It lives as long as the connection, and a short body leaves most of the head, with the key, in it.
        self.0.buffers().output()[..amount].fill(0);
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        ONLY_LOOKING.set(true);
        let held_back = self.0.await_input(NextTimeout::default());
        ONLY_LOOKING.set(false);
        matches!(held_back, Err(Error::Timeout(_))) && self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
