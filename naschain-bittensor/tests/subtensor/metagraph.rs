//! The metagraph by three ways: the map of uids, the map of hotkeys, and the runtime's own call.

use parity_scale_codec::{Decode, Encode};
use serde_json::json;

use crate::actors::Subnet;

pub(crate) async fn three_ways_agree(subnet: &mut Subnet) {
    let metagraph = subnet.metagraph().await;
    let (netuid, block) = (subnet.netuid, metagraph.block);
    assert_eq!(metagraph.hotkeys.len(), 4);
    // By the map from hotkeys to uids, listed by its beginning.
    let runtime = subnet.runtime.clone();
    let prefix = runtime.storage_key("SubtensorModule", "Uids", &[&netuid.encode()]);
    let keys = subnet
        .client
        .keys(&prefix.unwrap(), block.hash)
        .await
        .unwrap();
    let values = subnet.client.storage(&keys, block.hash).await.unwrap();
    let mut by_uid: Vec<(u16, [u8; 32])> = Vec::new();
    for (key, value) in keys.iter().zip(values) {
        // The hasher leaves the key at the end.
        let hotkey = key[key.len() - 32..].try_into().unwrap();
        by_uid.push((u16::decode(&mut &value.unwrap()[..]).unwrap(), hotkey));
    }
    by_uid.sort_unstable();
    let expected: Vec<(u16, [u8; 32])> = (0..).zip(metagraph.hotkeys.clone()).collect();
    assert_eq!(by_uid, expected);
    // By the runtime: `get_neurons_lite`, decoded by its type in the metadata.
    let argument = format!("0x{}", hex::encode(netuid.encode()));
    let at = format!("0x{}", hex::encode(block.hash));
    let method = "NeuronInfoRuntimeApi_get_neurons_lite";
    let answer = subnet
        .client
        .request("state_call", json!([method, argument, at]));
    let answer = answer.await.unwrap();
    let answer = hex::decode(answer.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap();
    let neurons = runtime.api_result(method, &answer).unwrap();
    let text = neurons.to_string();
    let mut places: Vec<usize> = Vec::new();
    for hotkey in &metagraph.hotkeys {
        let bytes = hotkey.map(|byte| byte.to_string()).join(", ");
        let found = text.find(&format!("hotkey: ((({bytes})))"));
        let found = found.or_else(|| text.find(&format!("({bytes})")));
        places.push(found.unwrap_or_else(|| panic!("{bytes} is not in {text}")));
    }
    assert!(places.is_sorted(), "{places:?}");
    println!(
        "the metagraph of {} uids by three ways: equal",
        expected.len()
    );
}
