use std::{collections::BTreeMap, io, path::Path};

use clap::{Args, FromArgMatches, Parser, Subcommand};

use super::*;

#[derive(Debug, Parser)]
#[command(name = "x", args_conflicts_with_subcommands = true)]
struct Typed {
    #[command(subcommand)]
    command: Option<Commands>,
    #[command(flatten)]
    all: All,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Uses all
    Serve(All),
    /// Uses one
    Check(Stores),
    /// Has others under it
    Journal(Journal),
    /// Uses none
    Man,
}

#[derive(Debug, Args)]
struct Journal {
    #[command(flatten)]
    stores: Stores,
    #[command(subcommand)]
    what: Under,
}

#[derive(Debug, Subcommand)]
enum Under {
    /// Takes words and a setting of its own
    Show {
        #[arg(long, env = "ERRSIFT_DEPTH", default_value = "1", value_parser = small)]
        depth: u16,
        word: String,
    },
}

#[derive(Clone, Debug, Args)]
struct All {
    #[arg(long, env = "ERRSIFT_WORKERS", default_value = "1", value_parser = small)]
    workers: u16,
    #[arg(long = "tag", env = "ERRSIFT_TAGS", value_delimiter = ',', value_parser = tag)]
    tags: Vec<String>,
    #[arg(long = "pass", env = "ERRSIFT_PASSES", hide_env_values = true, value_delimiter = ',')]
    passes: Vec<String>,
    #[arg(long, env = "ERRSIFT_WEAK")]
    weak: bool,
    #[command(flatten)]
    stores: Stores,
}

#[derive(Clone, Debug, Args)]
struct Stores {
    #[arg(long, env = "ERRSIFT_URL", hide_env_values = true, value_parser = url)]
    url: Option<String>,
}

fn small(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or_else(|| "expected 1 to 64".to_owned())
}

fn tag(text: &str) -> Result<String, String> {
    if text.len() < 6 { Ok(text.to_owned()) } else { Err("expected at most 5 bytes".to_owned()) }
}

fn url(text: &str) -> Result<String, String> {
    if text.starts_with("a://") { Ok(text.to_owned()) } else { Err(format!("{text} is no URL")) }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn outside(variables: Pairs<'_>, files: Pairs<'_>) -> Outside {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let files = files.iter().map(|(name, text)| (Path::new(name).into(), text.as_bytes().into()));
    let files: BTreeMap<Box<Path>, Box<[u8]>> = files.collect();
    Outside::new(variables.collect::<Vec<(OsString, OsString)>>(), move |path| {
        let bytes = files.get(path).map(|bytes| bytes.to_vec());
        bytes.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    })
}

fn resolved(words: &[&str], variables: Pairs<'_>, files: Pairs<'_>) -> Result<Resolved, Refused> {
    let words: Vec<OsString> = [&["x"], words].concat().iter().map(OsString::from).collect();
    let command = documented(<Typed as clap::CommandFactory>::command());
    resolve(&command, &words, &outside(variables, files))
}

fn all_of(words: &[&str], variables: Pairs<'_>, files: Pairs<'_>) -> All {
    let resolved = resolved(words, variables, files).unwrap();
    let typed = Typed::from_arg_matches(&resolved.matches).unwrap();
    match typed.command {
        Some(Commands::Serve(all)) => all,
        _ => typed.all,
    }
}

fn faults(words: &[&str], variables: Pairs<'_>, files: Pairs<'_>) -> Vec<String> {
    match resolved(words, variables, files) {
        Err(Refused::Wrong(wrong)) => wrong.faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let file = [("errsift.toml", "workers = 4\ntags = [\"c\"]\nweak = true\nurl = 'a://f'")];
    let variables = [("ERRSIFT_WORKERS", "3"), ("ERRSIFT_TAGS", "b, d"), ("ERRSIFT_WEAK", "no")];
    for command in [&[][..], &["serve"]] {
        assert_eq!(all_of(command, &[], &[]).workers, 1);
        let from_file = all_of(command, &[], &file);
        assert_eq!((from_file.workers, from_file.weak), (4, true));
        assert_eq!(
            (from_file.tags, from_file.stores.url),
            (vec!["c".to_owned()], Some("a://f".to_owned()))
        );
        let from_variables = all_of(command, &variables, &file);
        assert_eq!((from_variables.workers, from_variables.weak), (3, false));
        assert_eq!(from_variables.tags, ["b", "d"]);
        let flags = ["--workers=2", "--tag", "a", "--tag=e,f", "--weak"];
        let from_flags = all_of(&[command, &flags].concat(), &variables, &file);
        assert_eq!((from_flags.workers, from_flags.weak), (2, true));
        assert_eq!(from_flags.tags, ["a", "e", "f"]);
        assert!(!all_of(&[command, &["--weak=off"]].concat(), &[], &file).weak);
    }
}

#[test]
fn values_are_judged_only_where_they_hold_and_are_used() {
    let file = [("errsift.toml", "workers = 0")];
    let wrong = [("ERRSIFT_WORKERS", "0"), ("ERRSIFT_WORKERS_FILE", "nowhere")];
    assert_eq!(all_of(&["--workers", "2"], &wrong, &file).workers, 2);
    assert_eq!(all_of(&[], &[("ERRSIFT_WORKERS", "2")], &file).workers, 2);
    assert!(resolved(&["check"], &wrong, &file).is_ok());
    assert!(resolved(&["man"], &[], &[("errsift.toml", "nonsense")]).is_ok());
}

#[test]
fn settings_may_belong_to_commands_under_commands() {
    let variables = [("ERRSIFT_URL", "a://v"), ("ERRSIFT_DEPTH", "3")];
    let words = ["journal", "show", "word"];
    let deep = |words: &[&str], variables| {
        let resolved = resolved(words, variables, &[]).unwrap();
        let typed = Typed::from_arg_matches(&resolved.matches).unwrap();
        let Some(Commands::Journal(journal)) = typed.command else { panic!("{typed:?}") };
        let Under::Show { depth, word } = journal.what;
        assert_eq!(word, "word");
        (journal.stores.url.unwrap(), depth)
    };
    assert_eq!(deep(&words, &variables), ("a://v".to_owned(), 3));
    let flags = ["journal", "--url", "a://f", "show", "--depth", "2", "word"];
    assert_eq!(deep(&flags, &variables), ("a://f".to_owned(), 2));
    let wrong = [("ERRSIFT_URL", "v"), ("ERRSIFT_DEPTH", "0")];
    assert_eq!(faults(&words, &wrong, &[]).len(), 2);
}

#[test]
fn everything_wrong_is_named_at_once() {
    let file = [("my.toml", "wrokers = 2\nweak = \"on\"\n[section]\na = 1\n")];
    let variables =
        [("ERRSIFT_TAGS", "good,too long,also too long"), ("ERRSIFT_CONFIG", "my.toml")];
    assert_eq!(
        faults(&["--workers", "0"], &variables, &file),
        [
            "my.toml:1: \"wrokers\" is no setting, did you mean \"workers\"?",
            "my.toml:3: there are no sections here, such as [section]",
            "--workers \"0\" (flag): expected 1 to 64",
            "--tag \"too long\" (ERRSIFT_TAGS): expected at most 5 bytes",
            "--tag \"also too long\" (ERRSIFT_TAGS): expected at most 5 bytes",
            "--weak (my.toml:2): expected true or false",
        ]
    );
    assert_eq!(
        faults(&[], &[("ERRSIFT_WORKERS", ""), ("ERRSIFT_WEAK", "maybe")], &[]),
        [
            "--workers \"\" (ERRSIFT_WORKERS): it is empty",
            "--weak \"maybe\" (ERRSIFT_WEAK): expected true or false",
        ]
    );
}

#[test]
fn a_file_must_be_what_it_is_named_for() {
    let missing = faults(&["--config", "gone.toml"], &[], &[]);
    assert_eq!(missing, ["--config \"gone.toml\" (flag): cannot be read: no such file"]);
    let broken = faults(&[], &[], &[("errsift.toml", "workers = 1\nurl = secret\n")]);
    assert!(broken[0].starts_with("errsift.toml:2: "), "{broken:?}");
    assert!(!broken[0].contains("secret"), "{broken:?}");
    let twice = faults(&[], &[], &[("errsift.toml", "workers = 1\nworkers = 2\n")]);
    assert!(twice[0].starts_with("errsift.toml:2: duplicate key"), "{twice:?}");
    let itself =
        faults(&[], &[], &[("errsift.toml", "config = \"x\"\ntags = \"x\"\nworkers = []")]);
    assert!(itself[0].starts_with("errsift.toml:1: \"config\" is no setting"), "{itself:?}");
    assert_eq!(itself[1..].len(), 2, "{itself:?}");
}

#[test]
fn a_variable_may_name_a_file() {
    let files =
        [("/run/url", "a://u:p@h\n"), ("/run/tags", "a\nb,c\r\n"), ("/run/wrong", "s3cret")];
    let variables = [("ERRSIFT_URL_FILE", "/run/url"), ("ERRSIFT_TAGS_FILE", "/run/tags")];
    let all = all_of(&[], &variables, &files);
    assert_eq!(all.stores.url.as_deref(), Some("a://u:p@h"));
    assert_eq!(all.tags, ["a", "b", "c"]);
    let both = [("ERRSIFT_URL_FILE", "/run/url"), ("ERRSIFT_URL", "a://x")];
    let reason = "ERRSIFT_URL is given too, and only one can hold";
    assert_eq!(faults(&[], &both, &files), [format!("--url (ERRSIFT_URL_FILE): {reason}")]);
    let gone = faults(&[], &[("ERRSIFT_URL_FILE", "/gone")], &files);
    assert_eq!(gone, ["--url \"/gone\" (ERRSIFT_URL_FILE): cannot be read: no such file"]);
    // a path given by mistake does not show what is in the file
    let wrong = [("ERRSIFT_WORKERS_FILE", "/run/wrong"), ("ERRSIFT_URL_FILE", "/run/wrong")];
    for fault in faults(&[], &wrong, &files) {
        assert!(fault.contains("***") && !fault.contains("s3cret"), "{fault}");
    }
}

#[test]
fn secrets_are_not_repeated_by_faults_or_by_what_is_shown() {
    for (words, variables) in [
        (&["--url", "b://u:s3cret@h"][..], &[][..]),
        (&[], &[("ERRSIFT_URL", "s3cret")]),
        (&["--workers", "a://u:s3cret@h"], &[]),
    ] {
        let faults = faults(words, variables, &[("errsift.toml", "url = 's3cret'")]);
        assert!(!faults.concat().contains("s3cret"), "{faults:?}");
        assert!(faults.concat().contains("***"), "{faults:?}");
    }
    let resolved = resolved(&["--url", "a://u:s3cret@h/x"], &[], &[]).unwrap();
    let url = resolved.found.iter().find(|found| found.setting.key() == "url").unwrap();
    assert_eq!(url.shown(), ["a://u:***@h/x"]);
}

#[test]
fn secrets_that_are_meant_to_be_there_are_there() {
    let file = [("/run/passes", "\n"), ("errsift.toml", "passes = [\"p\"]")];
    let reason = "it is empty; leave it unset if none is meant";
    for variable in [("ERRSIFT_PASSES", ""), ("ERRSIFT_PASSES_FILE", "/run/passes")] {
        let faults = faults(&[], &[variable], &file);
        assert!(faults[0].contains(reason) && faults[0].contains(variable.0), "{faults:?}");
    }
    assert!(resolved(&[], &[], &[("errsift.toml", "passes = []")]).is_ok());
}

#[test]
fn a_variable_that_nobody_reads_is_a_warning() {
    let variables = [("ERRSIFT_WROKERS", "2"), ("ERRSIFT_XYZZY", "s3cret"), ("OTHER", "x")];
    let warnings = resolved(&[], &variables, &[]).unwrap().warnings;
    let near = "ERRSIFT_WROKERS is no setting, did you mean ERRSIFT_WORKERS?";
    assert_eq!(warnings, [near, "ERRSIFT_XYZZY is no setting"]);
}

#[test]
fn origins_are_told() {
    let files = [("errsift.toml", "\nweak = true")];
    let resolved = resolved(&["--workers", "2"], &[("ERRSIFT_TAGS", "a")], &files).unwrap();
    let origins = resolved.found.iter().map(|found| {
        let values = found.shown().join(",");
        format!("{}={values} {}", found.setting.key(), found.origin)
    });
    let origins: Vec<String> = origins.collect();
    assert_eq!(
        origins,
        [
            "workers=2 flag",
            "tags=a ERRSIFT_TAGS",
            "passes= default",
            "weak=true errsift.toml:2",
            "url= default",
            "config=errsift.toml default",
            "log=info default",
            "log-format=auto default",
        ]
    );
}
