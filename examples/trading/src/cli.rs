//! The command line: a few words, parsed by hand, and what is said to somebody who mistypes. It
//! runs nothing.

use std::path::PathBuf;
use std::str::FromStr;

use steadfast::Codec;

use crate::desk::SYMBOLS;

/// The port on which the exchange is served by default.
pub(crate) const DEFAULT_PORT: u16 = 7878;

/// Where orders are kept by default, from the directory in which the exchange is started.
const DEFAULT_FILE: &str = "trading-data/trading.db";

/// The length of the shortest demo, in seconds.
const SHORTEST_DEMO: u64 = 4;
/// How many clients may make load at most.
const MOST_CLIENTS: usize = 1_000;

/// Where orders are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In a file, which outlives the server.
    File(PathBuf),
    /// Nowhere beyond the server.
    Memory,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve the exchange.
    Serve { port: u16, controlled: bool, kept: Kept },
    /// Trade in a terminal.
    Screen { name: String, symbol: String, url: String, codec: Codec },
    /// Place orders as fast as they are answered, and say how fast that is.
    Load { clients: usize, seconds: u64, url: String, codec: Codec },
    /// Show that nothing is lost or doubled.
    Demo { seconds: u64, seed: Option<u64> },
    /// Say what can be done.
    Help,
}

pub(crate) const HELP: &str = "\
An exchange that survives its network, and kill -9.

  trading [serve] [--port N] [--file F | --memory]
                                                  serve on 127.0.0.1 (port 7878), and keep orders in
                                                  a file (trading-data/trading.db), or no longer
                                                  than the server
  trading screen --as <name> [--symbol S] [--server <url>] [--codec bin]
                                                  book, orders and connection in a terminal
  trading load [--clients N] [--seconds N] [--server <url>] [--codec bin]
                                                  orders as fast as they are answered (8 clients,
                                                  10 s), and how fast that is
  trading demo [--seconds N] [--seed S]           a server, its clients, a bad network and kill -9,
                                                  with a count at the end
  trading help                                    this page

With cargo: `cargo run -p trading -- screen --as ada`. A server is at ws://127.0.0.1:7878, if it is
not said otherwise. Clients speak JSON, or with `--codec bin` the binary codec.";

/// Reads the arguments after the program's name.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    let word = match arguments.peek() {
        Some(first) if !first.starts_with('-') => arguments.next().unwrap_or_default(),
        _ => "serve".to_owned(),
    };
    let mut rest = Rest(arguments.collect());
    if rest.flag("--help") || rest.flag("-h") {
        return Ok(Command::Help);
    }
    let command = match word.as_str() {
        "serve" => serve(&mut rest)?,
        "screen" => screen(&mut rest)?,
        "load" => load(&mut rest)?,
        "demo" => demo(&mut rest)?,
        "help" => Command::Help,
        other => {
            return Err(format!(
                "there is no command `{other}`: it is one of serve, screen, load, demo, help"
            ));
        }
    };
    rest.end(&word)?;
    Ok(command)
}

fn serve(rest: &mut Rest) -> Result<Command, String> {
    let controlled = rest.flag("--controlled");
    let kept = match (rest.flag("--memory"), rest.value("--file")?) {
        (true, Some(_)) => return Err("either `--file` or `--memory`, not both".to_owned()),
        (true, None) => Kept::Memory,
        (false, file) => Kept::File(file.unwrap_or_else(|| DEFAULT_FILE.to_owned()).into()),
    };
    Ok(Command::Serve { port: rest.number("--port")?.unwrap_or(DEFAULT_PORT), controlled, kept })
}

fn screen(rest: &mut Rest) -> Result<Command, String> {
    let name = rest.value("--as")?.ok_or("who are you? For example: screen --as ada")?;
    let symbol = rest.value("--symbol")?.unwrap_or_else(|| SYMBOLS[0].to_owned());
    if !SYMBOLS.contains(&symbol.as_str()) {
        return Err(format!("`{symbol}` is not traded here: it is one of {}", SYMBOLS.join(", ")));
    }
    Ok(Command::Screen { name, symbol, url: url(rest)?, codec: codec(rest)? })
}

fn load(rest: &mut Rest) -> Result<Command, String> {
    let clients = rest.number("--clients")?.unwrap_or(8);
    if !(1..=MOST_CLIENTS).contains(&clients) {
        return Err(format!("`--clients {clients}`: it may be 1 to {MOST_CLIENTS}"));
    }
    let seconds = rest.number("--seconds")?.unwrap_or(10);
    Ok(Command::Load { clients, seconds, url: url(rest)?, codec: codec(rest)? })
}

fn demo(rest: &mut Rest) -> Result<Command, String> {
    let seconds = rest.number("--seconds")?.unwrap_or(12);
    if seconds < SHORTEST_DEMO {
        return Err(format!(
            "`--seconds {seconds}`: the demo needs {SHORTEST_DEMO} at least, to kill a server twice"
        ));
    }
    Ok(Command::Demo { seconds, seed: rest.number("--seed")? })
}

fn url(rest: &mut Rest) -> Result<String, String> {
    let url = rest.value("--server")?.unwrap_or_else(|| format!("ws://127.0.0.1:{DEFAULT_PORT}"));
    if url.starts_with("ws://") {
        return Ok(url);
    }
    Err(format!(
        "`{url}` is not an address of a server: that begins with ws://, \
         like ws://127.0.0.1:{DEFAULT_PORT}"
    ))
}

/// The codec to speak.
fn codec(rest: &mut Rest) -> Result<Codec, String> {
    match rest.value("--codec")?.as_deref() {
        None | Some("json") => Ok(Codec::Json),
        Some("bin") => Ok(Codec::Binary),
        Some(other) => Err(format!("`--codec {other}`: it is json or bin")),
    }
}

/// The arguments that have not been read yet.
struct Rest(Vec<String>);

impl Rest {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(place) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.0.remove(place);
        match self.0.get(place) {
            Some(value) if !value.starts_with("--") => Ok(Some(self.0.remove(place))),
            _ => Err(format!("`{name}` needs a value after it")),
        }
    }

    fn number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>, String> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        value
            .parse()
            .map(Some)
            .map_err(|_| format!("`{name} {value}`: that is not a number, or it is too large"))
    }

    fn end(&self, command: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some(argument) => {
                Err(format!("`{command}` does not know `{argument}`; try `trading help`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_arguments_the_exchange_is_served_on_the_default_port_and_file() {
        let serve = |port, kept| Ok(Command::Serve { port, controlled: false, kept });
        let file = |file: &str| Kept::File(file.into());
        assert_eq!(line(""), serve(DEFAULT_PORT, file("trading-data/trading.db")));
        assert_eq!(line("--port 0 --file my.db"), serve(0, file("my.db")));
        assert_eq!(line("--memory"), serve(DEFAULT_PORT, Kept::Memory));
        assert!(line("--memory --file my.db").unwrap_err().contains("not both"));
        assert_eq!(line("--help"), Ok(Command::Help));
    }

    #[test]
    fn a_screen_shows_the_first_symbol_unless_it_is_told_another() {
        let screen = |symbol: &str| {
            let url = "ws://127.0.0.1:7878".to_owned();
            let codec = Codec::Json;
            Ok(Command::Screen { name: "ada".into(), symbol: symbol.into(), url, codec })
        };
        assert_eq!(line("screen --as ada"), screen("ACME"));
        assert_eq!(line("screen --symbol GLOBEX --as ada"), screen("GLOBEX"));
        assert!(line("screen --as ada --symbol X").unwrap_err().contains("ACME, GLOBEX"));
    }

    #[test]
    fn a_mistake_says_what_to_write_instead() {
        assert!(line("screen").unwrap_err().contains("screen --as ada"));
        assert_eq!(line("screen --as").unwrap_err(), "`--as` needs a value after it");
        assert!(line("sreve").unwrap_err().contains("serve, screen, load, demo, help"));
        assert!(line("--port 99999").unwrap_err().contains("not a number"));
        assert!(line("load --clients 0").unwrap_err().contains("1 to 1000"));
        assert!(line("load --codec xml").unwrap_err().contains("json or bin"));
        assert!(line("demo --seconds 1").unwrap_err().contains("4 at least"));
        assert!(line("demo --fast").unwrap_err().contains("does not know `--fast`"));
        assert!(line("load --server http://x").unwrap_err().contains("ws://"));
    }
}
