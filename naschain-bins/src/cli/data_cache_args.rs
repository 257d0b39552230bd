//! The flags for data sets that are downloaded.

use std::path::PathBuf;

use clap::Args;

use crate::client::Client;
use crate::client::data_downloads::DataDownloads;
use crate::files::user_data_cache;

/// Where data sets of a genomaster are kept.
#[derive(Args, Debug)]
pub(crate) struct DataCacheArgs {
    /// Folder of data sets that this machine does not have and downloads from the genomaster
    /// [default: naschain/data in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    data_cache: Option<PathBuf>,
    /// Maximum size of this folder; above it the data sets that were not used for the longest time are
    /// deleted
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "20GiB",
        value_parser = size_bytes,
        hide_short_help = true
    )]
    data_cache_limit: u64,
}

impl DataCacheArgs {
    /// Downloads from this genomaster; `None` if no folder is known.
    pub(crate) fn downloads(&self, client: Client) -> Option<DataDownloads> {
        let dir = self.data_cache.clone().or_else(user_data_cache)?;
        Some(DataDownloads::new(client, dir, self.data_cache_limit))
    }
}

/// A size such as `20GiB`, in bytes.
fn size_bytes(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{text:?} is not a size; write a whole number with KiB, MiB, GiB or TiB, such as 20GiB"
        )
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(size_bytes("20GiB"), Ok(20 << 30));
        assert_eq!(size_bytes("1KiB"), Ok(1024));
        for wrong in [
            "20",
            "GiB",
            "",
            "-1GiB",
            "1.5GiB",
            "20 GiB",
            "20GB",
            "99999999TiB",
        ] {
            let error = size_bytes(wrong).unwrap_err();
            assert!(error.contains("such as 20GiB"), "{error}");
        }
    }
}
