//! URLs of Elasticsearch and OpenSearch.
//!
//! A URL of these holds secrets: a user's password, an API key, a token. No error quotes a part of
//! a URL in which one may stand, also where it is misspelt and its parts are not what they seem.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use strongroom_es::{Compression, EsCredentials, EsOptions, EsStore, TextAnalysis};

use super::{config, percent};
use strongroom_core::Result;
use strongroom_core::layers::LayerOptions;
use strongroom_core::model::{CollectionName, FieldPath};
use strongroom_core::store::Store;

/// Where both engines listen, with TLS and without.
const PORT: u16 = 9_200;
const DAY_IN_MILLIS: u32 = 24 * 60 * 60 * 1_000;

const KNOWN: &str = "api_key, bearer, ca_file, shards, replicas, refresh_interval_ms, timeout_ms, scan_keep_alive_ms, attempts, compression, analysers";

/// Opens what the URL `scheme:rest` names, and sees that the scheme's engine answers there.
pub(super) async fn open(scheme: &str, rest: &str) -> Result<Arc<dyn Store>> {
    let asked = Asked::read(scheme, rest)?;
    let mut options = asked.options;
    if let Some(file) = asked.ca_file {
        // A few kilobytes, once: not worth another thread.
        let pem = std::fs::read(&file).map_err(|e| {
            config(format!("the file {file:?} of ca_file cannot be read")).with_source(e)
        })?;
        options = options.authorities(pem);
    }
    let store = EsStore::connect_with(&asked.address, options).await?;
    let (product, answers) = (product(scheme), store.capabilities().engine);
    if answers != product {
        return Err(config(format!(
            "the URL says {product}, and what answers there is {answers}: begin it with {answers}"
        )));
    }
    Ok(Arc::new(store))
}

/// The default layers, which let calls go on for as long as the URL says that requests may take: a
/// request is to end by its own time, whose error tells more.
pub(super) fn layers(url: &str) -> LayerOptions {
    let mut layers = LayerOptions::new();
    let asked = url
        .split_once(':')
        .filter(|(scheme, _)| matches!(product(scheme), "elasticsearch" | "opensearch"))
        .and_then(|(scheme, rest)| Asked::read(scheme, rest).ok());
    let default = EsOptions::default().timeout;
    let timeout = asked.map(|asked| asked.options.timeout);
    if let Some(timeout) = timeout.filter(|timeout| *timeout > default) {
        let limit = timeout.saturating_add(Duration::from_secs(1));
        layers.timeout = layers.timeout.at_least(limit);
    }
    layers
}

/// `elasticsearch` or `opensearch`.
fn product(scheme: &str) -> &str {
    scheme
        .split_once('+')
        .map_or(scheme, |(product, _)| product)
}

/// What a URL asks for.
#[derive(Debug)]
struct Asked {
    /// Where to connect to, without secrets.
    address: String,
    options: EsOptions,
    ca_file: Option<String>,
}

impl Asked {
    fn read(scheme: &str, rest: &str) -> Result<Self> {
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let wrong = || {
            config(format!(
                "a URL of the search engines is {scheme}://user:password@{}, where user and password may be left out, and in them / ? # @ : % are percent-encoded",
                if scheme.ends_with("+cloud") {
                    "CLOUD_ID"
                } else {
                    "host:port"
                }
            ))
        };
        let place = place.strip_prefix("//").ok_or_else(wrong)?;
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        // A second @, or one behind the host, ends a password that is not encoded.
        let is_stray = |part: &str| part.contains(['@', '#']);
        if user.is_some_and(|user| user.contains(['@', '#', '/'])) || is_stray(place) {
            return Err(wrong());
        }
        if query.is_some_and(is_stray) {
            return Err(config(
                "behind the ? of the URL @ and # are percent-encoded, and so is ? before it",
            ));
        }
        let mut parameters = Parameters::default();
        if let Some(user) = user {
            parameters.credentials = Some(basic(user).ok_or_else(wrong)?);
        }
        let address = match scheme.split_once('+') {
            None => address("http", place),
            Some((_, "https")) => address("https", place),
            _ => percent::decoded(place)
                .filter(|id| id.contains(':'))
                .map(|id| format!("cloud:{id}")),
        };
        let address = address.ok_or_else(wrong)?;
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parameters.take(name, value)?;
        }
        if parameters.ca_file.is_some() && !address.starts_with("https:") {
            return Err(config(format!(
                "parameter ca_file of the URL needs TLS, which {}+https: has",
                product(scheme)
            )));
        }
        Ok(Self {
            address,
            options: match parameters.credentials {
                Some(credentials) => parameters.options.credentials(credentials),
                None => parameters.options,
            },
            ca_file: parameters.ca_file,
        })
    }
}

/// A user and a password.
fn basic(user: &str) -> Option<EsCredentials> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (user, password) = (percent::decoded(user)?, percent::decoded(password)?);
    // The name ends at its first colon where it is sent.
    let is_name = !user.is_empty() && !user.contains(':');
    is_name.then_some(EsCredentials::Basic { user, password })
}

/// The address of a host with an optional port and path.
fn address(protocol: &str, place: &str) -> Option<String> {
    let (host, path) = match place.find('/') {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    // An address of IPv6 has colons of its own, in brackets.
    let port_at = host.rfind(':').filter(|at| Some(*at) > host.rfind(']'));
    let (host, port) = match port_at {
        Some(at) => (host.get(..at)?, host.get(at + 1..)?.parse().ok()?),
        None => (host, PORT),
    };
    let is_host = match host.strip_prefix('[') {
        Some(v6) => v6.ends_with(']'),
        None => !host.is_empty() && !host.contains(':'),
    };
    (is_host && port > 0).then(|| format!("{protocol}://{host}:{port}{path}"))
}

/// What the parameters say.
#[derive(Default)]
struct Parameters<'a> {
    options: EsOptions,
    credentials: Option<EsCredentials>,
    ca_file: Option<String>,
    seen: Vec<&'a str>,
}

impl<'a> Parameters<'a> {
    fn take(&mut self, name: &'a str, value: &str) -> Result<()> {
        if self.seen.contains(&name) {
            return Err(config(format!("parameter {name} stands in the URL twice")));
        }
        let options = std::mem::take(&mut self.options);
        self.options = match name {
            "shards" => options.shards(number(name, value, 1..=1_024)?),
            "replicas" => options.replicas(number(name, value, 0..=1_000)?),
            "attempts" => options.attempts(number(name, value, 1..=10_000)?),
            "timeout_ms" => options.timeout(millis(name, value)?),
            "refresh_interval_ms" => options.refresh_interval(millis(name, value)?),
            "scan_keep_alive_ms" => options.scan_keep_alive(millis(name, value)?),
            "compression" => options.compression(match value {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                _ => return Err(wrong(name, value, "none or gzip")),
            }),
            "analysers" => {
                let analysed = analysers(value).ok_or_else(|| {
                    wrong(name, value, "a list like users.bio:english,users.title:standard, in which names of fields are percent-encoded")
                })?;
                analysed
                    .into_iter()
                    .fold(options, |options, (collection, analysis)| {
                        options.analysis(collection, analysis)
                    })
            }
            "ca_file" => {
                let file = percent::decoded(value).filter(|file| !file.is_empty());
                let file = file.ok_or_else(|| wrong(name, value, "a path, percent-encoded"))?;
                self.ca_file = Some(file);
                options
            }
            "api_key" | "bearer" => {
                if self.credentials.is_some() {
                    return Err(config(
                        "the URL holds more than one of user and password, api_key and bearer",
                    ));
                }
                let token = percent::decoded(value);
                // They go into a header as they are. A colon stands in the form of a key that is
                // not encoded yet.
                let token = token.filter(|token| {
                    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && b != b':')
                });
                let token = token.ok_or_else(|| {
                    config(format!(
                        "parameter {name} of the URL is not what it should be: an API key in its encoded form (Base64 of id:key), or a token"
                    ))
                })?;
                self.credentials = Some(match name {
                    "api_key" => EsCredentials::ApiKey(token),
                    _ => EsCredentials::Bearer(token),
                });
                options
            }
            _ => {
                return Err(config(format!(
                    "parameter {name:?} of the URL is unknown; known are {KNOWN}"
                )));
            }
        };
        self.seen.push(name);
        Ok(())
    }
}

/// `collection.field:analyser`, for each field that the engine reads by an analyser of its own.
fn analysers(list: &str) -> Option<BTreeMap<CollectionName, TextAnalysis>> {
    let mut collections: BTreeMap<CollectionName, TextAnalysis> = BTreeMap::new();
    let mut seen = Vec::new();
    for one in list.split(',') {
        let (field, analyser) = one.rsplit_once(':')?;
        // Names of collections have no dot.
        let (collection, path) = field.split_once('.')?;
        if seen.contains(&field) {
            return None;
        }
        seen.push(field);
        let path = FieldPath::new(percent::decoded(path)?).ok()?;
        let analysis = collections.entry(collection.parse().ok()?).or_default();
        *analysis = std::mem::take(analysis).field(path, analyser.parse().ok()?);
    }
    Some(collections)
}

fn millis(name: &str, value: &str) -> Result<Duration> {
    let millis = number(name, value, 1..=DAY_IN_MILLIS)?;
    Ok(Duration::from_millis(millis.into()))
}

fn number(name: &str, value: &str, allowed: RangeInclusive<u32>) -> Result<u32> {
    match value.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(wrong(
            name,
            value,
            &format!("{} to {}", allowed.start(), allowed.end()),
        )),
    }
}

fn wrong(name: &str, value: &str, allowed: &str) -> strongroom_core::Error {
    config(format!(
        "parameter {name} of the URL is {value:?}, allowed is {allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use strongroom_core::ErrorKind;

    use super::*;

    fn read(url: &str) -> Result<Asked> {
        let (scheme, rest) = url.split_once(':').unwrap();
        Asked::read(scheme, rest)
    }

    #[test]
    fn addresses() {
        for (url, address) in [
            ("elasticsearch://localhost", "http://localhost:9200"),
            ("opensearch://db:9201/", "http://db:9201/"),
            ("opensearch+https://db/search", "https://db:9200/search"),
            ("elasticsearch+https://me:x@db:443", "https://db:443"),
            ("elasticsearch://[::1]", "http://[::1]:9200"),
            ("elasticsearch://me@[::1]:92", "http://[::1]:92"),
            (
                "elasticsearch+cloud://me:x@mine:Y2xvdWQ%2B/Zx$==?shards=1",
                "cloud:mine:Y2xvdWQ+/Zx$==",
            ),
        ] {
            assert_eq!(read(url).unwrap().address, address, "{url}");
        }
    }

    #[test]
    fn parameters() {
        let asked = read(
            "elasticsearch+https://db?shards=6&replicas=0&refresh_interval_ms=200&timeout_ms=70\
             &scan_keep_alive_ms=5000&attempts=9&compression=gzip&ca_file=/etc/a%20b.pem",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.ca_file.unwrap(), "/etc/a b.pem");
        let options = asked.options;
        assert_eq!((options.shards, options.replicas), (6, Some(0)));
        assert_eq!(options.refresh_interval, Some(Duration::from_millis(200)));
        assert_eq!(options.timeout, Duration::from_millis(70));
        assert_eq!(options.scan_keep_alive, Duration::from_secs(5));
        assert_eq!(options.attempts, 9);
        assert!(format!("{options:?}").contains("Gzip"));
    }

    #[test]
    fn calls_may_take_as_long_as_requests() {
        let limits = |url: &str| {
            let limits = layers(url).timeout;
            (
                limits.read.as_secs(),
                limits.write.as_secs(),
                limits.long.as_secs(),
            )
        };
        for (url, expected) in [
            ("opensearch://db", (30, 30, 300)),
            ("opensearch://db?timeout_ms=50", (30, 30, 300)),
            ("sqlite://a?timeout_ms=99000", (30, 30, 300)),
            ("elasticsearch://db?timeout_ms=90000", (91, 91, 300)),
            ("opensearch+https://db?timeout_ms=400000", (401, 401, 401)),
        ] {
            assert_eq!(limits(url), expected, "{url}");
        }
    }

    #[test]
    fn analysers_of_fields() {
        let url = "opensearch://db?analysers=users.bio:english,users.o.gr%C3%B6%C3%9Fe:standard,a.t:own-1";
        let analysis = read(url).unwrap().options.analysis;
        let of = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .fold(TextAnalysis::new(), |all, (field, name)| {
                    all.field(field.parse().unwrap(), name.parse().unwrap())
                })
        };
        let users = of(&[("bio", "english"), ("o.größe", "standard")]);
        let wanted = [("a", of(&[("t", "own-1")])), ("users", users)];
        let wanted = wanted.map(|(name, analysis)| (name.parse().unwrap(), analysis));
        assert_eq!(analysis, BTreeMap::from(wanted));
    }

    #[test]
    fn credentials() {
        let of = |url: &str| {
            let (user, _) = url.split_once("//").unwrap().1.split_once('@').unwrap();
            basic(user)
        };
        match of("elasticsearch://m%C3%A9:p%40s%3As%2F@db") {
            Some(EsCredentials::Basic { user, password }) => {
                assert_eq!((user.as_str(), password.as_str()), ("mé", "p@s:s/"));
            }
            other => panic!("{other:?}"),
        }
        assert!(of("elasticsearch://:x@db").is_none());
        for url in [
            "elasticsearch://db?api_key=aWQ6a2V5==",
            "elasticsearch://db?bearer=ey.a-b_c",
        ] {
            let printed = format!("{:?}", read(url).unwrap());
            assert!(printed.contains("(…)"), "{printed}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not_told() {
        for (bad, named) in [
            ("elasticsearch:db", "elasticsearch://user"),
            ("elasticsearch://", "host:port"),
            ("elasticsearch://:9200", "host:port"),
            ("elasticsearch://db:0", "host:port"),
            ("elasticsearch://db:65536", "host:port"),
            ("elasticsearch://::1", "host:port"),
            ("elasticsearch://me:hunter2@", "host:port"),
            ("elasticsearch://me:hunter2", "host:port"),
            ("elasticsearch://me:hun@ter2@db", "percent-encoded"),
            ("elasticsearch://me:hunter2/@db", "percent-encoded"),
            ("elasticsearch://me:12/hunter2@db", "percent-encoded"),
            ("elasticsearch://me:hunter2#@db", "percent-encoded"),
            ("elasticsearch://me:12?hunter2@db", "percent-encoded"),
            ("elasticsearch://me:hunter2%@db", "percent-encoded"),
            ("elasticsearch://me:hunter2%ff@db", "percent-encoded"),
            ("elasticsearch://:hunter2@db", "user:password@"),
            ("elasticsearch://a%3Ab:hunter2@db", "user:password@"),
            ("elasticsearch+cloud://me:hunter2@mine", "CLOUD_ID"),
            ("elasticsearch://db?api_key=", "api_key"),
            ("elasticsearch://db?api_key=id:hunter2", "api_key"),
            ("elasticsearch://db?bearer=hunter2%0a", "bearer"),
            ("elasticsearch://db?bearer=hunter2%zz", "bearer"),
            ("elasticsearch://me:x@db?api_key=hunter2", "more than one"),
            (
                "elasticsearch://db?api_key=x&bearer=hunter2",
                "more than one",
            ),
            ("elasticsearch://db?api_key=x&api_key=hunter2", "twice"),
            ("elasticsearch://me:hunter2@db?", "\"\""),
            ("elasticsearch://db?apikey=hunter2", "\"apikey\""),
            ("elasticsearch://db?ca_file=/ca.pem", "elasticsearch+https:"),
            ("opensearch+https://db?ca_file=", "ca_file"),
            ("opensearch+https://db?ca_file=%2", "ca_file"),
            ("opensearch://db?shards=0", "shards of the URL is \"0\""),
            ("opensearch://db?shards=1025", "1 to 1024"),
            ("opensearch://db?replicas=-1", "0 to 1000"),
            ("opensearch://db?attempts=0", "1 to 10000"),
            ("opensearch://db?timeout_ms=0", "1 to 86400000"),
            ("opensearch://db?timeout_ms=1s", "timeout_ms"),
            (
                "opensearch://db?refresh_interval_ms=-1",
                "refresh_interval_ms",
            ),
            ("opensearch://db?scan_keep_alive_ms", "scan_keep_alive_ms"),
            ("opensearch://db?compression=zstd", "none or gzip"),
            ("opensearch://db?analysers=", "users.bio:english"),
            ("opensearch://db?analysers=users:english", "analysers"),
            ("opensearch://db?analysers=users.bio", "analysers"),
            ("opensearch://db?analysers=Users.bio:english", "analysers"),
            ("opensearch://db?analysers=users.:english", "analysers"),
            ("opensearch://db?analysers=users.bio:_english", "analysers"),
            ("opensearch://db?analysers=u.a:x,u.a:y", "analysers"),
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.message().contains(named), "{bad}: {error}");
            assert!(!format!("{error} {error:?}").contains("hun"), "{error}");
        }
    }
}
