//! The signature algorithms that are understood: those with a public key, and nothing that a public key could be
//! mistaken for (no HMAC).

use ring::signature as rs;

/// A signature algorithm of RFC 7518 or RFC 8037. ES512 is missing: ring has no P-521.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// The name in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// How ring checks it with an RSA key (2048 to 8192 bits); `None` for other kinds of key.
    pub(super) fn rsa(self) -> Option<&'static rs::RsaParameters> {
        Some(match self {
            Self::Rs256 => &rs::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &rs::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &rs::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &rs::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &rs::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &rs::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}
