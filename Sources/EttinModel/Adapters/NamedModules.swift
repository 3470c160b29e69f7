import Torch

/// The modules of a model by the names that transformers gives them, which PEFT's files have.
struct NamedModules {
    /// A module, or the part of one that is a module in transformers.
    struct Entry {
        /// The name in transformers, such as `model.layers.0.attn.q_proj`.
        let name: String
        /// The key of the module in our model.
        let key: String
        /// The layer; nil for modules of other kinds.
        let layer: Linear?
        /// The rows that it is of the layer; nil for all.
        let rows: Range<Int>?
        /// Where an adapter on it is attached, below the key.
        let attachment: String
    }

    /// All modules, in order of declaration.
    let entries: [Entry]

    /// Lists the modules of a model.
    ///
    /// - Parameter model: A model with or without a head.
    init(_ model: some PretrainedModel) {
        let isDecoder = model.configuration.kind == .decoder
        let namesHead = isDecoder && type(of: model).headNaming == .languageModel
        entries = model.modules().flatMap { key, module -> [Entry] in
            guard !key.isEmpty, !(module is any Adapter) else { return [] }
            let isHead = key == "head" || key.hasPrefix("head.")
            let name = namesHead && isHead ? "lm_" + key : key
            guard isDecoder, let layer = module as? Linear, let path = Self.path(of: name, before: "Wqkv") else {
                return [Entry(name: name, key: key, layer: module as? Linear, rows: nil, attachment: "lora")]
            }
            let width = layer.outputSize / 3
            return ["q", "k", "v"].enumerated().map { index, part in
                Entry(
                    name: path + part + "_proj",
                    key: key,
                    layer: layer,
                    rows: index * width..<(index + 1) * width,
                    attachment: "lora." + part
                )
            }
        }
    }

    private static func path(of name: String, before last: String) -> String? {
        name.hasSuffix("." + last) ? String(name.dropLast(last.count)) : nil
    }

    /// The names of linear layers, without where they are.
    var layerNames: [String] {
        var names: [String] = []
        for entry in entries where entry.layer != nil {
            let last = entry.name.split(separator: ".").last.map(String.init) ?? entry.name
            if !names.contains(last) { names.append(last) }
        }
        return names
    }
}
