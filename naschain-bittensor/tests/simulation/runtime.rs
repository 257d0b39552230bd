//! The metadata of the simulated runtime: what Subtensor has of the same names, and nothing more.

use frame_metadata::v14::{StorageEntryModifier, StorageEntryType, StorageHasher};
use frame_metadata::v15::{
    CustomMetadata, ExtrinsicMetadata, OuterEnums, PalletCallMetadata, PalletConstantMetadata,
    PalletErrorMetadata, PalletEventMetadata, PalletMetadata, PalletStorageMetadata,
    RuntimeMetadataV15, SignedExtensionMetadata, StorageEntryMetadata,
};
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use naschain_bittensor::{Error, Runtime, SigningTerms};
use naschain_identity::Hotkey;
use parity_scale_codec::{Compact, Encode};
use scale_info::{MetaType, TypeInfo, meta_type};

pub(crate) const BLOCK_MS: u64 = 12_000;

#[derive(Encode, TypeInfo)]
#[allow(
    non_camel_case_types,
    dead_code,
    reason = "calls have the names of the chain"
)]
pub(crate) enum SubtensorCall {
    #[codec(index = 0)]
    set_weights {
        netuid: u16,
        dests: Vec<u16>,
        weights: Vec<u16>,
        version_key: u64,
    },
    #[codec(index = 113)]
    commit_timelocked_weights {
        netuid: u16,
        commit: Vec<u8>,
        reveal_round: u64,
        commit_reveal_version: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Encode, TypeInfo)]
pub(crate) enum SubtensorError {
    HotKeyNotRegisteredInSubNet,
    NeuronNoValidatorPermit,
    SettingWeightsTooFast,
    CommitRevealEnabled,
    CommitRevealDisabled,
}

#[derive(Encode, TypeInfo)]
pub(crate) struct ModuleError {
    pub(crate) index: u8,
    pub(crate) error: [u8; 4],
}

#[derive(Encode, TypeInfo)]
#[allow(dead_code, reason = "not all kinds of errors happen here")]
pub(crate) enum DispatchError {
    Other,
    CannotLookup,
    BadOrigin,
    Module(ModuleError),
}

#[derive(Encode, TypeInfo)]
pub(crate) enum SystemEvent {
    ExtrinsicSuccess,
    ExtrinsicFailed { dispatch_error: DispatchError },
}

#[derive(Encode, TypeInfo)]
pub(crate) enum SubtensorEvent {
    #[codec(index = 1)]
    TimelockedWeightsRevealed(u16, [u8; 32]),
}

#[derive(Encode, TypeInfo)]
pub(crate) enum RuntimeEvent {
    #[codec(index = 0)]
    System(SystemEvent),
    #[codec(index = 7)]
    SubtensorModule(SubtensorEvent),
}

/// [`RuntimeEvent`] with other numbers, as after an upgrade.
#[derive(TypeInfo)]
#[allow(dead_code, reason = "only its type is used")]
pub(crate) enum RenumberedEvent {
    #[codec(index = 1)]
    System(SystemEvent),
    #[codec(index = 8)]
    SubtensorModule(SubtensorEvent),
}

#[derive(Encode, TypeInfo)]
#[allow(dead_code, reason = "not all phases happen here")]
pub(crate) enum Phase {
    ApplyExtrinsic(u32),
    Finalization,
    Initialization,
}

#[derive(Encode, TypeInfo)]
pub(crate) struct EventRecord<E = RuntimeEvent> {
    pub(crate) phase: Phase,
    pub(crate) event: E,
    pub(crate) topics: Vec<[u8; 32]>,
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only its type is used")]
enum Address {
    Id([u8; 32]),
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only its type is used")]
enum Signature {
    Ed25519([u8; 64]),
    Sr25519([u8; 64]),
}

fn plain<T: TypeInfo + 'static>(name: &'static str, default: Vec<u8>) -> StorageEntryMetadata {
    StorageEntryMetadata {
        name,
        modifier: StorageEntryModifier::Default,
        ty: StorageEntryType::Plain(meta_type::<T>()),
        default,
        docs: Vec::new(),
    }
}

fn map<T: TypeInfo + 'static>(
    name: &'static str,
    hashers: &[StorageHasher],
    default: Option<Vec<u8>>,
) -> StorageEntryMetadata {
    StorageEntryMetadata {
        name,
        modifier: match default {
            Some(_) => StorageEntryModifier::Default,
            None => StorageEntryModifier::Optional,
        },
        ty: StorageEntryType::Map {
            hashers: hashers.to_vec(),
            key: meta_type::<u16>(),
            value: meta_type::<T>(),
        },
        default: default.unwrap_or_default(),
        docs: Vec::new(),
    }
}

fn subtensor_storage() -> Vec<StorageEntryMetadata> {
    use StorageHasher::{Blake2_128Concat, Identity, Twox64Concat};
    let none = || Some(vec![0]);
    vec![
        map::<bool>("NetworksAdded", &[Identity], none()),
        map::<u16>("SubnetworkN", &[Identity], Some(vec![0; 2])),
        map::<[u8; 32]>("Keys", &[Identity, Identity], None),
        map::<u16>("Uids", &[Identity, Blake2_128Concat], None),
        map::<Vec<bool>>("ValidatorPermit", &[Identity], none()),
        map::<Vec<u64>>("LastUpdate", &[Identity], none()),
        map::<u64>("WeightsSetRateLimit", &[Identity], Some(100_u64.encode())),
        map::<u64>("WeightsVersionKey", &[Identity], Some(0_u64.encode())),
        map::<u16>("MinAllowedWeights", &[Identity], Some(1_u16.encode())),
        map::<u16>("ActivityCutoff", &[Identity], Some(5_000_u16.encode())),
        map::<bool>("CommitRevealWeightsEnabled", &[Identity], none()),
        map::<u64>("RevealPeriodEpochs", &[Twox64Concat], Some(1_u64.encode())),
        map::<u16>("Tempo", &[Identity], Some(99_u16.encode())),
        map::<Vec<(u16, u16)>>("Weights", &[Identity, Identity], none()),
        map::<Vec<([u8; 32], u64, Vec<u8>, u64)>>(
            "TimelockedWeightCommits",
            &[Twox64Concat, Twox64Concat],
            none(),
        ),
        plain::<u16>("CommitRevealWeightsVersion", 4_u16.encode()),
    ]
}

fn pallet(name: &'static str, index: u8) -> PalletMetadata {
    PalletMetadata {
        name,
        storage: None,
        calls: None,
        event: None,
        constants: Vec::new(),
        error: None,
        index,
        docs: Vec::new(),
    }
}

fn storage(prefix: &'static str, entries: Vec<StorageEntryMetadata>) -> PalletStorageMetadata {
    PalletStorageMetadata { prefix, entries }
}

fn pallets<E: TypeInfo + 'static>() -> Vec<PalletMetadata> {
    let account = StorageEntryMetadata {
        name: "Account",
        ..map::<(u32, u32)>(
            "Account",
            &[StorageHasher::Blake2_128Concat],
            Some(vec![0; 8]),
        )
    };
    let events = plain::<Vec<EventRecord<E>>>("Events", vec![0]);
    vec![
        PalletMetadata {
            storage: Some(storage("System", vec![account, events])),
            ..pallet("System", 0)
        },
        PalletMetadata {
            storage: Some(storage("Timestamp", vec![plain::<u64>("Now", vec![0; 8])])),
            constants: vec![PalletConstantMetadata {
                name: "MinimumPeriod",
                ty: meta_type::<u64>(),
                value: (BLOCK_MS / 2).encode(),
                docs: Vec::new(),
            }],
            ..pallet("Timestamp", 2)
        },
        PalletMetadata {
            storage: Some(storage("SubtensorModule", subtensor_storage())),
            calls: Some(PalletCallMetadata {
                ty: meta_type::<SubtensorCall>(),
            }),
            event: Some(PalletEventMetadata {
                ty: meta_type::<SubtensorEvent>(),
            }),
            error: Some(PalletErrorMetadata {
                ty: meta_type::<SubtensorError>(),
            }),
            ..pallet("SubtensorModule", 7)
        },
    ]
}

/// Metadata of version 15, with its magic number. `extensions` are added to those that are known.
pub(crate) fn metadata(extensions: Vec<SignedExtensionMetadata>) -> Vec<u8> {
    metadata_with::<RuntimeEvent>(extensions)
}

/// Metadata in which events are those of `E`.
pub(crate) fn metadata_with<E: TypeInfo + 'static>(
    extensions: Vec<SignedExtensionMetadata>,
) -> Vec<u8> {
    let unit = meta_type::<()>;
    let extension =
        |identifier, ty: MetaType, additional_signed: MetaType| SignedExtensionMetadata {
            identifier,
            ty,
            additional_signed,
        };
    let mut signed_extensions = vec![
        extension("CheckNonZeroSender", unit(), unit()),
        extension("CheckSpecVersion", unit(), meta_type::<u32>()),
        extension("CheckTxVersion", unit(), meta_type::<u32>()),
        extension("CheckGenesis", unit(), meta_type::<[u8; 32]>()),
        extension(
            "CheckMortality",
            meta_type::<[u8; 2]>(),
            meta_type::<[u8; 32]>(),
        ),
        extension("CheckNonce", meta_type::<Compact<u32>>(), unit()),
        extension("CheckWeight", unit(), unit()),
        extension(
            "ChargeTransactionPayment",
            meta_type::<Compact<u128>>(),
            unit(),
        ),
        extension(
            "CheckMetadataHash",
            meta_type::<u8>(),
            meta_type::<Option<[u8; 32]>>(),
        ),
    ];
    signed_extensions.extend(extensions);
    let extrinsic = ExtrinsicMetadata {
        version: 4,
        address_ty: meta_type::<Address>(),
        call_ty: meta_type::<SubtensorCall>(),
        signature_ty: meta_type::<Signature>(),
        extra_ty: unit(),
        signed_extensions,
    };
    let outer = OuterEnums {
        call_enum_ty: meta_type::<SubtensorCall>(),
        event_enum_ty: meta_type::<E>(),
        error_enum_ty: meta_type::<SubtensorError>(),
    };
    let custom = CustomMetadata {
        map: Default::default(),
    };
    let metadata =
        RuntimeMetadataV15::new(pallets::<E>(), extrinsic, unit(), Vec::new(), outer, custom);
    // "meta" as a little-endian number.
    RuntimeMetadataPrefixed(0x6174_656d, RuntimeMetadata::V15(metadata)).encode()
}

#[derive(TypeInfo)]
#[allow(dead_code, reason = "only its type is used")]
struct Circle {
    inner: Box<Circle>,
}

/// What an extension that the crate does not know would commit to is not known either.
#[test]
fn unknown_extensions_are_signed_only_without_content() {
    let sign = |identifier, ty, additional_signed| {
        let extension = SignedExtensionMetadata {
            identifier,
            ty,
            additional_signed,
        };
        let runtime = Runtime::decode(&metadata(vec![extension]), 1, 1).unwrap();
        let terms = SigningTerms::new([1; 32], 42, [2; 32], 3);
        runtime.sign(&[7, 0], &terms, &Hotkey::from_seed(&[4; 32]))
    };
    let unit = meta_type::<()>;
    assert!(sign("Unknown", unit(), unit()).is_ok());
    for (ty, additional) in [
        (meta_type::<u8>(), unit()),
        // Without a limit it would be decoded until the stack overflows.
        (meta_type::<Circle>(), unit()),
        (unit(), meta_type::<[u8; 32]>()),
    ] {
        let refused = sign("Unknown", ty, additional);
        let is_named = matches!(&refused, Err(Error::Extension { name }) if name == "Unknown");
        assert!(is_named, "{refused:?}");
    }
    // A known one whose content has another type now.
    let refused = sign("CheckGenesis", meta_type::<u32>(), unit());
    assert!(
        matches!(refused, Err(Error::Extension { .. })),
        "{refused:?}"
    );
}
