//! A node: JSON-RPC over a WebSocket on the simulated chain.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use parity_scale_codec::Encode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::chain::Chain;
use crate::runtime::{RenumberedEvent, metadata, metadata_with};

/// What the node does wrong with the next extrinsic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It takes the extrinsic and closes the connection without an answer.
    DropAfterTaking,
    /// It closes the connection and has not taken the extrinsic.
    DropBeforeTaking,
    /// It answers, and another extrinsic takes its place in the pool.
    Usurp,
    /// It answers by something that is no JSON, having taken the extrinsic.
    Garbage,
    /// The runtime is upgraded before it arrives.
    Upgrade,
}

/// What the node answers wrongly all the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    /// No storage, as if it did not know the block.
    NoStorage,
    /// It is catching up with the chain.
    Syncing,
    /// It refuses to show storage, by a text of two lines.
    TwoLines,
}

pub(crate) struct Shared {
    pub(crate) chain: Mutex<Chain>,
    pub(crate) faults: Mutex<VecDeque<Fault>>,
    pub(crate) lie: Mutex<Option<Lie>>,
    pub(crate) submitted: Mutex<u64>,
    heads: watch::Sender<u64>,
}

impl Shared {
    /// Makes blocks, and shows the last finalised one.
    pub(crate) fn advance(&self, blocks: u64) {
        let finalized = {
            let mut chain = self.chain.lock().unwrap();
            for _ in 0..blocks {
                chain.advance();
            }
            chain.finalized()
        };
        self.heads.send_replace(finalized);
    }
}

/// A node that can be stopped and started again.
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: String,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    pub(crate) async fn start(chain: Chain) -> Node {
        let shared = Arc::new(Shared {
            chain: Mutex::new(chain),
            faults: Mutex::new(VecDeque::new()),
            lie: Mutex::new(None),
            submitted: Mutex::new(0),
            heads: watch::channel(0).0,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut node = Node {
            shared,
            address,
            task: None,
        };
        node.serve(listener);
        node
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Closes all connections and stops.
    pub(crate) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.task = Some(tokio::spawn(async move {
            // They end with the node.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
        }));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Each answer is waited for.
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    let mut heads = shared.heads.subscribe();
    let mut subscribed = false;
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            changed = heads.changed(), if subscribed => {
                if changed.is_err() {
                    return;
                }
                let number = *heads.borrow_and_update();
                if socket.send(Message::text(head(number))).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(Ok(Message::Text(text))) = message else {
            return;
        };
        let request: Value = serde_json::from_str(&text).unwrap();
        let method = request["method"].as_str().unwrap();
        let answer = if method == "author_submitExtrinsic" {
            submit(&shared, &request["params"])
        } else {
            Some(answer(&shared, method, &request["params"]))
        };
        let text = match answer {
            // The connection is closed without an answer.
            None => return,
            Some(Err(text)) => text,
            Some(Ok(mut body)) => {
                body["jsonrpc"] = json!("2.0");
                body["id"] = request["id"].clone();
                body.to_string()
            }
        };
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
        if method == "chain_subscribeFinalizedHeads" {
            subscribed = true;
            let number = *heads.borrow_and_update();
            let _ = socket.send(Message::text(head(number))).await;
        }
    }
}

fn head(number: u64) -> String {
    let header = json!({"number": format!("{number:#x}"), "digest": {"logs": []}});
    let parameters = json!({"subscription": "heads", "result": header});
    let method = "chain_finalizedHead";
    json!({"jsonrpc": "2.0", "method": method, "params": parameters}).to_string()
}

/// `Err` is an answer that is sent as it is.
type Answer = Result<Value, String>;

fn submit(shared: &Shared, parameters: &Value) -> Option<Answer> {
    *shared.submitted.lock().unwrap() += 1;
    let extrinsic = unhex(&parameters[0]);
    let fault = shared.faults.lock().unwrap().pop_front();
    let mut chain = shared.chain.lock().unwrap();
    match fault {
        Some(Fault::DropBeforeTaking) => return None,
        Some(Fault::Usurp) => return Some(Ok(json!({"result": "0x00"}))),
        Some(Fault::Upgrade) => chain.spec_version += 1,
        _ => {}
    }
    if chain.verified(&extrinsic).is_none() {
        let error = json!({
            "code": 1010,
            "message": "Invalid Transaction",
            "data": "Transaction has a bad signature",
        });
        return Some(Ok(json!({"error": error})));
    }
    chain.pool.push(extrinsic);
    match fault {
        Some(Fault::DropAfterTaking) => None,
        Some(Fault::Garbage) => Some(Err("]<>".to_owned())),
        _ => Some(Ok(json!({"result": "0x00"}))),
    }
}

fn answer(shared: &Shared, method: &str, parameters: &Value) -> Answer {
    let chain = shared.chain.lock().unwrap();
    let at = |place: usize| {
        let hash: [u8; 32] = unhex(&parameters[place]).try_into().unwrap();
        chain.block(&hash)
    };
    let pruned = || json!({"error": {"code": -32000, "message": "State already discarded"}});
    let result = match method {
        "chain_getBlockHash" => {
            let number = parameters[0].as_u64().unwrap();
            if number <= chain.best {
                json!(hexed(&chain.hash(number)))
            } else {
                Value::Null
            }
        }
        "chain_subscribeFinalizedHeads" => json!("heads"),
        "system_health" => {
            let is_syncing = *shared.lie.lock().unwrap() == Some(Lie::Syncing);
            json!({"peers": 8, "isSyncing": is_syncing, "shouldHavePeers": true})
        }
        "chain_getBlock" => match at(0) {
            Some(block) => {
                let list: Vec<String> = block.extrinsics.iter().map(|one| hexed(one)).collect();
                json!({"block": {"extrinsics": list}})
            }
            None => Value::Null,
        },
        "state_getRuntimeVersion" => match at(0) {
            Some(block) => json!({
                "specVersion": block.spec_version,
                "transactionVersion": chain.transaction_version,
            }),
            None => return Ok(pruned()),
        },
        "state_call" => match parameters[0].as_str().unwrap() {
            "Metadata_metadata_versions" => json!(hexed(&vec![14_u32, 15, u32::MAX].encode())),
            _ => {
                let spec_version = at(2).map_or(0, |block| block.spec_version);
                let bytes = if spec_version < chain.renumbered_from {
                    metadata(Vec::new())
                } else {
                    metadata_with::<RenumberedEvent>(Vec::new())
                };
                json!(hexed(&Some(bytes).encode()))
            }
        },
        "state_queryStorageAt" | "state_getKeysPaged"
            if *shared.lie.lock().unwrap() == Some(Lie::NoStorage) =>
        {
            json!([])
        }
        "state_queryStorageAt" if *shared.lie.lock().unwrap() == Some(Lie::TwoLines) => {
            let error = json!({"code": -32000, "message": "first\nsecond"});
            return Ok(json!({"error": error}));
        }
        "state_queryStorageAt" => match at(1) {
            Some(block) => {
                let keys = parameters[0].as_array().unwrap().iter();
                let value = |key| block.storage.get(&unhex(key)).map(|value| hexed(value));
                let changes: Vec<Value> = keys.map(|key| json!([key, value(key)])).collect();
                json!([{"changes": changes}])
            }
            None => return Ok(pruned()),
        },
        "state_getKeysPaged" => match at(3) {
            Some(block) => {
                let (prefix, after) = (unhex(&parameters[0]), unhex(&parameters[2]));
                let keys = block.storage.keys();
                let keys = keys.filter(|key| key.starts_with(&prefix) && **key > after);
                let size = parameters[1].as_u64().unwrap() as usize;
                json!(keys.take(size).map(|key| hexed(key)).collect::<Vec<_>>())
            }
            None => return Ok(pruned()),
        },
        other => json!({"error": {"code": -32601, "message": format!("no method {other}")}}),
    };
    Ok(json!({"result": result}))
}

fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}
