//! The stand-in as a program, for the demo, the benchmarks and clients in other languages. It prints one line when it
//! is ready and runs until it is killed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use google_standin::{Authority, Config, Fault, Flaw, Semantics, Standin};

const USAGE: &str = "\
usage: google-standin [flags]
  --port N                port on 127.0.0.1; 0, the default, is any free one
  --key K                 the API key that is accepted
  --project P             the project whose Vertex AI is served
  --service-account FILE  where the key file of its service account is written; needs openssl
  --latency-ms N          time from a request to its answer
  --texts-per-minute N    quota; 0 answers as for a project without any
  --tokens-per-minute N   quota
  --texts-per-day N       quota
  --minute-ms N           how long the minute of a quota lasts
  --day-ms N              how long the day of a quota lasts
  --poison TEXT           requests with a text that contains this are refused
  --words DIR             vectors with a meaning, from the data files of wordllama in DIR
  --min-dimensions N      the smallest vector that may be asked for; 128 as at Google
  --no-gzip               never compress an answer
  --fault NAME[:N]        each Nth request, or each, has this fault; may be given again
  --elsewhere URL         where the redirects among the faults lead
  --tls PROOF             TLS, with a certificate that is one of: {proofs}
  --ca-file FILE          where the certificate of its authority is written
  --until-eof             end when standard input does, as it does when who started it has ended
faults:
";

fn usage() -> String {
    let proofs: Vec<&str> = Flaw::names().collect();
    let mut usage = USAGE.replace("{proofs}", &proofs.join(", "));
    for fault in Fault::all() {
        usage += &format!("  {:47} {}\n", fault.to_string(), fault.what());
    }
    usage
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    match parse(arguments).and_then(|told| Ok((start(&told)?, told.until_eof))) {
        Ok((standin, until_eof)) => {
            println!("listening on {}", standin.base_url());
            if until_eof {
                let _ = io::copy(&mut io::stdin(), &mut io::sink());
                return ExitCode::SUCCESS;
            }
            loop {
                thread::park();
            }
        }
        Err(message) => {
            eprint!("google-standin: {message}\n{}", usage());
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Told {
    port: u16,
    until_eof: bool,
    service_account: Option<String>,
    config: Config,
}

fn start(told: &Told) -> Result<Standin, String> {
    let (port, mut config) = (told.port, told.config.clone());
    let faults = config.faults.len();
    config.faults.retain(|fault| *fault != (Fault::Refuse, 1));
    let refuses = config.faults.len() < faults;
    let standin =
        Standin::start_on(port, config).map_err(|error| format!("port {port}: {error}"))?;
    if let Some(file) = &told.service_account {
        private(file, &standin.service_account()).map_err(|error| format!("{file}: {error}"))?;
    }
    if refuses {
        standin.refuse();
    }
    Ok(standin)
}

/// Writes a file that only its owner may read, as keys are kept.
fn private(file: &str, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(content.as_bytes())
}

/// `NAME` or `NAME:N`.
fn fault(value: &str) -> Result<(Fault, u64), String> {
    let (name, each) = match value.split_once(':') {
        Some((name, each)) => (name, each.parse().ok().filter(|each| *each > 0)),
        None => (value, Some(1)),
    };
    let each = each.ok_or_else(|| format!("--fault {value}: not a number behind the colon"))?;
    Ok((name.parse()?, each))
}

fn parse(arguments: Vec<String>) -> Result<Told, String> {
    let mut told = Told::default();
    let config = &mut told.config;
    let authority = Authority::new("stand-in");
    let mut arguments = arguments.into_iter();
    while let Some(flag) = arguments.next() {
        if flag == "--no-gzip" {
            config.gzip = false;
            continue;
        }
        if flag == "--until-eof" {
            told.until_eof = true;
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{flag}: not a flag, or no value given"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|error| format!("{flag} {value}: {error}"))
        };
        let milliseconds = || number().map(Duration::from_millis);
        match flag.as_str() {
            "--port" => {
                told.port = value
                    .parse()
                    .map_err(|error| format!("{flag} {value}: {error}"))?
            }
            "--key" => config.key = value,
            "--project" => config.project = value,
            "--service-account" => told.service_account = Some(value),
            "--latency-ms" => config.latency = milliseconds()?,
            "--texts-per-minute" => config.texts_per_minute = Some(number()?),
            "--tokens-per-minute" => config.tokens_per_minute = Some(number()?),
            "--texts-per-day" => config.texts_per_day = Some(number()?),
            "--minute-ms" => config.minute = milliseconds()?,
            "--day-ms" => config.day = milliseconds()?,
            "--poison" => config.poison = Some(value),
            "--words" => {
                config.semantics = Semantics::words(&value).map_err(|error| error.to_string())?
            }
            "--fault" => config.faults.push(fault(&value)?),
            "--elsewhere" => config.elsewhere = value,
            "--tls" => config.tls = Some(authority.identity(value.parse()?)),
            "--ca-file" => std::fs::write(&value, authority.pem())
                .map_err(|error| format!("{flag} {value}: {error}"))?,
            "--min-dimensions" => config.min_dimensions = number()? as usize,
            _ => return Err(format!("{flag}: no such flag")),
        }
    }
    Ok(told)
}
