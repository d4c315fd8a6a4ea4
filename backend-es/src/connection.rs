//! How the engine is reached: where it is, who asks, and whom to trust.

use std::fmt;
use std::time::Duration;

use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Url;
use elasticsearch::http::transport::{
    CloudConnectionPool, SingleNodeConnectionPool, Transport, TransportBuilder,
};
use percent_encoding::percent_decode_str;
use strongroom_core::{Error, ErrorKind, Result};

/// Who asks. `Debug` does not print secrets.
#[derive(Clone)]
#[non_exhaustive]
pub enum EsCredentials {
    /// A user and a password, which a URL can hold as well.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// An API key in its encoded form, as the engine hands it out.
    ApiKey(String),
    /// A bearer token.
    Bearer(String),
}

impl fmt::Debug for EsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

impl From<EsCredentials> for Credentials {
    fn from(credentials: EsCredentials) -> Self {
        match credentials {
            EsCredentials::Basic { user, password } => Self::Basic(user, password),
            EsCredentials::ApiKey(key) => Self::EncodedApiKey(key),
            EsCredentials::Bearer(token) => Self::Bearer(token),
        }
    }
}

/// Whether the bodies of requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They are sent as they are.
    #[default]
    None,
    /// By gzip: for slow networks, at the price of time here.
    Gzip,
}

/// What a connection is made of, besides its address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    pub(crate) credentials: Option<EsCredentials>,
    pub(crate) authorities: Option<Vec<u8>>,
    pub(crate) compression: Compression,
}

/// The client for an address, and the address without its secrets. Nothing is sent.
///
/// # Errors
///
/// `Config` for an address, a certificate or credentials that are none.
pub(crate) fn transport(
    url: &str,
    timeout: Duration,
    security: &Security,
) -> Result<(Transport, String)> {
    // The URL itself may hold a password and is never part of a message.
    let (mut builder, address, of_url) = match url.strip_prefix("cloud:") {
        Some(id) => {
            let pool = CloudConnectionPool::new(id)
                .map_err(|e| config("the cloud id of the search engine is none").with_source(e))?;
            let name = id.split(':').next().unwrap_or_default();
            (TransportBuilder::new(pool), format!("cloud:{name}"), None)
        }
        None => {
            let (url, credentials) = address(url)?;
            let told = url.to_string();
            let pool = SingleNodeConnectionPool::new(url);
            (TransportBuilder::new(pool), told, credentials)
        }
    };
    builder = builder
        .timeout(timeout)
        .request_body_compression(security.compression == Compression::Gzip);
    if let Some(credentials) = security.credentials.clone().or(of_url) {
        builder = builder.auth(credentials.into());
    }
    if let Some(pem) = &security.authorities {
        let authorities = Certificate::from_pem(pem).map_err(|e| {
            config("the certificates of the authorities do not parse").with_source(e)
        })?;
        builder = builder.cert_validation(CertificateValidation::Full(authorities));
    }
    let transport = builder
        .build()
        .map_err(|e| config("the client of the search engine could not be made").with_source(e))?;
    Ok((transport, address))
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message.into())
}

/// An address and the credentials that it holds.
fn address(url: &str) -> Result<(Url, Option<EsCredentials>)> {
    let mut url: Url = url
        .parse()
        .map_err(|e| config(format!("the URL of the search engine does not parse: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(config(format!(
            "the URL of the search engine has the scheme {}, allowed are http and https",
            url.scheme()
        )));
    }
    let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        // The error itself is not a source: it could quote what it is about.
        Err(_) => Err(config("user or password in the URL is not UTF-8")),
    };
    let user = decoded(url.username())?;
    let password = decoded(url.password().unwrap_or_default())?;
    let unchangeable = |()| config("the URL of the search engine names no host");
    url.set_username("").map_err(unchangeable)?;
    url.set_password(None).map_err(unchangeable)?;
    let credentials = (!user.is_empty()).then_some(EsCredentials::Basic { user, password });
    Ok((url, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, security: &Security) -> Result<String> {
        transport(url, Duration::from_secs(1), security).map(|(_, address)| address)
    }

    #[test]
    fn addresses() {
        let plain = Security::default();
        for bad in [
            "ftp://localhost",
            "not a url",
            "cloud:x",
            "http://me:secret%ff@localhost",
        ] {
            let error = told(bad, &plain).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let address = told("http://me:secret@localhost:9200", &plain).unwrap();
        assert_eq!(address, "http://localhost:9200/");
        // The host and the id of the cluster, in Base64.
        let cloud = "cloud:mine:Y2xvdWQuZXhhbXBsZSQwMTIz";
        assert_eq!(told(cloud, &plain).unwrap(), "cloud:mine");
    }

    #[test]
    fn user_and_password_are_decoded() {
        match address("http://m%C3%A9:p%40s%3As@localhost").unwrap().1 {
            Some(EsCredentials::Basic { user, password }) => {
                assert_eq!((user.as_str(), password.as_str()), ("mé", "p@s:s"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn certificates_are_read() {
        let security = Security {
            authorities: Some(b"-----BEGIN CERTIFICATE-----\nno\n-----END".to_vec()),
            ..Security::default()
        };
        let error = told("https://localhost", &security).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn secrets_are_not_printed() {
        for secret in [
            EsCredentials::ApiKey("hidden".to_owned()),
            EsCredentials::Bearer("hidden".to_owned()),
            EsCredentials::Basic {
                user: "me".to_owned(),
                password: "hidden".to_owned(),
            },
        ] {
            assert!(!format!("{secret:?}").contains("hidden"));
        }
    }
}
