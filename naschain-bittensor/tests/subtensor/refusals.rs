//! Each refusal of the runtime, by its name.

use naschain_bittensor::{Argument, Error, Remedy, Runtime};
use naschain_identity::Hotkey;

use crate::actors::Subnet;

fn weights(runtime: &Runtime, netuid: u16, uids: &[u16], values: &[u16], version: u64) -> Vec<u8> {
    let call = runtime.set_weights_call(netuid, uids, values, version);
    call.unwrap()
}

/// All calls are in one block, in this order.
pub(crate) async fn each_has_its_name(subnet: &mut Subnet) {
    use Remedy::{ReadAgain, Stop, Wait};
    let (validator, miner) = (subnet.validator.clone(), subnet.miners[0].clone());
    let (runtime, netuid) = (subnet.runtime.clone(), subnet.netuid);
    let (alice, stranger) = (subnet.alice.clone(), Hotkey::from_seed(&[77; 32]));
    let set = |uids: &[u16], values: &[u16]| weights(&runtime, netuid, uids, values, 0);
    let version = |key: u64| {
        let key = Argument::U64(key);
        subnet.sudo("sudo_set_weights_version_key", "weights_version_key", key)
    };
    let other_subnet = weights(&runtime, 99, &[1], &[1], 0);
    let commit = runtime.commit_call(netuid, &[1; 100], 1000, 4).unwrap();
    let expected = |name, remedy| Some((name, remedy));
    let steps = [
        (
            &miner,
            set(&[1, 2], &[1, 2]),
            expected("NeuronNoValidatorPermit", Wait),
        ),
        (
            &validator,
            set(&[1, 999], &[1, 2]),
            expected("UidVecContainInvalidOne", ReadAgain),
        ),
        (
            &validator,
            set(&[1, 1], &[1, 2]),
            expected("DuplicateUids", Stop),
        ),
        (
            &validator,
            set(&[1, 2], &[1]),
            expected("WeightVecNotEqualSize", Stop),
        ),
        (
            &stranger,
            set(&[1], &[1]),
            expected("HotKeyNotRegisteredInSubNet", Stop),
        ),
        (
            &validator,
            other_subnet,
            expected("SubNetworkDoesNotExist", Stop),
        ),
        (&alice, version(5), None),
        (
            &validator,
            set(&[1], &[1]),
            expected("IncorrectWeightVersionKey", ReadAgain),
        ),
        (&alice, version(0), None),
        (
            &validator,
            commit,
            expected("CommitRevealDisabled", ReadAgain),
        ),
        (&alice, subnet.rate_limit(100), None),
        (&validator, set(&[1], &[1]), None),
        (
            &validator,
            set(&[1], &[1]),
            expected("SettingWeightsTooFast", Wait),
        ),
        (&alice, subnet.commit_reveal(true), None),
        (
            &validator,
            set(&[1], &[1]),
            expected("CommitRevealEnabled", ReadAgain),
        ),
        (&alice, subnet.commit_reveal(false), None),
        (&alice, subnet.rate_limit(0), None),
    ];
    let calls = steps
        .iter()
        .map(|(signer, call, _)| ((*signer).clone(), call.clone()));
    let failures = subnet.send_all(calls.collect()).await.unwrap();
    for ((_, _, expected), error) in steps.iter().zip(failures) {
        let name = match &error {
            Some(Error::Dispatch { name, .. }) => Some(name.as_str()),
            other => {
                assert!(other.is_none(), "{other:?}");
                None
            }
        };
        assert_eq!(name, expected.map(|(name, _)| name));
        if let (Some(error), Some((_, remedy))) = (error, expected) {
            assert_eq!(error.remedy(), *remedy, "{error}");
            println!("refused as it should be: {error} ({remedy:?})");
        }
    }
    wrong_signatures(subnet, &validator, set(&[1], &[1])).await;
}

/// Signed for another chain or another runtime.
async fn wrong_signatures(subnet: &mut Subnet, validator: &Hotkey, call: Vec<u8>) {
    let terms = subnet.terms(validator).await;
    let mut other_chain = terms;
    other_chain.genesis = [1; 32];
    let mut other_runtime = Runtime::clone(&subnet.runtime);
    other_runtime.spec_version += 1;
    let runtime = &subnet.runtime;
    let extrinsics = [
        (
            "another chain",
            runtime.sign(&call, &other_chain, validator),
        ),
        (
            "another runtime",
            other_runtime.sign(&call, &terms, validator),
        ),
    ];
    for (signed_for, extrinsic) in extrinsics {
        let extrinsic = extrinsic.unwrap();
        let error = subnet.client.submit(&extrinsic.bytes).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { code: 1010, .. }),
            "{error}"
        );
        assert_eq!(error.remedy(), Remedy::ReadAgain);
        println!("signed for {signed_for}: {error}");
    }
}
