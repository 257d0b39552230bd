//! The metagraph by three ways: the map of uids, the map of hotkeys, and the runtime's own call.

use naschain_bittensor::scale_value::{At, Value, ValueDef};
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
    let count = metagraph.hotkeys.len();
    for uid in 0..count {
        let neuron = neurons.at(uid).unwrap();
        let number = |field| numbers(neuron.at(field).unwrap())[0];
        let hotkey = metagraph.hotkeys[uid].map(u128::from);
        assert_eq!(numbers(neuron.at("hotkey").unwrap()), hotkey);
        assert_eq!(number("uid"), uid as u128);
        assert_eq!(number("last_update"), metagraph.last_update[uid].into());
        let permit = neuron.at("validator_permit").and_then(Value::as_bool);
        assert_eq!(permit, Some(metagraph.permits[uid]));
    }
    assert!(neurons.at(count).is_none(), "there are no more neurons");
    println!("the metagraph of {count} uids by three ways: equal");
}

/// The numbers that a value consists of, in their order.
fn numbers(value: &Value<u32>) -> Vec<u128> {
    match &value.value {
        ValueDef::Composite(parts) => parts.values().flat_map(numbers).collect(),
        _ => vec![value.as_u128().unwrap()],
    }
}
