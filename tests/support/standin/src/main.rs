//! The stand-in as a program, for the demo, the benchmarks and clients in other languages. It prints one line when it
//! is ready and runs until it is killed.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use google_standin::{Config, Semantics, Standin};

const USAGE: &str = "\
usage: google-standin [flags]
  --port N                port on 127.0.0.1; 0, the default, is any free one
  --key K                 the API key that is accepted
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
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match parse(arguments).and_then(|(port, config)| {
        Standin::start_on(port, config).map_err(|error| format!("port {port}: {error}"))
    }) {
        Ok(standin) => {
            println!("listening on {}", standin.base_url());
            loop {
                thread::park();
            }
        }
        Err(message) => {
            eprint!("google-standin: {message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<(u16, Config), String> {
    let mut port = 0;
    let mut config = Config::default();
    let mut arguments = arguments.into_iter();
    while let Some(flag) = arguments.next() {
        if flag == "--no-gzip" {
            config.gzip = false;
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
                port = value
                    .parse()
                    .map_err(|error| format!("{flag} {value}: {error}"))?
            }
            "--key" => config.key = value,
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
            "--min-dimensions" => config.min_dimensions = number()? as usize,
            _ => return Err(format!("{flag}: no such flag")),
        }
    }
    Ok((port, config))
}
