//! A profile of the AWS configuration, and nothing but it. By its name alone the SDK's chain would still take keys in the environment first,
//! which may be another account's.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider, credentials, region};
use aws_config::provider_config::ProviderConfig;
use aws_config::{ConfigLoader, Region};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// `loader` with the profile's credentials; and its region, or the environment's, unless one was named.
pub(super) async fn load(
    loader: ConfigLoader,
    name: &str,
    named: Option<Region>,
    client: SharedHttpClient,
) -> ConfigLoader {
    let region = match named {
        Some(region) => Some(region),
        None => region_of(ProfileFileRegionProvider::builder().profile_name(name)).await,
    };
    let builder = ProfileFileCredentialsProvider::builder().profile_name(name);
    let loader = loader.profile_name(name).credentials_provider(credentials_of(builder, region.clone(), client));
    match region {
        Some(region) => loader.region(region),
        None => loader,
    }
}

async fn region_of(profile: region::Builder) -> Option<Region> {
    RegionProviderChain::first_try(profile.build()).or_else(EnvironmentVariableRegionProvider::new()).region().await
}

/// What a role or a single sign-on needs is asked of AWS, over `client`: such a provider takes nothing of what its loader has.
fn credentials_of(
    profile: credentials::Builder,
    region: Option<Region>,
    client: SharedHttpClient,
) -> ProfileFileCredentialsProvider {
    profile.configure(&ProviderConfig::without_region().with_region(region).with_http_client(client)).build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    // The SDK has a newer name for it, in a crate that nothing else here needs.
    #![allow(deprecated)]
    use std::sync::{Arc, Mutex};

    use super::*;
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    use aws_credential_types::provider::ProvideCredentials as _;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;

    const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
        <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
        <Expiration>2040-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

    fn files() -> ProfileFiles {
        let contents = "[profile base]\nregion = eu-central-1\naws_access_key_id = AKIABASE\naws_secret_access_key = secret\n\
             [profile ops]\nrole_arn = arn:aws:iam::111122223333:role/ops\nsource_profile = base\nregion = eu-west-1\n";
        ProfileFiles::builder().with_contents(ProfileFileKind::Config, contents).build()
    }

    /// AWS, as far as a role goes. Notes what it is asked.
    #[derive(Debug, Clone, Default)]
    struct Sts(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Sts {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            self.0.lock().unwrap().push(request.uri().to_owned());
            let answer = http::Response::new(SdkBody::from(ASSUMED)).try_into().unwrap();
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    #[tokio::test]
    async fn a_profile_that_is_a_role_is_taken_on_in_its_region() {
        let sts = Sts::default();
        let connector = SharedHttpConnector::new(sts.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        let region = region_of(ProfileFileRegionProvider::builder().profile_name("ops").profile_files(files())).await;
        assert_eq!(region, Some(Region::new("eu-west-1")));
        let builder = ProfileFileCredentialsProvider::builder().profile_name("ops").profile_files(files());
        let given = credentials_of(builder, region, client).provide_credentials().await.unwrap();
        assert_eq!((given.access_key_id(), given.session_token()), ("ASIAROLE", Some("token")));
        assert_eq!(*sts.0.lock().unwrap(), ["https://sts.eu-west-1.amazonaws.com/"]);
    }

    #[tokio::test]
    async fn a_profile_s_own_keys_are_taken_as_they_are() {
        let builder = ProfileFileCredentialsProvider::builder().profile_name("base").profile_files(files());
        let nobody = http_client_fn(|_, _| unreachable!("keys are in the file"));
        let given = credentials_of(builder, None, nobody).provide_credentials().await.unwrap();
        assert_eq!(given.access_key_id(), "AKIABASE");
    }
}
