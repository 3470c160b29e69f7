import EttinFiles
package import Torch

extension TensorStore {
    private static let outputMatrix = "decoder.weight"
    private static let embedding = "embeddings.tok_embeddings.weight"

    /// The tensors of a model under our own names.
    ///
    /// A checkpoint decides whether its output matrix is the embedding, as in transformers 5: `config.json` says so of
    /// checkpoints that hold no matrix of their own. One that repeats the embedding, as some writers store it, is left
    /// out; one that stands for both is taken for both.
    ///
    /// - Parameters:
    ///   - head: What the model has besides the trunk.
    ///   - configuration: The configuration; untied where the checkpoint has an output matrix of its own.
    ///   - needsHead: Whether a language model's head must be there.
    ///   - adapter: An adapter to merge; nil for none.
    /// - Returns: The tensors by the model's own keys.
    /// - Throws: `CheckpointError` for values that cannot be read, names of a wrapped model, a missing head, and an adapter
    ///   of another model.
    package func state(
        for head: HeadNaming,
        of configuration: inout ModernBERTConfiguration,
        needsHead: Bool = true,
        adapter: StoredAdapter? = nil
    ) throws -> StateDictionary {
        try requireUnwrappedNames()
        let stored = try stateDictionary()
        let adapted = try adapter?.merged(into: stored) ?? stored
        var state = CheckpointKeyMap.imported(adapted, for: head)
        guard head == .languageModel else {
            if configuration.tiesWordEmbeddings { state.removeAll { $0.key == Self.outputMatrix } }
            return state
        }
        if needsHead { try requireHead(state) }
        guard configuration.tiesWordEmbeddings, let output = state.firstIndex(where: { $0.key == Self.outputMatrix })
        else { return state }
        if !state.contains(where: { $0.key == "model." + Self.embedding }) {
            state[output].key = "model." + Self.embedding
        } else if try adapter?.ownsOutputMatrix(in: state) ?? ownsOutputMatrix() {
            configuration.tiesWordEmbeddings = false
        } else {
            state.remove(at: output)
        }
        return state
    }

    /// Whether there is an output matrix besides an embedding with other values.
    package func ownsOutputMatrix() throws -> Bool {
        guard let output = names.first(where: { $0 == Self.outputMatrix || $0 == "model." + Self.outputMatrix }),
            let embedding = names.first(where: { $0.hasSuffix(Self.embedding) })
        else { return false }
        guard let one = descriptor(output), let other = descriptor(embedding) else { return false }
        guard one.dtype == other.dtype, one.shape == other.shape else { return true }
        return try !bytes(output).hasSameValues(as: bytes(embedding))
    }

    private func requireHead(_ state: StateDictionary) throws {
        guard !state.contains(where: { $0.key.hasPrefix("head.") || $0.key.hasPrefix("decoder.") }) else { return }
        let hasTrunk = state.contains { $0.key.hasPrefix("model.") }
        guard hasTrunk else { return }
        throw CheckpointError(
            .unsupported,
            file: form?.rawValue ?? files.first ?? "the checkpoint",
            found: "holds a transformer without a language-model head",
            expected:
                "a masked or causal language model, with the tensors \(listing(["head.dense.weight", "decoder.bias"]))"
        )
    }

    /// Refuses names as a model has them inside a wrapper, of which transformers would load none.
    private func requireUnwrappedNames() throws {
        guard let wrapper = CheckpointKeyMap.wrapper(of: names) else { return }
        throw CheckpointError(
            .unsupported,
            file: form?.rawValue ?? files.first ?? "the checkpoint",
            found: "holds the tensors of a wrapped model, whose names have \(quoted(wrapper)) in them",
            expected: "names as save_pretrained of the model inside writes them; remove \(quoted(wrapper)) from each"
        )
    }
}
