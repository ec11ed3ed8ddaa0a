//! The command line: a few words, parsed by hand, and what is said to somebody who mistypes. It
//! runs nothing.

use std::path::PathBuf;
use std::str::FromStr;

use steadfast::Codec;

/// The port on which the chat is served by default.
pub(crate) const DEFAULT_PORT: u16 = 7777;

/// Where what was said is kept by default, from the directory in which the chat is started.
const DEFAULT_FILE: &str = "chat-data/chat.db";

/// The length of the shortest demo, in seconds.
const SHORTEST_DEMO: u64 = 4;

/// Where what was said is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In a file, which outlives the server.
    File(PathBuf),
    /// Nowhere.
    Memory,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve the chat.
    Serve { port: u16, controlled: bool, kept: Kept },
    /// Talk in a room.
    Join { room: String, name: String, url: String, outbox: Option<PathBuf>, codec: Codec },
    /// Show that nothing is lost, doubled or reordered.
    Demo { seconds: u64, seed: Option<u64>, memory: bool },
    /// Say what can be done.
    Help,
}

pub(crate) const HELP: &str = "\
A chat that survives its network.

  chat [serve] [--port N] [--file F | --memory]   serve on 127.0.0.1 (port 7777), and keep what is
                                                  said in a file (chat-data/chat.db), or not at all
  chat join <room> --as <name> [--server <url>] [--outbox F] [--codec bin]
                                                  talk in a room (at ws://127.0.0.1:7777), and keep
                                                  what is written in a file until it is posted, so
                                                  that it outlives this program; in JSON, or in the
                                                  binary codec
  chat demo [--seconds N] [--seed S] [--memory]   a server, three clients and a bad network,
                                                  with a count at the end
  chat help                                       this page

With cargo: `cargo run -p chat -- join lobby --as ada`";

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
    let mut rest = Rest { arguments: arguments.collect() };
    let command = match word.as_str() {
        "serve" => serve(&mut rest)?,
        "join" => join(&mut rest)?,
        "demo" => demo(&mut rest)?,
        "help" => Command::Help,
        other => {
            return Err(format!(
                "there is no command `{other}`: it is one of serve, join, demo, help"
            ));
        }
    };
    rest.end(&word)?;
    Ok(command)
}

fn serve(rest: &mut Rest) -> Result<Command, String> {
    if rest.flag("--help") || rest.flag("-h") {
        return Ok(Command::Help);
    }
    let controlled = rest.flag("--controlled");
    let kept = match (rest.flag("--memory"), rest.value("--file")?) {
        (true, Some(_)) => return Err("either `--file` or `--memory`, not both".to_owned()),
        (true, None) => Kept::Memory,
        (false, file) => Kept::File(file.unwrap_or_else(|| DEFAULT_FILE.to_owned()).into()),
    };
    Ok(Command::Serve { port: rest.number("--port")?.unwrap_or(DEFAULT_PORT), controlled, kept })
}

fn join(rest: &mut Rest) -> Result<Command, String> {
    let name = rest.value("--as")?;
    let outbox = rest.value("--outbox")?.map(PathBuf::from);
    let url = rest.value("--server")?.unwrap_or_else(|| format!("ws://127.0.0.1:{DEFAULT_PORT}"));
    if !url.starts_with("ws://") {
        return Err(format!(
            "`{url}` is not an address of a server: that begins with ws://, \
             like ws://127.0.0.1:{DEFAULT_PORT}"
        ));
    }
    let codec = codec(rest)?;
    let room = rest.word().ok_or("which room? For example: join lobby --as ada")?;
    let name = name.ok_or_else(|| format!("who are you? For example: join {room} --as ada"))?;
    Ok(Command::Join { room, name, url, outbox, codec })
}

/// The codec to speak.
fn codec(rest: &mut Rest) -> Result<Codec, String> {
    match rest.value("--codec")?.as_deref() {
        None | Some("json") => Ok(Codec::Json),
        Some("bin") => Ok(Codec::Binary),
        Some(other) => Err(format!("`--codec {other}`: it is json or bin")),
    }
}

fn demo(rest: &mut Rest) -> Result<Command, String> {
    let seconds = rest.number("--seconds")?.unwrap_or(12);
    if seconds < SHORTEST_DEMO {
        return Err(format!(
            "`--seconds {seconds}`: the demo needs {SHORTEST_DEMO} at least, \
             to restart a server and to kill one"
        ));
    }
    let memory = rest.flag("--memory");
    Ok(Command::Demo { seconds, seed: rest.number("--seed")?, memory })
}

/// The arguments that have not been read yet.
struct Rest {
    arguments: Vec<String>,
}

impl Rest {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.arguments.len();
        self.arguments.retain(|argument| argument != name);
        self.arguments.len() < before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(place) = self.arguments.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.arguments.remove(place);
        match self.arguments.get(place) {
            Some(value) if !value.starts_with("--") => Ok(Some(self.arguments.remove(place))),
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

    fn word(&mut self) -> Option<String> {
        let place = self.arguments.iter().position(|argument| !argument.starts_with('-'))?;
        Some(self.arguments.remove(place))
    }

    fn end(&self, command: &str) -> Result<(), String> {
        match self.arguments.first() {
            None => Ok(()),
            Some(argument) => {
                Err(format!("`{command}` does not know `{argument}`; try `chat help`"))
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
    fn without_arguments_the_chat_is_served_on_the_default_port() {
        let serve = |port| {
            let kept = Kept::File("chat-data/chat.db".into());
            Ok(Command::Serve { port, controlled: false, kept })
        };
        assert_eq!(line(""), serve(DEFAULT_PORT));
        assert_eq!(line("--port 0"), serve(0));
        assert_eq!(line("--help"), Ok(Command::Help));
    }

    #[test]
    fn what_is_said_is_kept_in_a_file_or_not_at_all() {
        let serve = |kept| Ok(Command::Serve { port: DEFAULT_PORT, controlled: false, kept });
        assert_eq!(line("serve --file my.db"), serve(Kept::File("my.db".into())));
        assert_eq!(line("--memory"), serve(Kept::Memory));
        assert!(line("--memory --file my.db").unwrap_err().contains("not both"));
    }

    #[test]
    fn options_may_stand_anywhere() {
        let wanted = Command::Join {
            room: "lobby".into(),
            name: "ada".into(),
            url: "ws://127.0.0.1:7777".into(),
            outbox: None,
            codec: Codec::Json,
        };
        assert_eq!(line("join lobby --as ada"), Ok(wanted.clone()));
        assert_eq!(line("join --as ada lobby"), Ok(wanted));
        let binary = line("join lobby --as ada --codec bin");
        assert!(matches!(binary, Ok(Command::Join { codec: Codec::Binary, .. })));
        let kept = line("join --outbox ada.outbox lobby --as ada");
        assert!(
            matches!(kept, Ok(Command::Join { outbox: Some(file), .. }) if file == *"ada.outbox")
        );
        assert_eq!(
            line("demo --seed 7"),
            Ok(Command::Demo { seconds: 12, seed: Some(7), memory: false })
        );
    }

    #[test]
    fn a_mistake_says_what_to_write_instead() {
        assert_eq!(
            line("join lobby").unwrap_err(),
            "who are you? For example: join lobby --as ada"
        );
        assert_eq!(line("join --as").unwrap_err(), "`--as` needs a value after it");
        assert!(line("sreve").unwrap_err().contains("serve, join, demo, help"));
        assert!(line("--port 99999").unwrap_err().contains("not a number"));
        assert!(line("join a --as b --codec xml").unwrap_err().contains("json or bin"));
        assert!(line("demo --seconds 1").unwrap_err().contains("4 at least"));
        assert!(line("demo --fast").unwrap_err().contains("does not know `--fast`"));
        assert!(line("join a --as b --server http://x").unwrap_err().contains("ws://"));
    }
}
