//! Bodies that come compressed, inflated within bounds.
//!
//! Promised: no more is inflated than is asked for, a piece at a time, so that a bomb costs no more
//! than its limit; what does not end where it should, or is followed by anything, is refused.

use std::io::{self, BufReader, Read};

use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::{HeaderMap, header::CONTENT_ENCODING};

use super::{fault::Fault, limit};

/// How a body is compressed (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// `gzip` or `x-gzip`; several members are one body.
    Gzip,
    /// `deflate`: zlib's, or what some clients send under that name, without its head and tail.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`, with a window of 8 MiB at most (RFC 9659).
    Zstd,
}

/// What `Accept-Encoding` of a 415 says.
pub const UNDERSTOOD: &str = "gzip, deflate, br, zstd";

/// The window that a zstd body may ask for, as a power of two.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Coding {
    /// What the headers say.
    pub fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let one = match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Self::Gzip,
                "deflate" => Self::Deflate,
                "br" => Self::Brotli,
                "zstd" => Self::Zstd,
                _ => return Err(Fault::ContentEncoding),
            };
            if coding != Self::Identity {
                return Err(Fault::ContentEncoding);
            }
            coding = one;
        }
        Ok(coding)
    }

    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Inflates a whole body of at most `bytes_max` bytes, at once.
    pub fn inflated(self, packed: Bytes, bytes_max: usize) -> Result<Bytes, Fault> {
        if self == Self::Identity {
            return Ok(packed);
        }
        let mut inflate = Inflate::new(self, packed, bytes_max)?;
        let mut all = Vec::new();
        while inflate.next(&mut |piece| all.extend_from_slice(piece))? {}
        Ok(all.into())
    }
}

/// A compressed body on its way to what it was, piece by piece.
pub struct Inflate {
    coding: Coding,
    decoder: Decoder,
    packed_bytes: usize,
    inflated_bytes: usize,
    inflated_bytes_max: usize,
    piece: Box<[u8]>,
}

type Packed = io::Cursor<Bytes>;

enum Decoder {
    Gzip(MultiGzDecoder<Packed>),
    Zlib(ZlibDecoder<Packed>),
    Deflate(DeflateDecoder<Packed>),
    Brotli(Box<Decompressor<Packed>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Packed>>),
}

impl Inflate {
    /// For a body that was `packed` by `coding`, which is not [`Coding::Identity`].
    pub fn new(coding: Coding, packed: Bytes, inflated_bytes_max: usize) -> Result<Self, Fault> {
        let packed_bytes = packed.len();
        let is_zlib = matches!(*packed, [first, second, ..]
            if first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0);
        let packed = io::Cursor::new(packed);
        let decoder = match coding {
            Coding::Deflate if is_zlib => Decoder::Zlib(ZlibDecoder::new(packed)),
            Coding::Deflate => Decoder::Deflate(DeflateDecoder::new(packed)),
            Coding::Brotli => {
                Decoder::Brotli(Box::new(Decompressor::new(packed, limit::INFLATE_BYTES)))
            }
            Coding::Zstd => {
                let broken = |_| Fault::Inflate(coding.name());
                let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
                Decoder::Zstd(decoder)
            }
            Coding::Gzip | Coding::Identity => Decoder::Gzip(MultiGzDecoder::new(packed)),
        };
        let piece = vec![0; limit::INFLATE_BYTES].into();
        Ok(Self { coding, decoder, packed_bytes, inflated_bytes: 0, inflated_bytes_max, piece })
    }

    /// Hands the next piece to `take`; whether there was one.
    pub fn next(&mut self, take: &mut impl FnMut(&[u8])) -> Result<bool, Fault> {
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(&mut self.piece),
            Decoder::Zlib(decoder) => decoder.read(&mut self.piece),
            Decoder::Deflate(decoder) => decoder.read(&mut self.piece),
            Decoder::Brotli(decoder) => decoder.read(&mut self.piece),
            Decoder::Zstd(decoder) => decoder.read(&mut self.piece),
        };
        let bytes = read.map_err(|_| self.broken())?;
        if bytes == 0 {
            return if self.has_rest() { Err(self.broken()) } else { Ok(false) };
        }
        self.inflated_bytes += bytes;
        if self.inflated_bytes > self.inflated_bytes_max {
            return Err(Fault::InflatedTooLarge(self.inflated_bytes_max));
        }
        let is_bomb = self.inflated_bytes > limit::INFLATE_FREE_BYTES
            && self.inflated_bytes / limit::INFLATE_RATIO_MAX >= self.packed_bytes;
        if is_bomb {
            return Err(Fault::InflatesTooMuch(limit::INFLATE_RATIO_MAX));
        }
        take(&self.piece[..bytes]);
        Ok(true)
    }

    fn broken(&self) -> Fault {
        Fault::Inflate(self.coding.name())
    }

    /// Whether something follows what was inflated.
    fn has_rest(&self) -> bool {
        let packed = match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zlib(decoder) => decoder.get_ref(),
            Decoder::Deflate(decoder) => decoder.get_ref(),
            // these read ahead, and take what follows for a broken stream themselves
            Decoder::Brotli(_) | Decoder::Zstd(_) => return false,
        };
        packed.position() < self.packed_bytes as u64
    }
}
