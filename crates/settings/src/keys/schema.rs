//! The list of keys as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::{KeyRow, Kind, Section};

/// Returns the JSON Schema (draft 2020-12) of a configuration.
pub fn schema() -> String {
    let mut root = section(Section::Top);
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!("llm-proxy configuration"));
    root.insert("required".into(), json!(["providers"]));
    let mut provider = section(Section::Provider);
    provider.insert("required".into(), json!(["name"]));
    let bare = section(Section::Provider);
    root.insert("$defs".into(), json!({ "provider": provider, "unnamed_provider": bare }));
    format!("{:#}\n", Value::Object(root))
}

fn section(section: Section) -> Map<String, Value> {
    let rows = section.rows().iter().map(|row| (row.key.to_owned(), described(row)));
    let properties: Map<String, Value> = rows.collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), Value::Object(properties));
    object
}

fn described(row: &KeyRow) -> Value {
    let mut value = kind(row.kind);
    if let Value::Object(map) = &mut value {
        map.insert("description".into(), json!(row.doc));
        if !row.default.is_empty() {
            map.insert("default".into(), default(row));
        }
    }
    value
}

fn default(row: &KeyRow) -> Value {
    if matches!(row.kind, Kind::Integer { .. } | Kind::Switch) {
        return serde_json::from_str(row.default).unwrap_or_default();
    }
    json!(row.default)
}

/// A value, or a text with a variable that stands for it.
fn or_variable(value: &Value) -> Value {
    json!({ "anyOf": [value, { "type": "string", "pattern": "\\$\\{" }] })
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
        ] }),
        Kind::Switch => or_variable(&json!({ "type": "boolean" })),
        Kind::Integer { least, most } => {
            or_variable(&json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Kind::Duration { .. } => json!({ "anyOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9.]+ *(ms|s|m|h|d)?$|\\$\\{" },
        ] }),
        Kind::OptionalDuration { .. } => json!({ "anyOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": "^off$|^[0-9.]+ *(ms|s|m|h|d)?$|\\$\\{" },
            { "const": false },
        ] }),
        Kind::Size { .. } => json!({ "anyOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9.]+ *([kKmMgG]([iI]?[bB])?|[bB])?$|\\$\\{" },
        ] }),
        Kind::OneOf(words) => or_variable(&json!({ "enum": words })),
        Kind::SomeOf(words) => {
            let word = or_variable(&json!({ "enum": words }));
            json!({ "anyOf": [word, { "type": "array", "items": word }] })
        }
        Kind::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Section(inner) => Value::Object(section(inner)),
        Kind::Providers => json!({ "type": "array", "minItems": 1, "items": { "anyOf": [
            { "type": "string" },
            { "$ref": "#/$defs/provider" },
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": { "$ref": "#/$defs/unnamed_provider" },
            },
        ] } }),
        Kind::Chains => json!({
            "type": "object",
            "additionalProperties": self::kind(Kind::Texts),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_json_and_knows_every_key() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        for row in Section::Provider.rows() {
            assert!(schema["$defs"]["provider"]["properties"][row.key].is_object(), "{}", row.key);
        }
        let rotation = &schema["properties"]["rotation"];
        assert_eq!(rotation["properties"]["max_wait"]["default"], "10s");
        assert_eq!(rotation["additionalProperties"], false);
        let lacks = &schema["$defs"]["provider"]["properties"]["lacks"]["anyOf"];
        assert_eq!(lacks[0], lacks[1]["items"]);
        assert_eq!(lacks[0]["anyOf"][0]["enum"][0], "images");
        assert_eq!(schema["properties"]["server"]["properties"]["port"]["default"], 8000);
    }
}
