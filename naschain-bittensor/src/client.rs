use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Remedy};
use crate::metadata::{Runtime, decode_all};
use crate::rpc::{Connection, without_secrets};

/// A node that shows no new finalised block for so long is left.
const HEAD_PATIENCE: Duration = Duration::from_secs(120);
/// Storage keys in one request.
const KEYS_PER_REQUEST: usize = 512;
/// Entries of one map that are listed at most.
const MAX_LISTED_KEYS: usize = 65_536;

/// A block by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// The number.
    pub number: u64,
    /// The hash.
    pub hash: [u8; 32],
}

/// A client of one chain, over any of several nodes.
pub struct ChainClient {
    endpoints: Vec<String>,
    /// The endpoint that is tried next.
    turn: usize,
    genesis: Option<[u8; 32]>,
    connection: Option<Connection>,
    /// The subscription to finalised heads on this connection.
    heads: Option<String>,
    runtime: Option<Arc<Runtime>>,
}

impl ChainClient {
    /// A client that is not connected yet. Endpoints are `ws://` or `wss://` addresses. `genesis` pins
    /// the chain; without it the first node decides.
    ///
    /// # Errors
    /// [`Error::Argument`] without endpoints or for another scheme.
    pub fn new(endpoints: &[String], genesis: Option<[u8; 32]>) -> Result<ChainClient, Error> {
        let expected = "one or more addresses that begin with ws:// or wss://";
        let is_valid = |url: &String| url.starts_with("ws://") || url.starts_with("wss://");
        let invalid = endpoints.iter().find(|url| !is_valid(url)).cloned();
        if endpoints.is_empty() || invalid.is_some() {
            return Err(Error::Argument {
                found: without_secrets(&invalid.unwrap_or_default()),
                expected,
            });
        }
        Ok(ChainClient {
            endpoints: endpoints.to_vec(),
            turn: 0,
            genesis,
            connection: None,
            heads: None,
            runtime: None,
        })
    }

    /// The pinned genesis hash, `None` before the first connection.
    pub fn genesis(&self) -> Option<[u8; 32]> {
        self.genesis
    }

    /// Pins the chain, unless it is pinned already.
    pub(crate) fn pin(&mut self, genesis: &str) -> Result<(), Error> {
        if self.genesis.is_none() {
            self.genesis = Some(hash(&json!(genesis))?);
        }
        Ok(())
    }

    /// The node that is connected: scheme, host and port.
    pub fn endpoint(&self) -> Option<&str> {
        self.connection.as_ref().map(Connection::endpoint)
    }

    /// Connects if there is no connection: each endpoint is tried once, in turn.
    ///
    /// # Errors
    /// The last endpoint's error; [`Error::WrongChain`] only if no endpoint has the right chain.
    pub async fn connect(&mut self) -> Result<(), Error> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut last = None;
        for _ in 0..self.endpoints.len() {
            let endpoint = self.endpoints[self.turn % self.endpoints.len()].clone();
            self.turn += 1;
            match self.open(&endpoint).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    // A node of the right chain may come back, so its error is the one to report.
                    let keep = matches!(&last, Some(kept) if Error::remedy(kept) != Remedy::Stop);
                    if !keep || error.remedy() != Remedy::Stop {
                        last = Some(error);
                    }
                }
            }
        }
        Err(last.expect("there is an endpoint"))
    }

    async fn open(&mut self, endpoint: &str) -> Result<(), Error> {
        let mut connection = Connection::open(endpoint).await?;
        let genesis = connection.call("chain_getBlockHash", json!([0])).await?;
        let genesis: [u8; 32] = hash(&genesis)?;
        match self.genesis {
            Some(expected) if expected != genesis => {
                return Err(Error::WrongChain {
                    endpoint: connection.endpoint().to_owned(),
                    found: hex_text(&genesis),
                    expected: hex_text(&expected),
                });
            }
            _ => self.genesis = Some(genesis),
        }
        connection.check_synced().await?;
        let heads = connection
            .call("chain_subscribeFinalizedHeads", json!([]))
            .await?;
        self.heads = match heads {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                return Err(Error::malformed(
                    "chain_subscribeFinalizedHeads",
                    "the answer is not a subscription id",
                ));
            }
        };
        self.connection = Some(connection);
        Ok(())
    }

    /// Gives the connection up; the next request connects to the next endpoint.
    pub fn disconnect(&mut self) {
        self.connection = None;
        self.heads = None;
    }

    /// Makes one JSON-RPC request. A broken connection is given up; the request is not repeated.
    /// Parameters and result are JSON of any kind, so their type is that of serde_json.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::Refused`], [`Error::Malformed`], or those of
    /// [`connect`](ChainClient::connect).
    pub async fn request(&mut self, method: &str, parameters: Value) -> Result<Value, Error> {
        self.connect().await?;
        let connection = self.connection.as_mut().expect("connected above");
        let answer = connection.call(method, parameters).await;
        if matches!(
            answer,
            Err(Error::Connection { .. } | Error::Malformed { .. })
        ) {
            self.disconnect();
        }
        answer
    }

    /// Waits for the next finalised block. Blocks may be skipped, and another node may be behind.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn next_head(&mut self) -> Result<BlockRef, Error> {
        self.connect().await?;
        let number = self.next_head_number().await;
        if number.is_err() {
            self.disconnect();
        }
        let number = number?;
        let hash = self.block_hash(number).await?;
        let hash = hash.ok_or_else(|| {
            Error::malformed("chain_getBlockHash", format!("block {number} is missing"))
        })?;
        Ok(BlockRef { number, hash })
    }

    async fn next_head_number(&mut self) -> Result<u64, Error> {
        let connection = self.connection.as_mut().expect("the caller has connected");
        let heads = self.heads.as_deref().unwrap_or_default();
        let head = connection.notification(heads, HEAD_PATIENCE).await?;
        number(&head["number"])
    }

    /// The latest finalised block.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn finalized(&mut self) -> Result<BlockRef, Error> {
        let head = self.request("chain_getFinalizedHead", json!([])).await?;
        let hash = hash(&head)?;
        let parameters = json!([hex_text(&hash)]);
        let header = self.request("chain_getHeader", parameters).await?;
        let number = number(&header["number"])?;
        Ok(BlockRef { number, hash })
    }

    /// The hash of the block with this number on the node's best chain.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn block_hash(&mut self, number: u64) -> Result<Option<[u8; 32]>, Error> {
        let found = self.request("chain_getBlockHash", json!([number])).await?;
        if found.is_null() {
            return Ok(None);
        }
        hash(&found).map(Some)
    }

    /// The extrinsics of a block.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn extrinsics(&mut self, block: [u8; 32]) -> Result<Vec<Vec<u8>>, Error> {
        let parameters = json!([hex_text(&block)]);
        let found = self.request("chain_getBlock", parameters).await?;
        let list = found["block"]["extrinsics"].as_array();
        let list =
            list.ok_or_else(|| Error::malformed("chain_getBlock", "it has no extrinsics"))?;
        list.iter().map(bytes).collect()
    }

    /// The runtime that wrote the state of a block. In the block of an upgrade it is not the one that
    /// [`runtime`](ChainClient::runtime) finds there, which executes the next block.
    pub(crate) async fn executing_runtime(
        &mut self,
        block: BlockRef,
    ) -> Result<Arc<Runtime>, Error> {
        let parent = match block.number.checked_sub(1) {
            Some(parent) => self.block_hash(parent).await?,
            None => None,
        };
        self.runtime(parent.unwrap_or(block.hash)).await
    }

    /// The runtime at a block, which executes the next one: its version is read each time, its
    /// metadata when the version changes.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request), and those of [`Runtime::decode`].
    pub async fn runtime(&mut self, block: [u8; 32]) -> Result<Arc<Runtime>, Error> {
        let at = hex_text(&block);
        let version = self.request("state_getRuntimeVersion", json!([at])).await?;
        let read = |name: &str| {
            let value = version[name]
                .as_u64()
                .and_then(|value| value.try_into().ok());
            value.ok_or_else(|| {
                Error::malformed("state_getRuntimeVersion", format!("{name} is missing"))
            })
        };
        let (spec, transaction): (u32, u32) = (read("specVersion")?, read("transactionVersion")?);
        if let Some(runtime) = &self.runtime
            && (runtime.spec_version, runtime.transaction_version) == (spec, transaction)
        {
            return Ok(Arc::clone(runtime));
        }
        let metadata = self.metadata(&at).await?;
        let runtime = Arc::new(Runtime::decode(&metadata, spec, transaction)?);
        self.runtime = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    /// The newest supported metadata of a block's runtime.
    async fn metadata(&mut self, at: &str) -> Result<Vec<u8>, Error> {
        let versions = json!(["Metadata_metadata_versions", "0x", at]);
        let versions = match self.request("state_call", versions).await {
            Ok(answer) => decode_all::<Vec<u32>>("the versions of the metadata", &bytes(&answer)?)?,
            // Old runtimes have no such call.
            Err(Error::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let newest = versions
            .into_iter()
            .filter(|version| (14..=16).contains(version))
            .max();
        if let Some(version) = newest.filter(|version| *version > 14) {
            let argument = hex_text(&version.to_le_bytes());
            let parameters = json!(["Metadata_metadata_at_version", argument, at]);
            let answer = self.request("state_call", parameters).await?;
            let found: Option<Vec<u8>> = decode_all("the metadata", &bytes(&answer)?)?;
            return found.ok_or_else(|| {
                Error::malformed("the metadata", format!("there is no version {version}"))
            });
        }
        let answer = self.request("state_getMetadata", json!([at])).await?;
        bytes(&answer)
    }

    /// The values under some storage keys at a block, in the order of the keys.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn storage(
        &mut self,
        keys: &[Vec<u8>],
        block: [u8; 32],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        for part in keys.chunks(KEYS_PER_REQUEST) {
            let texts: Vec<String> = part.iter().map(|key| hex_text(key)).collect();
            let parameters = json!([texts, hex_text(&block)]);
            let method = "state_queryStorageAt";
            let answer = self.request(method, parameters).await?;
            let changes = answer[0]["changes"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            for text in &texts {
                let found = changes.iter().find(|change| change[0] == *text.as_str());
                // Nothing stored is null. Some nodes answer by an empty list for a block that they do
                // not know, which must not be taken for a chain without values.
                let found = found
                    .ok_or_else(|| Error::malformed(method, format!("it has no key {text}")))?;
                let value = Some(&found[1]).filter(|value| !value.is_null());
                values.push(value.map(bytes).transpose()?);
            }
        }
        Ok(values)
    }

    /// All storage keys with this beginning at a block.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request); [`Error::Malformed`] if there are more than 65,536.
    pub async fn keys(&mut self, prefix: &[u8], block: [u8; 32]) -> Result<Vec<Vec<u8>>, Error> {
        let (start, at) = (hex_text(prefix), hex_text(&block));
        let mut keys: Vec<Vec<u8>> = Vec::new();
        loop {
            let after = keys
                .last()
                .map_or_else(|| start.clone(), |key| hex_text(key));
            let parameters = json!([start, KEYS_PER_REQUEST, after, at]);
            let answer = self.request("state_getKeysPaged", parameters).await?;
            let page = answer
                .as_array()
                .ok_or_else(|| Error::malformed("state_getKeysPaged", "it is no list"))?;
            for key in page {
                keys.push(bytes(key)?);
            }
            if page.len() < KEYS_PER_REQUEST {
                return Ok(keys);
            }
            if keys.len() >= MAX_LISTED_KEYS {
                let reason = format!("there are more than {MAX_LISTED_KEYS}");
                return Err(Error::malformed("state_getKeysPaged", reason));
            }
        }
    }

    /// Gives an extrinsic to the node's pool. If this fails by [`Error::Connection`], the pool may
    /// have it all the same.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn submit(&mut self, extrinsic: &[u8]) -> Result<(), Error> {
        let parameters = json!([hex_text(extrinsic)]);
        self.request("author_submitExtrinsic", parameters).await?;
        Ok(())
    }
}

/// `0x` and hexadecimal digits.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads `0x` and hexadecimal digits.
pub(crate) fn bytes(value: &Value) -> Result<Vec<u8>, Error> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let text =
        text.ok_or_else(|| Error::malformed("a node's bytes", "they do not begin with 0x"))?;
    hex::decode(text).map_err(|error| Error::malformed("a node's bytes", error))
}

fn hash(value: &Value) -> Result<[u8; 32], Error> {
    let bytes = bytes(value)?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| Error::malformed("a block's hash", format!("it has {length} bytes, not 32")))
}

/// A block's number, in hexadecimal. The chain's type is u32, so sums with them do not overflow.
fn number(value: &Value) -> Result<u64, Error> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
    number
        .map(u64::from)
        .ok_or_else(|| Error::malformed("a block's number", format!("it is {value}")))
}
