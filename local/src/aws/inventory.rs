//! What an operator's tools ask about a deployed stack: CloudFormation's list of it, and what Cloud Control reads of each resource now.
//! Sources: the API references of CloudFormation (`DescribeStacks`, `ListStackResources`) and of Cloud Control (`GetResource`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{self, Form, element};
use super::{ACCOUNT, REGION, Refusal};
use crate::template::{Listed, Part, STACK, Template};

/// The XML namespace of CloudFormation's answers.
pub(super) const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
/// Resources on one page of the list.
const PAGE: usize = 100;

/// A stack as it was deployed and as it is; clones share it.
#[derive(Clone, Default)]
pub struct Inventory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    status: String,
    parameters: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    resources: BTreeMap<String, Resource>,
}

struct Resource {
    kind: String,
    physical_id: String,
    /// `None` once somebody has deleted it by hand: CloudFormation lists it all the same.
    properties: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetResource {
    type_name: String,
    identifier: String,
}

impl Inventory {
    /// What the template deploys. `resolve` gives what a reference of an output stands for, where it is emulated.
    pub fn new(
        template: &Template,
        aws_url: &str,
        outputs: &[(&str, &str)],
        resolve: impl Fn(&Part) -> Option<String>,
    ) -> Self {
        let resources = template.resources.iter().map(|listed| {
            let physical_id = physical_id(listed, aws_url);
            let resource = Resource { kind: listed.kind.clone(), physical_id, properties: Some(live(listed)) };
            (listed.logical_id.clone(), resource)
        });
        let mut shown: BTreeMap<String, String> = template
            .outputs
            .iter()
            .filter_map(|(name, parts)| Some((name.clone(), parts.iter().map(&resolve).collect::<Option<String>>()?)))
            .collect();
        shown.extend(outputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self(Arc::new(Mutex::new(Inner {
            status: "CREATE_COMPLETE".to_owned(),
            parameters: template.parameters.clone(),
            outputs: shown,
            resources: resources.collect(),
        })))
    }

    /// Deletes a resource by hand, behind CloudFormation's back. Whether there was such a one. What is emulated of it goes on.
    pub fn remove(&self, logical_id: &str) -> bool {
        self.with(logical_id, |resource| resource.properties = None)
    }

    /// Changes a property of a resource by hand. Whether there is such a resource.
    pub fn change(&self, logical_id: &str, property: &str, value: Value) -> bool {
        self.with(logical_id, |resource| {
            if let Some(properties) = &mut resource.properties {
                properties[property] = value;
            }
        })
    }

    /// The stack's own status from now on: `UPDATE_ROLLBACK_COMPLETE`.
    pub fn set_status(&self, status: &str) {
        status.clone_into(&mut self.lock().status);
    }

    /// Another value of a parameter, as if it had been deployed so.
    pub fn set_parameter(&self, name: &str, value: &str) {
        self.lock().parameters.insert(name.to_owned(), value.to_owned());
    }

    fn with(&self, logical_id: &str, change: impl FnOnce(&mut Resource)) -> bool {
        let mut inner = self.lock();
        inner.resources.get_mut(logical_id).map(change).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cloudformation(&self, action: &str, form: &Form) -> Result<String, Refusal> {
        let name = form.get("StackName").unwrap_or(STACK);
        if name != STACK {
            let text = format!("Stack with id {name} does not exist");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "ValidationError".to_owned(), "ValidationError", &text));
        }
        let result = match action {
            "DescribeStacks" => self.describe(),
            "ListStackResources" => self.list(form),
            _ => return Err(Refusal::unknown_operation(action)),
        };
        Ok(query::reply(NAMESPACE, action, &result))
    }

    fn describe(&self) -> String {
        let inner = self.lock();
        let members = |map: &BTreeMap<String, String>, key: &str, value: &str| -> String {
            map.iter()
                .map(|(name, held)| format!("<member>{}{}</member>", element(key, name), element(value, held)))
                .collect()
        };
        let id =
            format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/00000000-0000-0000-0000-000000000000");
        format!(
            "<Stacks><member>{}{}{}{}<Outputs>{}</Outputs><Parameters>{}</Parameters></member></Stacks>",
            element("StackName", STACK),
            element("StackId", &id),
            element("CreationTime", "2026-01-01T00:00:00.000Z"),
            element("StackStatus", &inner.status),
            members(&inner.outputs, "OutputKey", "OutputValue"),
            members(&inner.parameters, "ParameterKey", "ParameterValue"),
        )
    }

    fn list(&self, form: &Form) -> String {
        let inner = self.lock();
        let start: usize = form.get("NextToken").and_then(|token| token.parse().ok()).unwrap_or_default();
        let members: String = inner
            .resources
            .iter()
            .skip(start)
            .take(PAGE)
            .map(|(id, resource)| {
                let kind = element("ResourceType", &resource.kind);
                let (logical, physical) =
                    (element("LogicalResourceId", id), element("PhysicalResourceId", &resource.physical_id));
                let status = element("ResourceStatus", "CREATE_COMPLETE");
                let time = element("LastUpdatedTimestamp", "2026-01-01T00:00:00.000Z");
                format!("<member>{logical}{physical}{kind}{time}{status}</member>")
            })
            .collect();
        let end = start.saturating_add(PAGE);
        let next = if end < inner.resources.len() { element("NextToken", &end.to_string()) } else { String::new() };
        format!("<StackResourceSummaries>{members}</StackResourceSummaries>{next}")
    }

    pub(super) fn cloud_control(&self, action: &str, body: &[u8]) -> Result<Value, Refusal> {
        if action != "GetResource" {
            return Err(Refusal::unknown_operation(action));
        }
        let asked: GetResource = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
        let inner = self.lock();
        let found = inner
            .resources
            .values()
            .find(|resource| resource.kind == asked.type_name && resource.physical_id == asked.identifier)
            .and_then(|resource| resource.properties.as_ref());
        let Some(properties) = found else {
            let kind = "ResourceNotFoundException";
            let text =
                format!("Resource of type '{}' with identifier '{}' was not found.", asked.type_name, asked.identifier);
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("com.amazonaws.cloudapiservice#{kind}"),
                kind,
                &text,
            ));
        };
        Ok(json!({
            "TypeName": asked.type_name,
            "ResourceDescription": { "Identifier": asked.identifier, "Properties": properties.to_string() },
        }))
    }
}

/// How CloudFormation names a resource: a queue by its address, most others by their name.
fn physical_id(listed: &Listed, aws_url: &str) -> String {
    let id = &listed.logical_id;
    match listed.kind.as_str() {
        "AWS::SQS::Queue" => format!("{aws_url}/{ACCOUNT}/{id}"),
        "AWS::SNS::Topic" => format!("arn:aws:sns:{REGION}:{ACCOUNT}:{id}"),
        _ => id.clone(),
    }
}

/// The properties that are read later, with what a service adds of its own accord where the template is silent.
fn live(listed: &Listed) -> Value {
    let mut properties = listed.properties.clone();
    if listed.kind == "AWS::DynamoDB::Table"
        && let Some(map) = properties.as_object_mut()
    {
        // Its read handler does not ask for it.
        map.remove("TimeToLiveSpecification");
    }
    let defaults = match listed.kind.as_str() {
        "AWS::Lambda::EventSourceMapping" => vec![("Enabled", json!(true))],
        "AWS::Scheduler::Schedule" => vec![("State", json!("ENABLED"))],
        "AWS::CloudWatch::Alarm" => vec![("ActionsEnabled", json!(true))],
        _ => Vec::new(),
    };
    for (name, value) in defaults {
        if properties[name].is_null() {
            properties[name] = value;
        }
    }
    properties
}
