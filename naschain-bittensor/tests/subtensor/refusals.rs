//! Each refusal of the runtime, by its name.

use naschain_bittensor::{Argument, Error, Remedy, Runtime};
use naschain_identity::Hotkey;

use crate::actors::Subnet;

fn weights(runtime: &Runtime, netuid: u16, uids: &[u16], values: &[u16], version: u64) -> Vec<u8> {
    let call = runtime.set_weights_call(netuid, uids, values, version);
    call.unwrap()
}

async fn expect(subnet: &mut Subnet, signer: &Hotkey, call: Vec<u8>, name: &str, remedy: Remedy) {
    let failure = subnet.send(signer, call).await.unwrap();
    assert_eq!(failure.as_deref(), Some(name));
    let name = name.to_owned();
    let error = Error::Dispatch { block: 1, name };
    assert_eq!(error.remedy(), remedy, "{error}");
    println!("refused as it should be: {error} ({remedy:?})");
}

pub(crate) async fn each_has_its_name(subnet: &mut Subnet) {
    use Remedy::{ReadAgain, Stop, Wait};
    let (validator, miner) = (subnet.validator.clone(), subnet.miners[0].clone());
    let (runtime, netuid) = (subnet.runtime.clone(), subnet.netuid);
    let set = |uids: &[u16], values: &[u16]| weights(&runtime, netuid, uids, values, 0);
    let call = set(&[1, 2], &[1, 2]);
    expect(subnet, &miner, call, "NeuronNoValidatorPermit", Wait).await;
    let call = set(&[1, 999], &[1, 2]);
    expect(
        subnet,
        &validator,
        call,
        "UidVecContainInvalidOne",
        ReadAgain,
    )
    .await;
    let call = set(&[1, 1], &[1, 2]);
    expect(subnet, &validator, call, "DuplicateUids", Stop).await;
    let call = set(&[1, 2], &[1]);
    expect(subnet, &validator, call, "WeightVecNotEqualSize", Stop).await;
    let stranger = Hotkey::from_seed(&[77; 32]);
    let call = set(&[1], &[1]);
    expect(subnet, &stranger, call, "HotKeyNotRegisteredInSubNet", Stop).await;
    let call = weights(&runtime, 99, &[1], &[1], 0);
    expect(subnet, &validator, call, "SubNetworkDoesNotExist", Stop).await;
    let key = "sudo_set_weights_version_key";
    subnet
        .configure(key, "weights_version_key", Argument::U64(5))
        .await;
    let call = set(&[1], &[1]);
    expect(
        subnet,
        &validator,
        call,
        "IncorrectWeightVersionKey",
        ReadAgain,
    )
    .await;
    subnet
        .configure(key, "weights_version_key", Argument::U64(0))
        .await;
    let call = runtime.commit_call(netuid, &[1; 100], 1000, 4).unwrap();
    expect(subnet, &validator, call, "CommitRevealDisabled", ReadAgain).await;
    subnet.rate_limit(100).await;
    assert_eq!(
        subnet.send(&validator, set(&[1], &[1])).await.unwrap(),
        None
    );
    let call = set(&[1], &[1]);
    expect(subnet, &validator, call, "SettingWeightsTooFast", Wait).await;
    subnet.commit_reveal(true).await;
    let call = set(&[1], &[1]);
    expect(subnet, &validator, call, "CommitRevealEnabled", ReadAgain).await;
    subnet.commit_reveal(false).await;
    subnet.rate_limit(0).await;
    wrong_signatures(subnet, &validator, set(&[1], &[1])).await;
}

/// Signed for another chain or another runtime.
async fn wrong_signatures(subnet: &mut Subnet, validator: &Hotkey, call: Vec<u8>) {
    let terms = subnet.terms(validator).await;
    let mut other_chain = terms;
    other_chain.genesis = [1; 32];
    let mut other_runtime = Runtime::clone(&subnet.runtime);
    other_runtime.spec_version += 1;
    let extrinsics = [
        subnet.runtime.sign(&call, &other_chain, validator).unwrap(),
        other_runtime.sign(&call, &terms, validator).unwrap(),
    ];
    for extrinsic in extrinsics {
        let error = subnet.client.submit(&extrinsic.bytes).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { code: 1010, .. }),
            "{error}"
        );
        assert_eq!(error.remedy(), Remedy::ReadAgain);
        println!("refused as it should be: {error}");
    }
}
