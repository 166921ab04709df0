//! CloudFormation's intrinsic functions, as far as the template uses them: parameters, conditions and pseudo
//! parameters are evaluated, references to resources are left in one canonical form for the model to read.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use serde_yaml_ng::Value as Yaml;

use super::TemplateError;

/// Marks what `AWS::NoValue` removes.
const NO_VALUE: &str = "AWS::NoValue";

/// Parameters and conditions of one template, with the values that they have on this machine.
pub(super) struct Scope<'a> {
    parameters: BTreeMap<String, String>,
    conditions: &'a Map<String, Json>,
}

impl<'a> Scope<'a> {
    /// `parameters` must hold every parameter and pseudo parameter that the template refers to.
    pub(super) fn new(parameters: BTreeMap<String, String>, conditions: &'a Map<String, Json>) -> Self {
        Self { parameters, conditions }
    }

    /// Evaluates a value. What refers to a resource comes back as `{"Ref": id}`, `{"Fn::GetAtt": [id, attribute]}` or,
    /// inside text, as `{"Fn::Join": ["", [..]]}`; a map entry or list element that is `AWS::NoValue` is gone.
    pub(super) fn evaluate(&self, value: &Json) -> Result<Json, TemplateError> {
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(value.clone()),
            Json::Array(items) => {
                let mut kept = Vec::with_capacity(items.len());
                for item in items {
                    let item = self.evaluate(item)?;
                    if !is_no_value(&item) {
                        kept.push(item);
                    }
                }
                Ok(Json::Array(kept))
            }
            Json::Object(map) => match single(map) {
                Some(("Ref", Json::String(name))) => Ok(self.reference(name)),
                Some(("Fn::GetAtt", _)) => Ok(value.clone()),
                Some(("Fn::Sub", Json::String(text))) => self.substitute(text),
                Some(("Fn::If", Json::Array(arms))) => match arms.as_slice() {
                    [Json::String(condition), yes, no] => {
                        self.evaluate(if self.condition(condition)? { yes } else { no })
                    }
                    _ => Err(TemplateError::Intrinsic("Fn::If needs a condition and two values".to_owned())),
                },
                Some((name, _)) if name.starts_with("Fn::") => {
                    Err(TemplateError::Intrinsic(format!("{name} is not emulated")))
                }
                _ => {
                    let mut kept = Map::new();
                    for (key, item) in map {
                        let item = self.evaluate(item)?;
                        if !is_no_value(&item) {
                            kept.insert(key.clone(), item);
                        }
                    }
                    Ok(Json::Object(kept))
                }
            },
        }
    }

    fn reference(&self, name: &str) -> Json {
        self.parameters.get(name).map_or_else(|| json!({ "Ref": name }), |value| Json::String(value.clone()))
    }

    fn substitute(&self, text: &str) -> Result<Json, TemplateError> {
        let mut parts: Vec<Json> = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            plain.push_str(&rest[..start]);
            let name_and_rest = &rest[start + 2..];
            let end = name_and_rest
                .find('}')
                .ok_or_else(|| TemplateError::Intrinsic(format!("Fn::Sub without a closing brace: {text}")))?;
            let name = &name_and_rest[..end];
            rest = &name_and_rest[end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                plain.push_str("${");
                plain.push_str(literal);
                plain.push('}');
                continue;
            }
            match self.parameters.get(name) {
                Some(value) => plain.push_str(value),
                None => {
                    parts.push(Json::String(std::mem::take(&mut plain)));
                    parts.push(match name.split_once('.') {
                        Some((id, attribute)) => json!({ "Fn::GetAtt": [id, attribute] }),
                        None => json!({ "Ref": name }),
                    });
                }
            }
        }
        plain.push_str(rest);
        if parts.is_empty() {
            return Ok(Json::String(plain));
        }
        parts.push(Json::String(plain));
        Ok(json!({ "Fn::Join": ["", parts] }))
    }

    /// Whether a condition holds.
    pub(super) fn condition(&self, name: &str) -> Result<bool, TemplateError> {
        let body =
            self.conditions.get(name).ok_or_else(|| TemplateError::Intrinsic(format!("no condition named {name}")))?;
        self.holds(body)
    }

    fn holds(&self, body: &Json) -> Result<bool, TemplateError> {
        let unknown = || TemplateError::Intrinsic(format!("not a condition: {body}"));
        let map = body.as_object().ok_or_else(unknown)?;
        match single(map) {
            Some(("Condition", Json::String(name))) => self.condition(name),
            Some(("Fn::Equals", Json::Array(sides))) => match sides.as_slice() {
                [left, right] => Ok(scalar(&self.evaluate(left)?) == scalar(&self.evaluate(right)?)),
                _ => Err(unknown()),
            },
            Some(("Fn::Not", Json::Array(items))) => match items.as_slice() {
                [item] => Ok(!self.holds(item)?),
                _ => Err(unknown()),
            },
            Some(("Fn::And", Json::Array(items))) => {
                items.iter().try_fold(true, |all, item| Ok(all && self.holds(item)?))
            }
            Some(("Fn::Or", Json::Array(items))) => {
                items.iter().try_fold(false, |any, item| Ok(any || self.holds(item)?))
            }
            _ => Err(unknown()),
        }
    }
}

/// A YAML document as JSON, with the short forms of the intrinsic functions (`!Ref x`) written long.
pub(super) fn to_json(value: Yaml) -> Result<Json, TemplateError> {
    match value {
        Yaml::Null => Ok(Json::Null),
        Yaml::Bool(flag) => Ok(Json::Bool(flag)),
        Yaml::Number(number) => serde_json::to_value(number).map_err(TemplateError::Shape),
        Yaml::String(text) => Ok(Json::String(text)),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect::<Result<Vec<_>, _>>().map(Json::Array),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, item) in entries {
                let Yaml::String(key) = key else {
                    return Err(TemplateError::Intrinsic("a map key is not text".to_owned()));
                };
                map.insert(key, to_json(item)?);
            }
            Ok(Json::Object(map))
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let value = to_json(tagged.value)?;
            Ok(match (tag, value) {
                ("Ref" | "Condition", value) => json!({ tag: value }),
                ("GetAtt", Json::String(path)) => match path.split_once('.') {
                    Some((id, attribute)) => json!({ "Fn::GetAtt": [id, attribute] }),
                    None => return Err(TemplateError::Intrinsic(format!("!GetAtt without an attribute: {path}"))),
                },
                (name, value) => json!({ format!("Fn::{name}"): value }),
            })
        }
    }
}

fn single(map: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Some((key.as_str(), value)),
        _ => None,
    }
}

fn is_no_value(value: &Json) -> bool {
    value.as_object().and_then(single).is_some_and(|(key, name)| key == "Ref" && name == NO_VALUE)
}

fn scalar(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn evaluated(yaml: &str) -> Result<Json, TemplateError> {
        let conditions = to_json(
            serde_yaml_ng::from_str(
                "Warm: !Not [!Equals [!Ref Units, 0]]\nCold: !Or [!Equals [!Ref Units, 0], !Condition Warm]\n",
            )
            .unwrap(),
        )
        .unwrap();
        let parameters = [("Stage", "local"), ("Units", "0")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let scope = Scope::new(parameters, conditions.as_object().unwrap());
        scope.evaluate(&to_json(serde_yaml_ng::from_str(yaml).unwrap())?)
    }

    #[test]
    fn a_parameter_becomes_its_value_and_a_resource_stays_a_reference() {
        assert_eq!(evaluated("[!Ref Stage, !Ref Table]").unwrap(), json!(["local", { "Ref": "Table" }]));
        assert_eq!(evaluated("!GetAtt Queue.Arn").unwrap(), json!({ "Fn::GetAtt": ["Queue", "Arn"] }));
    }

    #[test]
    fn text_is_substituted_and_keeps_its_references() {
        assert_eq!(evaluated("!Sub 'pushbell/${Stage}/${!x}'").unwrap(), json!("pushbell/local/${x}"));
        assert_eq!(
            evaluated("!Sub 'a-${Queue.Arn}-b'").unwrap(),
            json!({ "Fn::Join": ["", ["a-", { "Fn::GetAtt": ["Queue", "Arn"] }, "-b"]] })
        );
    }

    #[test]
    fn a_condition_picks_its_arm_and_no_value_removes_the_key() {
        assert_eq!(
            evaluated("{a: !If [Warm, 1, 2], b: !If [Warm, 1, !Ref 'AWS::NoValue']}").unwrap(),
            json!({ "a": 2 })
        );
        assert_eq!(evaluated("!If [Cold, yes, no]").unwrap(), json!("yes"));
    }

    #[test]
    fn a_function_that_is_not_emulated_is_an_error() {
        assert!(matches!(evaluated("!ImportValue x"), Err(TemplateError::Intrinsic(_))));
    }
}
