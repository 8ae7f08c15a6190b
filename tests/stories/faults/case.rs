//! A fault and what is expected of it.

use google_standin::Fault;

/// What becomes of a run that a fault strikes once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Once {
    /// As if nothing had happened.
    Unharmed,
    /// The request is sent again.
    Retried,
    /// The request is sent again in halves.
    Halved,
    /// It ends with the error that it has where the fault lasts.
    Ends,
}

pub struct Case {
    pub fault: Fault,
    pub once: Once,
    /// The SQLSTATE where it lasts.
    pub sqlstate: &'static str,
    /// Words of the message where it lasts.
    pub says: &'static str,
    /// Seconds that a request may take.
    pub timeout: u32,
}

impl Case {
    pub const fn unharmed(fault: Fault) -> Case {
        Case::new(fault, Once::Unharmed, "", "")
    }

    pub const fn retried(fault: Fault, sqlstate: &'static str, says: &'static str) -> Case {
        Case::new(fault, Once::Retried, sqlstate, says)
    }

    pub const fn halved(fault: Fault, sqlstate: &'static str, says: &'static str) -> Case {
        Case::new(fault, Once::Halved, sqlstate, says)
    }

    pub const fn ends(fault: Fault, sqlstate: &'static str, says: &'static str) -> Case {
        Case::new(fault, Once::Ends, sqlstate, says)
    }

    const fn new(fault: Fault, once: Once, sqlstate: &'static str, says: &'static str) -> Case {
        Case {
            fault,
            once,
            sqlstate,
            says,
            timeout: 60,
        }
    }

    /// For faults that nothing else ends.
    pub const fn soon(self) -> Case {
        Case { timeout: 1, ..self }
    }
}

/// The fault as a reader of the page sees it.
pub fn words(fault: Fault) -> String {
    match fault {
        Fault::Recorded(name) => name.replacen('_', ": ", 1).replace('_', " "),
        Fault::Redirect(status) => format!("{status}: a redirect to another host"),
        Fault::Status(status) => format!("{status}: in Google's form"),
        fault => fault.what(),
    }
}
