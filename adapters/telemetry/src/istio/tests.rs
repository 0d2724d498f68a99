//! The labels of what each kind of caller tells.

use super::super::LABELS;
use super::*;
use std::collections::HashMap;

type Told<'a> = Vec<(Slot, &'a [u8])>;

fn labels(told: &Told<'static>) -> HashMap<&'static str, String> {
    let find = |slot: Slot| {
        told.iter()
            .find(|(own, _)| *own == slot)
            .map(|(_, value)| *value)
    };
    let mut values = Vec::new();
    Record::new(&find, None).labels(|value| values.push(value));
    assert_eq!(values.len(), LABELS.len());
    let known = LABELS
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name, value?)));
    known
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect()
}

fn check(told: &Told<'static>, expected: &[(&'static str, &str)]) {
    let expected = expected
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    assert_eq!(labels(told), expected.collect());
}

const NUMBER_200: &[u8] = &200_u64.to_le_bytes();
const INBOUND: &[u8] = &1_u64.to_le_bytes();
const NOT_FOUND: &[u8] = &5_u64.to_le_bytes();
const CONNECTION_FAILURE: &[u8] = &(1_u64 << 5).to_le_bytes();

#[test]
fn of_mixer() {
    check(
        &vec![
            (Slot::ReporterKind, b"outbound"),
            (Slot::SourceWorkload, b"web"),
            (Slot::SourceNamespace, b"shop"),
            (Slot::SourceApp, b"web-app"),
            (Slot::DestinationWorkload, b"cart"),
            (Slot::DestinationRevision, b"v2"),
            (Slot::ServiceHost, b"cart.shop.svc.cluster.local"),
            (Slot::ServiceName, b"cart"),
            (Slot::ServiceNamespace, b"shop"),
            (Slot::ContextProtocol, b"http"),
            (Slot::Code, NUMBER_200),
            (Slot::ProxyError, b"UF"),
            (Slot::Mtls, b"\x01"),
        ],
        &[
            ("reporter", "source"),
            ("source_workload", "web"),
            ("source_workload_namespace", "shop"),
            ("source_app", "web-app"),
            ("source_canonical_service", "web-app"),
            ("source_canonical_revision", "latest"),
            ("destination_workload", "cart"),
            ("destination_canonical_service", "cart"),
            ("destination_canonical_revision", "v2"),
            ("destination_service", "cart.shop.svc.cluster.local"),
            ("destination_service_name", "cart"),
            ("destination_service_namespace", "shop"),
            ("request_protocol", "http"),
            ("response_flags", "UF"),
            ("response_code", "200"),
            ("grpc_response_status", ""),
        ],
    );
}

#[test]
fn of_envoy() {
    check(
        &vec![
            (Slot::Direction, INBOUND),
            (Slot::OwnWorkload, b"cart"),
            (Slot::OwnCluster, b"east"),
            (Slot::OwnVersion, b"v1"),
            (Slot::PeerUri, b"spiffe://td/ns/shop/sa/web"),
            (Slot::LocalUri, b"spiffe://td/ns/shop/sa/cart"),
            (Slot::Cluster, b"inbound|8080||"),
            (Slot::ContentType, b"application/grpc+proto"),
            (Slot::GrpcStatus, NOT_FOUND),
            (Slot::Code, NUMBER_200),
            (Slot::Flags, CONNECTION_FAILURE),
            (Slot::Mtls, b"\x01"),
        ],
        &[
            ("reporter", "destination"),
            ("source_principal", "spiffe://td/ns/shop/sa/web"),
            ("destination_workload", "cart"),
            ("destination_principal", "spiffe://td/ns/shop/sa/cart"),
            ("destination_version", "v1"),
            ("destination_cluster", "east"),
            ("destination_canonical_service", "cart"),
            ("destination_canonical_revision", "v1"),
            ("request_protocol", "grpc"),
            ("connection_security_policy", "mutual_tls"),
            ("response_flags", "UF"),
            ("response_code", "200"),
            ("grpc_response_status", "5"),
        ],
    );
}

#[test]
fn of_a_request_without_a_response() {
    for told in [
        vec![(Slot::Method, &b"GET"[..])],
        vec![(Slot::Code, &[0; 8][..])],
    ] {
        assert_eq!(labels(&told)["response_code"], "0");
    }
}

#[test]
fn of_a_connection() {
    let told: Told = vec![(Slot::Mtls, b"\0"), (Slot::Cluster, b"BlackHoleCluster")];
    check(
        &told,
        &[
            ("destination_service_name", "BlackHoleCluster"),
            ("request_protocol", "tcp"),
            ("connection_security_policy", "none"),
            ("response_flags", "-"),
            ("grpc_response_status", ""),
        ],
    );
    for (event, opened, closed) in [
        (&b""[..], Some(1), Some(1)),
        (b"open", Some(1), None),
        (b"continue", None, None),
        (b"close", None, Some(1)),
    ] {
        let sent = 7_u64.to_le_bytes();
        let find = |slot: Slot| match slot {
            Slot::Event => Some(event),
            Slot::Sent => Some(&sent[..]),
            _ => None,
        };
        let amounts = Record::new(&find, None).amounts();
        assert_eq!(amounts, [opened, closed, Some(7), None]);
    }
}

#[test]
fn services_of_clusters() {
    for (cluster, service) in [
        (
            &b"outbound|80||cart.shop.svc.cluster.local"[..],
            ["cart.shop.svc.cluster.local", "cart", "shop"],
        ),
        (
            b"outbound|443|v1|example.com",
            ["example.com", "example.com", ""],
        ),
        (b"outbound|80||", ["", "", ""]),
        (b"mine", ["", "mine", ""]),
    ] {
        let told: Told = vec![(Slot::Cluster, cluster), (Slot::Code, NUMBER_200)];
        let found = labels(&told);
        let names = [
            "destination_service",
            "destination_service_name",
            "destination_service_namespace",
        ];
        let values = names.map(|name| found.get(name).map_or("", String::as_str));
        assert_eq!(values, service);
    }
}
