//! The types of properties that a plugin sets, by `declare_property` of Envoy, so that expressions
//! can read them.

use crate::foreign::call;

/// How expressions read it.
#[derive(Clone, Copy)]
pub enum Type {
    Text,
    /// A serialized `google.protobuf.Struct`.
    Struct,
}

/// To be called when the plugin is configured. A host that has it already takes no second one.
pub fn declare(name: &str, kind: Type) {
    let (number, schema) = match kind {
        Type::Text => (1, ""),
        Type::Struct => (3, "type.googleapis.com/google.protobuf.Struct"),
    };
    let mut message = Vec::new();
    field(&mut message, 1, name);
    message.extend([3 << 3, number]);
    field(&mut message, 4, schema);
    let _ = call("declare_property", &message);
}

/// Of fewer than 128 bytes.
fn field(message: &mut Vec<u8>, number: u8, text: &str) {
    message.extend([number << 3 | 2, text.len() as u8]);
    message.extend(text.as_bytes());
}
