//! The example configuration files, read by the programs.

use crate::programs::{Process, Server, call, folder, genomaster, text, wait_until};

fn example(name: &str) -> String {
    format!("{}/../deploy/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_examples_use_existing_flags() {
    // With --help nothing is started, but all flags are checked first.
    let mut serve = genomaster();
    serve.args(["--config", &example("genomaster.toml"), "serve", "--help"]);
    let mut miner = crate::programs::miner();
    miner.args(["--config", &example("miner.toml"), "--help"]);
    for mut command in [serve, miner] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// The command of each service in a compose file that is one of the programs, without its variables.
fn commands(compose: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for block in compose.split("    command:\n").skip(1) {
        let lines = block.lines().map(str::trim);
        let lines = lines.take_while(|line| line.starts_with(['-', '#']));
        let items = lines.filter_map(|line| line.strip_prefix("- "));
        let items = items.map(|item| item.replace("${NASCHAIN_JOBS:-1}", "1"));
        let items: Vec<String> = items.collect();
        let is_program = |item: &String| ["genomaster", "miner", "validator"].contains(&&**item);
        let start = items.iter().rposition(is_program).unwrap();
        commands.push(items[start..].to_vec());
    }
    commands
}

#[test]
fn the_compose_files_use_existing_flags() {
    let of = |name: &str| commands(&crate::programs::read(example(name)));
    let all = [of("compose.yml"), of("compose.miner.yml")].concat();
    assert_eq!(all.len(), 3, "{all:?}");
    for words in all {
        let mut command = match &*words[0] {
            "genomaster" => genomaster(),
            "miner" => crate::programs::miner(),
            _ => crate::programs::validator(),
        };
        let output = command.args(&words[1..]).arg("--help").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// Not "latest": what runs is the version that the file is of.
#[test]
fn the_images_have_the_version_of_the_programs() {
    let tag = concat!("naschain:", env!("CARGO_PKG_VERSION"));
    for name in ["compose.yml", "compose.miner.yml"] {
        let text = crate::programs::read(example(name));
        assert!(text.contains(&format!("image: {tag}\n")), "{name}");
    }
    assert!(crate::programs::read(example("README.md")).contains(&format!("-t {tag} ")));
}

#[test]
fn a_wrong_key_ends_with_exit_code_2_and_its_name_and_logs_can_be_json() {
    let dir = folder("config");
    let file = dir.join("flags.toml");
    std::fs::write(&file, "lsten = \"127.0.0.1:0\"").unwrap();
    let mut serve = genomaster();
    let output = serve.arg("serve").arg("--config").arg(&file).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("lsten is not a flag of `genomaster serve`"),
        "{error}"
    );

    let run = dir.join("run");
    let flags = crate::programs::SMALL.map(|flag| flag.trim_start_matches("--"));
    let mut toml = format!("log-format = \"json\"\nrun = {run:?}\nmode = \"surrogate\"\n");
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap();
        let number = value.parse::<f64>().is_ok();
        if name != "mode" {
            toml += &if number {
                format!("{name} = {value}\n")
            } else {
                format!("{name} = {value:?}\n")
            };
        }
    }
    std::fs::write(&file, toml).unwrap();
    let mut search = genomaster();
    search
        .args(["search", "--mode=nsga2", "--config"])
        .arg(&file);
    search.env("RUST_LOG", "info");
    let output = search.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for line in text(&output.stderr).lines() {
        let log: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            log["level"].is_string() && log["message"].is_string(),
            "{log}"
        );
    }
    let alone = dir.join("alone");
    crate::programs::succeeded(crate::programs::search(&alone, &[]).output().unwrap());
    let front = |run: &std::path::Path| crate::programs::read(run.join("front.json"));
    assert!(front(&run).len() > 100);
    assert_eq!(front(&run), front(&alone));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_fatal_error_is_logged_as_json() {
    let mut audit = genomaster();
    audit.args(["--log-format=json", "audit", "/nowhere"]);
    let output = audit.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log: serde_json::Value = serde_json::from_str(&text(&output.stderr)).unwrap();
    assert_eq!(log["level"], "ERROR");
    let message = log["message"].as_str().unwrap();
    assert!(message.contains("/nowhere does not exist"), "{log}");
}

#[test]
fn no_message_shows_a_password() {
    let mut serve = genomaster();
    serve.args(["serve", "--store", "postgress://u:hunter2secret@h/db"]);
    let mut audit = genomaster();
    audit.args(["audit", "x", "--store=postgress://u:hunter2secret@h/db"]);
    let mut miner = crate::programs::miner();
    miner.args(["--genomaster", "htp://u:hunter2secret@host:5000"]);
    for (mut command, expected) in [
        (serve, "--store <PLACE>"),
        (audit, "postgress:// is neither"),
        (miner, "\"host:5000\" is not the address of a genomaster"),
    ] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        assert!(
            error.contains(expected) && !error.contains("hunter2"),
            "{error}"
        );
    }
}

/// The steps of deploy/README.md, in a temporary folder.
#[test]
fn a_hotkey_is_where_the_examples_look_for_it() {
    let dir = folder("deploy");
    let own = |text: String| text.replace("/var/lib", dir.to_str().unwrap());
    let readme = own(crate::programs::read(example("README.md")));
    let keygens: Vec<Vec<String>> = readme
        .lines()
        .filter_map(|line| line.split_once("miner keygen "))
        .map(|(_, flags)| flags.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert_eq!(keygens.len(), 6, "{readme}");
    for name in ["genomaster", "miner"] {
        let text = crate::programs::read(example(&format!("{name}.toml")));
        let text = own(text).replace("127.0.0.1:5000", "127.0.0.1:0");
        std::fs::write(dir.join(format!("{name}.toml")), text).unwrap();
    }
    let config = |name: &str| format!("--config={}", dir.join(name).display());
    let mut serve = genomaster();
    serve.args([&config("genomaster.toml"), "serve"]);
    let without = serve.output().unwrap();
    assert!(
        text(&without.stderr).contains("cannot read hotkey"),
        "{without:?}"
    );
    for flags in &keygens[..2] {
        let mut keygen = crate::programs::miner();
        let output = keygen.arg("keygen").args(flags).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let server = Server::spawn(serve.stdout(std::process::Stdio::piped()));
    assert_eq!(call(&server, "GET", "/healthz", "", "").status, 200);
    let mut miner = crate::programs::miner();
    miner.args([&config("miner.toml"), "--genomaster", &server.url]);
    let mut miner = Process::start(miner.stderr(std::process::Stdio::null()));
    let joined = || {
        let metrics = call(&server, "GET", "/metrics", "", "").body;
        metrics.contains("naschain_miners_present 1\n")
    };
    wait_until("the miner has joined", joined);
    miner.kill();
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}
