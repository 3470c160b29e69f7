import EttinFiles
import EttinModel

/// The weights of a training state under our names.
///
/// | Composer | here |
/// |---|---|
/// | `model.bert.encoder.layers.0.mlp.Wi.weight` | `model.layers.0.mlp.Wi.weight` |
/// | `model.bert.embeddings.…`, `model.bert.final_norm.…` | `model.embeddings.…`, `model.final_norm.…` |
/// | `model.head.…` (encoder), `model.lm_head.…` (decoder) | `head.…` |
/// | `model.decoder.…` | `decoder.…` |
struct ComposerWeights {
    let kind: ModelKind
    /// The weights in the order of the model.
    let tensors: [(key: String, tensor: PickledTensor)]
    /// Whether the output matrix is the embedding's memory under a second name.
    let isTied: Bool
    /// The names of tensors that are no weights, such as those of metrics.
    let ignored: [String]

    init(_ values: ComposerValues) throws {
        let path = values.archive.path
        let model = try values.required("model", of: values.state, "state")
        guard let entries = model.entries else {
            throw values.problem("state.model", "is \(model.kind)", "a dictionary of tensors")
        }
        var tensors: [(key: String, tensor: PickledTensor)] = []
        var ignored: [String] = []
        var problems: [CheckpointError.Problem] = []
        var kinds: Set<ModelKind> = []
        var places: [ExactName: Int] = [:]
        for entry in entries {
            guard let name = entry.key.string else {
                throw values.problem("state.model", "has a key that is \(entry.key.kind)", "names of tensors")
            }
            guard let key = Self.key(of: name) else {
                ignored.append(name)
                continue
            }
            let item = "state.model \(quoted(name))"
            guard case .tensor(let tensor) = entry.value else {
                let found = "is \(entry.value.kind)"
                problems.append(.init(.unsupported, file: path, item: item, found: found, expected: "a tensor"))
                continue
            }
            if key.hasPrefix("head.") { kinds.insert(name.contains("lm_head.") ? .decoder : .encoder) }
            guard places.updateValue(tensors.count, forKey: ExactName(key)) == nil else {
                problems.append(.init(.malformed, file: path, item: item, found: "is present twice, also as \(key)"))
                continue
            }
            tensors.append((key, tensor))
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        guard let kind = kinds.first, kinds.count == 1 else {
            throw CheckpointError(
                .missing,
                file: path,
                item: "state.model",
                found: kinds.isEmpty ? "has no head" : "has two heads",
                expected: "model.head.… of an encoder or model.lm_head.… of a decoder"
            )
        }
        self.kind = kind
        let embedding = places[ExactName("model.embeddings.tok_embeddings.weight")].map { tensors[$0].tensor }
        let output = places[ExactName("decoder.weight")].map { tensors[$0].tensor }
        isTied = output.map { $0 == embedding } ?? true
        if isTied { tensors.removeAll { $0.key == "decoder.weight" } }
        (self.tensors, self.ignored) = (tensors, ignored)
    }

    /// Our name of a weight; nil for what is not a weight of the model.
    static func key(of name: String) -> String? {
        // Compiled and distributed models have segments of their own in the names.
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).filter {
            $0 != "module" && $0 != "_orig_mod"
        }
        guard parts.count > 2, parts[0] == "model" else { return nil }
        var rest = parts.dropFirst()
        switch rest.first {
        case "bert":
            rest = rest.dropFirst()
            if rest.first == "encoder" { rest = rest.dropFirst() }
            return (["model"] + rest).joined(separator: ".")
        case "lm_head": return (["head"] + rest.dropFirst()).joined(separator: ".")
        default: return rest.joined(separator: ".")
        }
    }
}
