//! Searches for endpoints, and who has what they bring.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::domain::settings::EndpointSettings;
use crate::provider::directory::Directory;
use crate::provider::endpoint_query::EndpointQuery;
use crate::provider::http::Http;

/// An issuer that answers nothing but this, and how often it was asked.
fn issuer(answer: &'static str) -> (EndpointQuery, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4_096]);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let issuer = Some(Arc::new(address.parse().unwrap()));
    let endpoints = Arc::new(EndpointSettings { issuer, ..EndpointSettings::default() });
    (EndpointQuery::by(&AccountSettings { endpoints, ..account() }), asked)
}

pub(super) fn http() -> Http {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Http::new(versions.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()).unwrap()
}

#[tokio::test]
async fn whoever_waits_for_a_search_that_fails_has_its_answer_and_later_ones_search_again() {
    let (query, asked) = issuer("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let directory = Directory::new(query, http());
    let fault = directory.endpoints().await.unwrap_err();
    let one_search = asked.swap(0, Ordering::Relaxed);
    assert!(one_search > 0);

    let search = || directory.endpoints();
    let faults = tokio::join!(search(), search(), search());
    let faults = [faults.0, faults.1, faults.2].map(|result| result.unwrap_err());
    assert_eq!(faults, [&fault; 3].map(Fault::clone));
    assert_eq!(asked.load(Ordering::Relaxed), one_search, "one search for all three");
}

#[tokio::test]
async fn a_search_that_breaks_off_leaves_no_refresh_in_doubt() {
    let (query, asked) = issuer("");
    let fault = Directory::new(query, http()).endpoints().await.unwrap_err();
    assert!(asked.load(Ordering::Relaxed) > 0 && !fault.in_doubt, "{fault:?}");
}

/// An issuer whose metadata is behind a redirection to `location`, in which PORT stands for its own.
fn redirecting(location: &'static str) -> EndpointQuery {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let location = location.replace("PORT", &port.to_string());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4_096];
            let length = stream.read(&mut request).unwrap_or_default();
            let answer = if request[..length].starts_with(b"GET /.well-known/openid-configuration/ ") {
                let here = format!("http://127.0.0.1:{port}");
                let body = format!(r#"{{"issuer":"{here}","token_endpoint":"{here}/token"}}"#);
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            } else {
                let moved = "HTTP/1.1 301 Moved Permanently\r\nconnection: close\r\ncontent-length: 0\r\nlocation: ";
                format!("{moved}{location}\r\n\r\n")
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let issuer = Some(Arc::new(format!("http://127.0.0.1:{port}/").parse().unwrap()));
    let endpoints = Arc::new(EndpointSettings { issuer, ..EndpointSettings::default() });
    EndpointQuery::by(&AccountSettings { endpoints, ..account() })
}

#[tokio::test]
async fn django_oauth_toolkits_metadata_behind_a_slash_is_found_and_that_of_another_origin_is_not() {
    let found = |location| async move { Directory::new(redirecting(location), http()).endpoints().await };
    let endpoints = found("/.well-known/openid-configuration/").await.unwrap();
    assert!(endpoints.token.as_str().ends_with("/token"));
    assert!(found("http://127.0.0.1:PORT/.well-known/openid-configuration/").await.is_ok());
    assert!(found("http://localhost:PORT/.well-known/openid-configuration/").await.is_err());
    assert!(found("/.well-known/openid-configuration").await.is_err(), "a circle ends");
}
