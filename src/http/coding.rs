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
    fn has_rest(&mut self) -> bool {
        let packed = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zlib(decoder) => decoder.get_ref(),
            Decoder::Deflate(decoder) => decoder.get_ref(),
            // it reads ahead: asked beyond its end, it says whether that was too far
            Decoder::Brotli(decoder) => match decoder.read(&mut self.piece) {
                Ok(0) => decoder.get_ref(),
                Ok(_) | Err(_) => return true,
            },
            // this too, and takes what follows for a broken stream itself
            Decoder::Zstd(_) => return false,
        };
        packed.position() < self.packed_bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use hyper::header::HeaderValue;

    use super::*;

    fn gzip(body: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn one_coding_is_understood() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers)
        };
        assert_eq!(of(&[]), Ok(Coding::Identity));
        assert_eq!(of(&["", "Identity", " GZIP "]), Ok(Coding::Gzip));
        assert_eq!(of(&["zstd"]), Ok(Coding::Zstd));
        for wrong in [&["gzip, br"][..], &["gzip", "br"], &["gzip", "gzip"], &["compress"]] {
            assert_eq!(of(wrong), Err(Fault::ContentEncoding), "{wrong:?}");
        }
    }

    #[test]
    fn what_inflates_too_much_is_stopped_early() {
        let zeros = |bytes| gzip(&vec![0; bytes]);
        let free = limit::INFLATE_FREE_BYTES;
        assert_eq!(Coding::Gzip.inflated(zeros(free), free).map(|body| body.len()), Ok(free));
        let too_large = Err(Fault::InflatedTooLarge(free - 1));
        assert_eq!(Coding::Gzip.inflated(zeros(free), free - 1), too_large);
        let bomb = zeros(64 * 1024 * 1024);
        let mut inflate = Inflate::new(Coding::Gzip, bomb, usize::MAX).unwrap();
        let mut inflated = 0;
        let fault = loop {
            match inflate.next(&mut |piece| inflated += piece.len()) {
                Ok(more) => assert!(more, "it is no bomb"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault, Fault::InflatesTooMuch(100));
        assert!(inflated <= 100 * inflate.packed_bytes, "{inflated}");
    }

    #[test]
    fn every_coding_ends_where_it_should() {
        let body = b"{\"message\":\"boom\"}".repeat(100);
        let mut br = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut &body[..], &mut br, &parameters).unwrap();
        let zstd = zstd::encode_all(&body[..], 3).unwrap();
        for (coding, packed) in
            [(Coding::Gzip, gzip(&body)), (Coding::Brotli, br.into()), (Coding::Zstd, zstd.into())]
        {
            let whole = coding.inflated(packed.clone(), 10_000).unwrap();
            assert_eq!(whole, body, "{coding:?}");
            for length in 0..packed.len() {
                let cut = coding.inflated(packed.slice(..length), 10_000);
                // nothing at all is an empty body, which is for others to refuse
                let empty = length == 0 && cut == Ok(Bytes::new());
                assert!(empty || cut == Err(Fault::Inflate(coding.name())), "{coding:?} {length}");
            }
            let longer = [&packed[..], b"more"].concat().into();
            let broken = Err(Fault::Inflate(coding.name()));
            assert_eq!(coding.inflated(longer, 10_000), broken, "{coding:?}");
        }
    }

    /// Wherever it ends in what is read at once.
    #[test]
    fn a_brotli_body_is_followed_by_nothing() {
        // the same bytes in each run, and hardly anything to compress
        let byte =
            |n: u32| n.wrapping_mul(0x9e37_79b9).rotate_left(11).wrapping_mul(n).to_be_bytes();
        let noise = (1..).map(|n| byte(n)[0]).take(limit::INFLATE_BYTES + 4);
        let noise: Vec<u8> = noise.collect();
        let parameters = brotli::enc::BrotliEncoderParams::default();
        for length in limit::INFLATE_BYTES - 12..=noise.len() {
            let mut packed = Vec::new();
            brotli::BrotliCompress(&mut &noise[..length], &mut packed, &parameters).unwrap();
            let whole = Coding::Brotli.inflated(packed.clone().into(), 1 << 20).unwrap();
            assert_eq!(whole, noise[..length], "{length}");
            for more in [1, 2, 9] {
                let longer = [&packed[..], &vec![0; more]].concat();
                let broken = Err(Fault::Inflate("br"));
                assert_eq!(Coding::Brotli.inflated(longer.into(), 1 << 20), broken, "{length}");
            }
        }
    }
}
