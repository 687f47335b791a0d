//! The frozen layer as it is in memory, held against what was written down.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use abi_stable::{StableAbi, type_layout::TypeLayout};

use super::DriverModule_Ref;

/// All types of this crate that are reachable from the root module: size, alignment, fields in
/// their order, and the signatures of functions. Types of `abi_stable` itself are fixed by its exact
/// version.
fn describe(layout: &'static TypeLayout, seen: &mut BTreeSet<usize>, blocks: &mut Vec<String>) {
    if !seen.insert(std::ptr::from_ref(layout).addr()) {
        return;
    }
    let fields = layout.get_fields().into_iter().flat_map(|fields| fields.iter());
    let fields: Vec<_> = fields.chain(layout.phantom_fields().iter()).collect();
    let (name, size, alignment) = (layout.full_type(), layout.size(), layout.alignment());
    let mut block = format!("{name}: {size} bytes, aligned to {alignment}\n");
    let mut parts = Vec::new();
    for field in fields {
        write!(block, "    {}: {}", field.name(), shape(field.layout(), 3)).unwrap();
        parts.push(field.layout());
        for function in field.function_range().iter() {
            let given: Vec<_> = function.param_type_layouts.iter().map(|part| part()).collect();
            let shapes: Vec<String> = given.iter().map(|part| shape(part, 3)).collect();
            let answer = function.return_type_layout().map(|part| part());
            let answer_shape = answer.map_or_else(|| "()".to_owned(), |part| shape(part, 3));
            write!(block, " = fn({}) -> {answer_shape}", shapes.join(", ")).unwrap();
            parts.extend(given.into_iter().chain(answer));
        }
        block.push('\n');
    }
    let is_ours = layout.package().as_str() == env!("CARGO_PKG_NAME");
    if is_ours && !blocks.contains(&block) {
        blocks.push(block);
    }
    for part in parts {
        describe(part, seen, blocks);
    }
}

/// A type with what it is made of, where its name does not tell.
fn shape(layout: &'static TypeLayout, depth: usize) -> String {
    let name = layout.full_type().to_string();
    let is_made_of = ["RResult", "ROption", "Tuple2", "RVec", "RSlice"];
    if depth == 0 || !is_made_of.iter().any(|it| name.starts_with(it)) {
        return name;
    }
    let fields = layout.get_fields().into_iter().flat_map(|fields| fields.iter());
    let fields = fields.chain(layout.phantom_fields().iter());
    let parts: Vec<String> = fields.map(|field| shape(field.layout(), depth - 1)).collect();
    format!("{name}[{}]", parts.join(", "))
}

#[test]
fn the_frozen_layer_is_what_was_written_down() {
    let mut blocks = Vec::new();
    describe(<DriverModule_Ref as StableAbi>::LAYOUT, &mut BTreeSet::new(), &mut blocks);
    let text = blocks.join("\n");
    for part in ["DriverModule", "AbiMiner", "AbiHost", "AbiError", "is_healthy", "storage_put"] {
        assert!(text.contains(part), "{part} is not reached:\n{text}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi-layout.txt");
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "the frozen layer changed. Drivers that were compiled before may not load any more: read \
         STABILITY.md. If it only grew as that page allows, write this to {}:\n{text}",
        path.display()
    );
}
