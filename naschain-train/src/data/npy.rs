//! The header of NumPy's file format: magic, version, length, and a Python dictionary with the
//! keys `descr`, `fortran_order` and `shape`
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::Read;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy's own limit for untrusted files (`max_header_size`).
const MAX_HEADER_BYTES: usize = 10_000;

/// Type and shape of the data after a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The element type, such as `|u1` or `<i8`.
    pub(super) descr: String,
    /// Dimensions, the outermost first.
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads the header, up to the first byte of data.
    pub(super) fn read(reader: &mut impl Read) -> Result<Header, String> {
        let start: [u8; 8] = bytes(reader)?;
        if start[..6] != *MAGIC {
            let found = &start[..6];
            return Err(format!(
                "it starts with {found:02x?}; NumPy files start with {MAGIC:02x?}"
            ));
        }
        let length = match start[6] {
            1 => usize::from(u16::from_le_bytes(bytes(reader)?)),
            2 | 3 => u32::from_le_bytes(bytes(reader)?) as usize,
            found => {
                return Err(format!(
                    "it has version {found} of NumPy's format; versions 1 to 3 are supported"
                ));
            }
        };
        if length > MAX_HEADER_BYTES {
            return Err(format!(
                "its header is {length} bytes long; the limit is {MAX_HEADER_BYTES}"
            ));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(cut)?;
        let text = String::from_utf8(text).map_err(|_| "its header is not text".to_owned())?;
        Header::parse(&text).ok_or_else(|| {
            format!(
                "its header is {:?}; the array must be numeric and in C order, as returned by \
                 numpy.ascontiguousarray",
                text.trim_end()
            )
        })
    }

    /// Returns `None` for records, Python objects and arrays in Fortran order.
    fn parse(text: &str) -> Option<Header> {
        let value = |key: &str| {
            let (_, after) = text.split_once(&format!("'{key}'"))?;
            Some(after.trim_start().strip_prefix(':')?.trim_start())
        };
        let (descr, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        if !value("fortran_order")?.starts_with("False") {
            return None;
        }
        let (sizes, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let sizes = sizes.split(',').map(str::trim).filter(|s| !s.is_empty());
        let shape = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
        Some(Header {
            descr: descr.to_owned(),
            shape,
        })
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(cut)?;
    Ok(bytes)
}

fn cut(error: std::io::Error) -> String {
    format!("its header cannot be read: {error}")
}

#[cfg(test)]
pub(super) fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = MAGIC.to_vec();
    file.extend([1, 0]);
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(mut file: &[u8]) -> Result<Header, String> {
        Header::read(&mut file)
    }

    // As written by NumPy 2.3 for numpy.zeros((3, 2), 'uint8') and numpy.zeros(5).
    #[test]
    fn numpy_headers_are_read() {
        for (text, descr, shape) in [
            (
                "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }          \n",
                "|u1",
                vec![3, 2],
            ),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (5,), }\n",
                "<f8",
                vec![5],
            ),
        ] {
            let descr = descr.to_owned();
            assert_eq!(Header::parse(text), Some(Header { descr, shape }));
        }
        let written = file("<i8", "(1, 2, 3)", &[]);
        assert_eq!(header(&written).unwrap().shape, [1, 2, 3]);
    }

    #[test]
    fn other_headers_are_rejected() {
        let whole = file("|u1", "(2,)", &[1, 2]);
        for length in 0..whole.len() - 2 {
            assert!(header(&whole[..length]).is_err(), "{length}");
        }
        assert!(
            header(b"PK\x03\x04      ")
                .unwrap_err()
                .contains("starts with")
        );
        let mut version = whole.clone();
        version[6] = 4;
        assert!(header(&version).unwrap_err().contains("version 4"));
        let long = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes()].concat();
        assert!(header(&long).unwrap_err().contains("4294967295 bytes long"));
        for wrong in ["(2", "(-1,)", "(99999999999999999999,)", "[2]"] {
            let error = header(&file("|u1", wrong, &[])).unwrap_err();
            assert!(error.contains("C order"), "{error}");
        }
        let fortran = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }";
        assert_eq!(Header::parse(fortran), None);
        let record = "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }";
        assert_eq!(Header::parse(record), None);
    }
}
