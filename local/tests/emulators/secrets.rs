//! Secrets Manager, through its SDK client.

use crate::stack::{Stack, code};

#[tokio::test]
async fn a_secret_is_the_file_of_its_app_as_it_is_now() {
    let stack = Stack::start().await;
    let client = stack.secrets();
    let id = "pushbell/local/apps/demo/vendors";
    let get = || client.get_secret_value().secret_id(id).send();
    assert!(get().await.unwrap_err().as_service_error().unwrap().is_resource_not_found_exception());

    let folder = stack.apps.path().join("demo");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("vendors.json"), r#"{"url":"${VENDORS}/token"}"#).unwrap();
    let first = get().await.unwrap();
    assert_eq!(first.secret_string().unwrap(), format!("{{\"url\":\"{}/token\"}}", stack.vendors_url));
    assert_eq!(first.name(), Some(id));
    std::fs::write(folder.join("vendors.json"), "{}").unwrap();
    let second = get().await.unwrap();
    assert_eq!(second.secret_string(), Some("{}"));
    assert_ne!(first.version_id(), second.version_id());
    let by_arn = client.get_secret_value().secret_id(second.arn().unwrap()).send().await.unwrap();
    assert_eq!(by_arn.secret_string(), Some("{}"));
}

#[tokio::test]
async fn a_secret_is_created_changed_listed_and_deleted() {
    let stack = Stack::start().await;
    let client = stack.secrets();
    let id = "pushbell/local/apps/shop/callers";
    let put = |text: &str| client.put_secret_value().secret_id(id).secret_string(text).send();
    assert_eq!(code(&put("{}").await.unwrap_err()), "ResourceNotFoundException");
    let create = || client.create_secret().name(id).secret_string("{\"a\":1}").send();
    create().await.unwrap();
    assert_eq!(code(&create().await.unwrap_err()), "ResourceExistsException");
    put("{\"a\":2}").await.unwrap();
    let file = stack.apps.path().join("shop/callers.json");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"a\":2}");
    let list = client.list_secrets().send().await.unwrap();
    assert_eq!(list.secret_list()[0].name(), Some(id));
    client.delete_secret().secret_id(id).send().await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let stack = Stack::start().await;
    let client = stack.secrets();
    for id in [
        "pushbell/local/apps/../secret",
        "pushbell/local/apps/demo/../../x",
        "pushbell/prod/apps/demo/vendors",
        "other",
    ] {
        let error = client.create_secret().name(id).secret_string("x").send().await.unwrap_err();
        assert_eq!(code(&error), "ResourceNotFoundException", "{id}");
    }
}

#[tokio::test]
async fn the_vendors_address_is_kept_as_what_stands_for_it() {
    let stack = Stack::start().await;
    let client = stack.secrets();
    let id = "pushbell/local/apps/shop/vendors";
    let text = format!("{{\"token_uri\":\"{}/token\"}}", stack.vendors_url);
    client.create_secret().name(id).secret_string(&text).send().await.unwrap();
    let kept = std::fs::read_to_string(stack.apps.path().join("shop/vendors.json")).unwrap();
    assert_eq!(kept, r#"{"token_uri":"${VENDORS}/token"}"#);
    let read = client.get_secret_value().secret_id(id).send().await.unwrap();
    assert_eq!(read.secret_string(), Some(text.as_str()));
}
