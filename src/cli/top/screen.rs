//! The table on a terminal: asked for on one thread, drawn and steered on another, so that keys are
//! heard while a server does not answer.

use std::{
    io::{self, Write},
    panic,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute, queue,
    style::{Attribute, Print, SetAttribute},
    terminal::{
        self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    Sort, TopArgs, Watcher,
    frame::{HEAD_LINE, Scene},
    rates::Loud,
};
use crate::{
    cli::{exit, output},
    client::{Answered, Client, ClientFault},
};

/// How long a key may wait to be heard, and an answer to be drawn.
const TICK: Duration = Duration::from_millis(100);

type Looked = Result<Answered<Vec<Loud>>, ClientFault>;

/// Shows the table until `q`, Esc, Ctrl-C or a signal.
pub fn watch(args: &TopArgs, client: Client) -> ExitCode {
    let server = client.server().to_owned();
    let (sorts, asked) = bounded(1);
    let sorts = Sorts(sorts, asked.clone());
    let (answers, answered) = bounded(1);
    let watcher = Watcher::new(args, client);
    let (sort, every) = (args.sort, args.every);
    let asking = thread::Builder::new()
        .name("ask".to_owned())
        .spawn(move || ask(watcher, sort, every, &asked, &answers));
    if let Err(error) = asking {
        return output::fail(exit::OS, &format!("a thread: {error}"));
    }
    let done = (|| {
        let told = told_to_stop()?;
        let _screen = Screen::enter()?;
        steer(args, &server, &sorts, &answered, &told)
    })();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(exit::IO, &format!("the terminal: {error}")),
    }
}

/// The sort that is wanted: the latest takes the place of one that was not taken yet.
struct Sorts(Sender<Sort>, Receiver<Sort>);

impl Sorts {
    fn want(&self, sort: Sort) {
        while let Err(TrySendError::Full(_)) = self.0.try_send(sort) {
            // or it has just been taken: there is room either way
            let _ = self.1.try_recv();
        }
    }
}

/// Asks at once when the sort changes, else every so often, until nobody listens.
fn ask(
    mut watcher: Watcher,
    mut sort: Sort,
    every: Duration,
    asked: &Receiver<Sort>,
    answers: &Sender<Looked>,
) {
    while answers.send(watcher.look(sort)).is_ok() {
        match asked.recv_timeout(every) {
            Ok(wanted) => sort = wanted,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Set when the process is told to stop by a signal: the terminal must be given back first.
fn told_to_stop() -> io::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    Ok(told)
}

/// The terminal's alternate screen; the terminal is given back when this is dropped, or on a
/// panic, which ends the process.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    // whatever fails here, the rest is still worth trying
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    NextSort,
}

fn wish(key: &KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => Some(Wish::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Char('s') => Some(Wish::NextSort),
        _ => None,
    }
}

fn steer(
    args: &TopArgs,
    server: &str,
    sorts: &Sorts,
    answered: &Receiver<Looked>,
    told: &AtomicBool,
) -> io::Result<()> {
    let filters = args.filters();
    let mut sort = args.sort;
    let mut shown: Option<Answered<Vec<Loud>>> = None;
    let mut fault: Option<String> = None;
    let mut changed = true;
    while !told.load(Ordering::Relaxed) {
        if changed {
            let shown = shown.as_ref().map(|shown| (shown.data.as_slice(), shown.at));
            let fault = fault.as_deref();
            let scene = Scene { server, sort, every: args.every, filters: &filters, shown, fault };
            draw(&scene)?;
            changed = false;
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) => match wish(&key) {
                    Some(Wish::Quit) => return Ok(()),
                    Some(Wish::NextSort) => {
                        sort = sort.next();
                        changed = true;
                        sorts.want(sort);
                    }
                    None => {}
                },
                Event::Resize(..) => changed = true,
                _ => {}
            }
        }
        for looked in answered.try_iter() {
            changed = true;
            match looked {
                Ok(looked) => {
                    shown = Some(looked);
                    fault = None;
                }
                Err(failed) => fault = Some(failed.to_string()),
            }
        }
    }
    Ok(())
}

/// Draws over what is there, line by line, so that nothing flickers.
fn draw(scene: &Scene) -> io::Result<()> {
    let (width, height) = terminal::size()?;
    let mut out = io::stdout().lock();
    let lines = scene.lines(width.into(), height.into());
    for (at, line) in (0_u16..).zip(&lines) {
        queue!(out, MoveTo(0, at))?;
        if usize::from(at) == HEAD_LINE {
            queue!(out, SetAttribute(Attribute::Reverse))?;
        }
        queue!(out, Print(line), SetAttribute(Attribute::Reset), Clear(ClearType::UntilNewLine))?;
    }
    let below = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    if below < height {
        queue!(out, MoveTo(0, below), Clear(ClearType::FromCursorDown))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_sort_wanted_is_asked_for() {
        let (latest, asked) = bounded(1);
        let sorts = Sorts(latest, asked.clone());
        for sort in [Sort::Count, Sort::Rate, Sort::LastSeen] {
            sorts.want(sort);
        }
        assert!(asked.try_iter().eq([Sort::LastSeen]));
    }

    #[test]
    fn keys_have_their_meaning() {
        let key = |code, modifiers| wish(&KeyEvent::new(code, modifiers));
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(key(code, KeyModifiers::NONE), Some(Wish::Quit));
        }
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Char('s'), KeyModifiers::NONE), Some(Wish::NextSort));
    }
}
