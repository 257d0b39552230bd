//! A miner that is asked to stop leaves: nobody waits for its leases to expire.

use std::process::Command;

use crate::programs::{Server, call, folder, read, wait_until};

#[test]
fn the_seats_of_a_miner_that_is_terminated_are_assigned_anew_at_once() {
    let dir = folder("leave");
    let run = dir.join("run");
    // Without leaving, its seats would be open after ten minutes: far longer than this test waits.
    let server = Server::start_with(&run, 0, &["--lease-seconds=600"]);
    let closed = || read(run.join("history.jsonl")).lines().count();
    let _miners = ["ada", "bob", "dan"].map(|name| server.miner(name));
    let mut eve = server.miner("eve");
    wait_until("two jobs have ended", || closed() >= 2);
    let pid = eve.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(sent.success());
    wait_until("eve has ended", || eve.0.try_wait().unwrap().is_some());
    assert!(eve.0.wait().unwrap().success());
    wait_until("the front is written", || run.join("front.json").exists());
    assert_eq!(closed(), 12);
    let journal = call(&server, "GET", "/v1/journal", "", "").body;
    assert!(journal.contains(r#"\"event\":\"leave\",\"miner\":\"eve\""#));
    std::fs::remove_dir_all(dir).unwrap();
}
