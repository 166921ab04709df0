//! `docs/openapi.yaml` as the tests read it.

use http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::bell::{Answer, workspace};

/// What a path item may have that is an operation.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The whole document.
pub struct Description(Value);

/// One method of one path.
pub struct Operation<'a> {
    pub path: &'a str,
    /// In capitals.
    pub method: String,
    item: &'a Value,
    pub value: &'a Value,
}

/// A request as an example shows it, without credentials.
#[derive(Clone)]
pub struct Example {
    pub name: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    /// The status that its answer has.
    pub status: u16,
    /// The code in Lanying's envelope.
    pub code: u64,
}

impl Description {
    pub fn text() -> String {
        std::fs::read_to_string(workspace().join("docs/openapi.yaml")).unwrap()
    }

    pub fn read() -> Self {
        Self(serde_yaml_ng::from_str(&Self::text()).unwrap())
    }

    /// Keys and entries that a reader of YAML 1.1 takes for true or false, with their lines' numbers. `true` and `false` are only meant where
    /// they are values.
    pub fn ambiguous(text: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (index, line) in text.lines().enumerate() {
            for part in line.split(['{', '}', '[', ']', ',']) {
                let part = part.trim().trim_start_matches("- ");
                let (key, value) = match part.split_once(": ") {
                    Some((key, value)) => (Some(key), value),
                    None => (part.strip_suffix(':'), part),
                };
                let is = |word: &str, words: &[&str]| words.iter().any(|own| own.eq_ignore_ascii_case(word.trim()));
                let bad = |word: &&str| is(word, &["y", "n", "yes", "no", "on", "off"]);
                let key = key.filter(|key| bad(key) || is(key, &["true", "false"]));
                found.extend(key.or(Some(value).filter(bad)).map(|word| (index + 1, word.to_owned())));
            }
        }
        found
    }

    pub fn get(&self, pointer: &str) -> &Value {
        self.at(self.0.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not described")))
    }

    /// What a `$ref` refers to, or the value itself.
    pub fn at<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.get(reference.strip_prefix('#').unwrap()),
            None => value,
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0["paths"].as_object().unwrap().iter().map(|(path, item)| (path.as_str(), item))
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.paths() {
            for method in METHODS {
                if let Some(value) = item.get(method) {
                    operations.push(Operation { path, method: method.to_uppercase(), item, value });
                }
            }
        }
        operations
    }

    fn at_path(&self, path: &str) -> &Value {
        &self.0["paths"][path]
    }

    /// A path with its parameters' examples in it, and with those of the query that are required if `operation` is one.
    pub fn filled(&self, path: &str, operation: Option<&Operation<'_>>) -> String {
        let mut filled = path.to_owned();
        let mut query = Vec::new();
        let item = self.at_path(path);
        for parameter in self.parameters(item, operation.map(|operation| operation.value)) {
            let name = parameter["name"].as_str().unwrap();
            match (parameter["in"].as_str().unwrap(), examples_of(parameter)) {
                ("path", values) => filled = filled.replace(&format!("{{{name}}}"), &values.concat()),
                ("query", values) => query.extend(values.into_iter().map(|value| format!("{name}={value}"))),
                ("header", _) => {}
                (place, _) => panic!("{path}: {name} is in {place}"),
            }
        }
        assert!(!filled.contains('{'), "{path} has a parameter without an example");
        if query.is_empty() { filled } else { format!("{filled}?{}", query.join("&")) }
    }

    fn parameters<'a>(&'a self, item: &'a Value, operation: Option<&'a Value>) -> Vec<&'a Value> {
        let lists = [Some(item), operation].into_iter().flatten();
        lists.filter_map(|holder| holder["parameters"].as_array()).flatten().map(|one| self.at(one)).collect()
    }

    /// What the operation's examples send; a call without a body is one, too.
    pub fn examples(&self, operation: &Operation<'_>) -> Vec<Example> {
        let mut headers = Vec::new();
        for parameter in self.parameters(operation.item, Some(operation.value)) {
            if parameter["in"] == "header" {
                headers.push((parameter["name"].as_str().unwrap().to_owned(), examples_of(parameter).concat()));
            }
        }
        let success = self.responses(operation).map(|(status, _)| status).min().unwrap();
        let status = |of: &Value| of["x-answer"].as_u64().map_or(success, |status| u16::try_from(status).unwrap());
        let bare =
            Example { name: "no body".to_owned(), headers, body: None, status: status(operation.value), code: 200 };
        let Some(body) = operation.value.get("requestBody").map(|body| self.at(body)) else { return vec![bare] };
        let examples = body["content"]["application/json"]["examples"].as_object().unwrap();
        let example = |(name, example): (&String, &Value)| Example {
            name: name.clone(),
            body: Some(example["value"].clone()),
            status: status(example),
            code: example["x-code"].as_u64().unwrap_or(200),
            ..bare.clone()
        };
        examples.iter().map(example).collect()
    }

    pub fn request_schema<'a>(&'a self, operation: &'a Operation<'_>) -> &'a Value {
        &self.at(&operation.value["requestBody"])["content"]["application/json"]["schema"]
    }

    pub fn responses<'a>(&'a self, operation: &'a Operation<'_>) -> impl Iterator<Item = (u16, &'a Value)> {
        let responses = operation.value["responses"].as_object().unwrap();
        responses.iter().map(|(status, response)| (status.parse().unwrap(), self.at(response)))
    }

    /// The response that answers all methods that a path does not describe.
    pub fn other_methods<'a>(&'a self, item: &'a Value) -> &'a Value {
        self.at(&item["x-other-methods"])
    }

    /// The alternatives of who may call: for each the names of its schemes. A hook has one, without any.
    pub fn callers(&self, operation: &Operation<'_>) -> Vec<Vec<String>> {
        let Some(security) = operation.value.get("security") else { return vec![Vec::new()] };
        let names = |alternative: &Value| alternative.as_object().unwrap().keys().cloned().collect();
        security.as_array().unwrap().iter().map(names).collect()
    }

    /// The header that a scheme's credential is sent in; `credential` is that of the demo app.
    pub fn header(&self, scheme: &str, credential: &str) -> (String, String) {
        let described = self.get(&format!("/components/securitySchemes/{scheme}"));
        match (described["type"].as_str().unwrap(), described["scheme"].as_str()) {
            ("apiKey", None) => (described["name"].as_str().unwrap().to_owned(), credential.to_owned()),
            ("http", Some("bearer")) => ("authorization".to_owned(), format!("Bearer {credential}")),
            ("http", Some("basic")) => ("authorization".to_owned(), format!("Basic {credential}")),
            other => panic!("{scheme} is {other:?}"),
        }
    }

    /// Whether `answer` is what the operation describes for its status.
    pub fn check(&self, operation: &Operation<'_>, answer: &Answer) -> Result<(), String> {
        let found = self.responses(operation).find(|(status, _)| *status == answer.status);
        let (_, response) = found.ok_or_else(|| format!("{} is not described: {}", answer.status, answer.text))?;
        self.fits(response, answer)
    }

    /// Whether `answer` has the headers and the body that `response` describes.
    pub fn fits(&self, response: &Value, answer: &Answer) -> Result<(), String> {
        let headers = response["headers"].as_object().into_iter().flatten();
        for (name, header) in headers {
            if !answer.headers.contains_key(name) {
                return Err(format!("the header {name} is missing"));
            }
            let value = text(&answer.headers, name);
            let schema = &self.at(header)["schema"];
            let value = if schema["type"] == "integer" { value.parse().unwrap_or_default() } else { json!(value) };
            self.valid(schema, &value)?;
        }
        if response.get("content").is_none() {
            return if answer.text.is_empty() { Ok(()) } else { Err(format!("a body: {}", answer.text)) };
        }
        let media_type = text(&answer.headers, "content-type").split(';').next().unwrap_or_default();
        let content = response["content"].get(media_type).ok_or_else(|| format!("{media_type:?} is not described"))?;
        let body = serde_json::from_str(&answer.text).map_err(|error| format!("{error}: {}", answer.text))?;
        self.valid(&content["schema"], &body).map_err(|errors| format!("{errors}: {body}"))
    }

    /// Whether `value` is what `schema` says.
    pub fn valid(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let errors: Vec<String> = self.validator(schema).iter_errors(value).map(|error| error.to_string()).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// `#/components/…` is resolved against the schema's own root.
    fn validator(&self, schema: &Value) -> Validator {
        let rooted = json!({"allOf": [schema], "components": self.0["components"]});
        jsonschema::draft202012::new(&rooted).unwrap_or_else(|error| panic!("no schema: {error}: {schema}"))
    }

    /// Every response of the components, and every one that stands in an operation.
    pub fn all_responses(&self) -> Vec<&Value> {
        let shared = self.get("/components/responses").as_object().unwrap().values();
        let own = self.0["paths"].as_object().unwrap().values().flat_map(|item| {
            let operations = METHODS.iter().filter_map(|method| item.get(method));
            operations.flat_map(|operation| operation["responses"].as_object().unwrap().values())
        });
        shared.chain(own).collect()
    }

    /// Every parameter, where it is used.
    pub fn all_parameters(&self) -> Vec<&Value> {
        let items = self.0["paths"].as_object().unwrap().values();
        let operations = items.clone().flat_map(|item| METHODS.iter().filter_map(|method| item.get(method)));
        let lists = items.chain(operations).filter_map(|holder| holder["parameters"].as_array());
        lists.flatten().map(|parameter| self.at(parameter)).collect()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The texts of a parameter's example: several of a list, none where it is left out.
fn examples_of(parameter: &Value) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match &parameter["example"] {
        Value::Null => {
            assert_ne!(parameter["required"], true, "{} is required, and has no example", parameter["name"]);
            Vec::new()
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        value => vec![plain(value)],
    }
}
