package import EttinModel
package import Torch

/// What a benchmark measures.
package enum BenchmarkTask: String, Sendable, Hashable, CaseIterable {
    /// The trunk's final hidden states.
    case encode
    /// Greedy continuation of prompts by a decoder.
    case generate
}

/// A model with nothing around it: token ids in, hidden states or token ids out.
///
/// Not `Sendable`: use one from one thread at a time.
package final class BenchmarkModel {
    private enum Content {
        case trunk(ModernBERT)
        case language(LanguageModel)
    }

    private let content: Content
    private let isQuantized: Bool

    /// Loads what a task needs.
    ///
    /// - Parameters:
    ///   - folder: The model; `generate` needs a decoder with its head.
    ///   - task: What will be computed.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing or broken; ``InferenceError``
    ///   for an encoder that is to generate and for weights that give NaN.
    package init(folder: String, task: BenchmarkTask, options: ComputeOptions) throws {
        isQuantized = options.dtype == .int8
        let divergence = Divergence(folder: folder)
        switch task {
        case .encode:
            let trunk = try ModernBERT.load(folder: folder, dtype: options.parameterDType, device: options.device)
            _ = try options.widen(trunk)
            try options.prepare(trunk, divergence)
            content = .trunk(trunk)
        case .generate:
            try ModernBERTConfiguration(folder: folder).require(.decoder, folder: folder)
            let model = try LanguageModel.load(folder: folder, dtype: options.parameterDType, device: options.device)
            _ = try options.widen(model)
            try options.prepare(model, divergence)
            content = .language(model)
        }
        // Speed says nothing of a model that computes nothing.
        let state = try encode([[Int32(clamping: configuration.padTokenID ?? 0)]])
        let values: [Float] = try state.flatMap { try $0.to(.float32).array() }
        guard values.allSatisfy(\.isFinite) else { throw divergence.error("the hidden state of a token") }
    }

    /// What the model was built from.
    package var configuration: ModernBERTConfiguration { trunk.configuration }

    /// The type of the weights.
    package var dtype: DType { trunk.parameters.first?.tensor.dtype ?? .float32 }

    /// The type of the layers' products where libtorch has plain products of it; nil for int8.
    package var productDType: DType? { isQuantized ? nil : dtype }

    /// The device that holds the model.
    package var device: Device { trunk.parameters.first?.tensor.device ?? .cpu }

    private var trunk: ModernBERT {
        switch content {
        case .trunk(let trunk): trunk
        case .language(let model): model.model
        }
    }

    /// The final hidden states of some sequences, in order.
    ///
    /// - Parameters:
    ///   - sequences: Token ids.
    ///   - maxBatchTokens: How many tokens to compute at once; a longer sequence is a batch of its own.
    /// - Returns: `[length, hiddenSize]` for each sequence, computed when this returns.
    /// - Throws: `TorchError` when memory or device fails.
    package func encode(_ sequences: [[Int32]], maxBatchTokens: Int = .max) throws -> [Tensor] {
        try withRecovery {
            try withoutGradients {
                var states = [Tensor?](repeating: nil, count: sequences.count)
                for indices in LengthBatches.split(sequences.map(\.count), maxTokens: maxBatchTokens) {
                    let batch = PackedBatch(indices.map { sequences[$0] })
                    let hidden = trunk(batch)
                    for (place, index) in indices.enumerated() {
                        let rows = batch.range(of: place)
                        states[index] = hidden.narrowed(along: 0, from: rows.lowerBound, count: rows.count)
                    }
                }
                // A device may still be computing; reading one value waits for it.
                _ = try states.last??.reshaped(-1).narrowed(along: 0, from: 0, count: 1).scalar()
                return states.compactMap(\.self)
            }
        }
    }

    /// Generates greedily, whatever the token is.
    ///
    /// - Parameters:
    ///   - prompts: Token ids, none empty.
    ///   - newTokens: How many tokens to add to each.
    /// - Returns: The new tokens of each prompt.
    /// - Throws: `TorchError` when memory or device fails.
    package func generate(_ prompts: [[Int32]], newTokens: Int) throws -> [[Int32]] {
        guard case .language(let model) = content else {
            preconditionFailure("generate: the model was loaded for another task")
        }
        return try withRecovery {
            try withoutGradients {
                let cache = KVCache(for: model.model)
                let sequences = prompts.map { _ in cache.join() }
                var results = [[Int32]](repeating: [], count: prompts.count)
                var tokens = prompts
                for _ in 0..<newTokens {
                    let batch = CachedBatch(sequences, tokens: tokens)
                    let logits = try model.nextTokenLogits(batch, cache: cache)
                    let ids = try logits.argmax(along: 1).array(of: Int64.self).map(Int32.init)
                    for (index, id) in ids.enumerated() { results[index].append(id) }
                    tokens = ids.map { [$0] }
                }
                return results
            }
        }
    }
}
