//! The SDK's connections.

use std::sync::{Arc, OnceLock};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

use super::CONNECT;

/// One pool for all SDK clients of a function, whatever their timeouts are.
///
/// The SDK's own client makes a connector, with a pool and the system's roots parsed anew, for each client and for each connect timeout that a
/// call comes with, and keeps it. So a call's own time is told by its attempt timeout alone, which bounds its connecting too.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<OnceLock<SharedHttpConnector>>);

impl Connections {
    pub(super) fn client(&self) -> SharedHttpClient {
        let connections = self.clone();
        http_client_fn(move |_, _| connections.0.get_or_init(connector).clone())
    }
}

fn connector() -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
    let rustls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let connector = Connector::builder().connector_settings(settings).sleep_impl(TokioSleep::new());
    SharedHttpConnector::new(connector.tls_provider(rustls).build())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use crate::id::{AppId, ClientId};
    use crate::recipient::Recipients;
    use crate::registry::Registry;
    use crate::test_tables;

    #[tokio::test]
    async fn all_clients_of_a_function_share_their_connections_whatever_time_a_call_has() {
        let (env, connections) = test_tables::counted().await;
        let (app, client) = (AppId::parse("demo").unwrap(), ClientId::parse("aaa").unwrap());
        let (recipients, hasty) = (Recipients::new(&env).unwrap(), Recipients::hasty(&env).unwrap());
        recipients.get(&app, &client, true).await.unwrap();
        Registry::new(&env).unwrap().labels(&app, &client).await.unwrap();
        for ms in [60_000, 60_001] {
            let glance = hasty.glance(&app, std::slice::from_ref(&client), Instant::now() + Duration::from_millis(ms));
            assert!(glance.await.error.is_none());
        }
        assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
