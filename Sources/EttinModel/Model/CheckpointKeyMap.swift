public import Torch

/// The names under which checkpoint files store a model's tensors.
///
/// The encoder's file names are our own. The decoder's call the head of a language model `lm_head` and store the three
/// projections of attention apart. Files of a trunk alone lack the prefix `model.`.
public enum CheckpointKeyMap {
    private static let fused = "attn.Wqkv."
    private static let parts = ["attn.q_proj.", "attn.k_proj.", "attn.v_proj."]

    private static let trunkParts = ["embeddings.", "layers.", "final_norm."]
    private static let headParts = ["head.", "lm_head.", "decoder.", "classifier."]

    /// The state of a model under the names of its kind's checkpoint files.
    ///
    /// - Parameters:
    ///   - state: The model's parameters.
    ///   - kind: Encoder or decoder.
    ///   - head: What the model has besides the trunk.
    /// - Returns: The tensors to store.
    public static func exported(
        _ state: StateDictionary,
        for kind: ModelKind,
        head: HeadNaming = .languageModel
    ) -> StateDictionary {
        guard kind == .decoder else { return state }
        return state.flatMap { key, tensor -> StateDictionary in
            guard let (prefix, suffix) = split(key, at: fused) else {
                return [(head == .languageModel ? renamed(key, "head.", "lm_head.") : key, tensor)]
            }
            return zip(parts, tensor.split(into: 3, along: 0)).map { (prefix + $0 + suffix, $1.contiguous()) }
        }
    }

    /// The state in a checkpoint file of either kind, under our own names.
    ///
    /// Incomplete triples of projections keep their names, so that the strict load reports them. For a trunk the
    /// tensors of any head are left out.
    ///
    /// - Parameters:
    ///   - state: The tensors of a file, of a model with a head or of a trunk alone.
    ///   - head: What the model to be loaded has besides the trunk.
    /// - Returns: The tensors by the model's own keys.
    public static func imported(_ state: StateDictionary, for head: HeadNaming = .languageModel) -> StateDictionary {
        let state = withoutOuterPrefix(state)
        let isTrunkAlone = !state.contains { $0.key.hasPrefix("model.") }
        return joined(state).compactMap { key, tensor in
            switch head {
            case .none:
                if headParts.contains(where: key.hasPrefix) { return nil }
                return (renamed(key, "model.", ""), tensor)
            case .languageModel, .classifier:
                if isTrunkAlone, trunkParts.contains(where: key.hasPrefix) { return ("model." + key, tensor) }
                return (head == .languageModel ? renamed(key, "lm_head.", "head.") : key, tensor)
            }
        }
    }

    /// The tensors of a model that was saved as the attribute `model` of another, which transformers reads too.
    private static func withoutOuterPrefix(_ state: StateDictionary) -> StateDictionary {
        guard state.contains(where: { $0.key.hasPrefix("model.model.") }) else { return state }
        guard state.allSatisfy({ $0.key.hasPrefix("model.") }) else { return state }
        return state.map { (renamed($0.key, "model.", ""), $0.tensor) }
    }

    /// What wrappers of a model have put into the names of its tensors; nil when there is nothing of the kind.
    ///
    /// - Parameter names: The names in a file.
    /// - Returns: Such as `module.` of data-parallel and `_orig_mod.` of compiled models, or what all names begin with.
    static func wrapper(of names: [String]) -> String? {
        for segment in ["_orig_mod", "module"] {
            if names.contains(where: { $0.split(separator: ".").contains { $0 == segment } }) { return segment + "." }
        }
        guard let first = names.first else { return nil }
        let known = trunkParts + headParts
        var prefix = ""
        for part in first.split(separator: ".").dropLast() {
            prefix += part + "."
            guard names.allSatisfy({ $0.hasPrefix(prefix) }) else { return nil }
            let rest = names.map { $0.dropFirst(prefix.count) }
            let isModel = rest.allSatisfy { name in
                known.contains { name.hasPrefix($0) || name.hasPrefix("model." + $0) }
            }
            if isModel { return prefix == "model." ? nil : prefix }
        }
        return nil
    }

    /// The projections of attention, stored apart, as one matrix.
    private static func joined(_ state: StateDictionary) -> StateDictionary {
        let tensors = [String: Tensor](state.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        return state.compactMap { key, tensor -> (key: String, tensor: Tensor)? in
            for (index, part) in parts.enumerated() {
                guard let (prefix, suffix) = split(key, at: part) else { continue }
                let triple = parts.compactMap { tensors[prefix + $0 + suffix] }
                let shape = triple[0].shape
                guard triple.count == 3, !shape.isEmpty, triple.allSatisfy({ $0.shape == shape }) else {
                    return (key, tensor)
                }
                return index == 0 ? (prefix + fused + suffix, Tensor.concatenate(triple)) : nil
            }
            return (key, tensor)
        }
    }

    private static func renamed(_ key: String, _ old: String, _ new: String) -> String {
        key.hasPrefix(old) ? new + key.dropFirst(old.count) : key
    }

    /// The texts before and after the first occurrence of `part`.
    private static func split(_ key: String, at part: String) -> (prefix: String, suffix: String)? {
        let (bytes, pattern) = (Array(key.utf8), Array(part.utf8))
        guard bytes.count >= pattern.count else { return nil }
        let starts = 0...(bytes.count - pattern.count)
        guard let start = starts.first(where: { bytes[$0...].starts(with: pattern) }) else { return nil }
        return (
            String(decoding: bytes[..<start], as: UTF8.self),
            String(decoding: bytes[(start + pattern.count)...], as: UTF8.self)
        )
    }
}
