import Torch

extension EmbeddingModel {
    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    package var dropsActivations: Bool { chain.dropsActivations }

    /// Computes with weights that are prepacked for inference on the CPU, which are given up afterwards.
    ///
    /// - Parameters:
    ///   - longestText: The number of tokens of the longest text.
    ///   - body: What computes vectors, without a dropout context.
    /// - Returns: What `body` returns.
    package func withPrepackedWeights<Result>(
        longestText: Int,
        _ body: () throws -> Result
    ) rethrows -> Result {
        try chain.withPrepackedWeights(longestText: longestText, body)
    }
}

extension ModuleChain {
    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    package var dropsActivations: Bool {
        allModules.contains { $0 is DropoutModule }
            || transformers.contains { $0.trunk.configuration.dropsActivations || $0.hasAdaptedLayers }
    }

    /// Computes with weights that are prepacked for inference on the CPU, which are given up afterwards.
    ///
    /// Vectors are those of a pass in float32 up to rounding.
    ///
    /// - Parameters:
    ///   - longestText: The number of tokens of the longest text.
    ///   - body: What computes vectors, without a dropout context.
    /// - Returns: What `body` returns; the weights stay as they are where they cannot be prepacked.
    package func withPrepackedWeights<Result>(
        longestText: Int,
        _ body: () throws -> Result
    ) rethrows -> Result {
        let trunks = transformers.map(\.trunk)
        guard let trunk = trunks.first, trunks.count == 1, trunk.parameterDType == .float32, trunk.device == .cpu else {
            return try body()
        }
        return try trunk.withPrepackedWeights(.float32, longestSequence: longestText, body)
    }
}

extension ModernBERTConfiguration {
    /// Whether a training pass of the trunk drops anything.
    var dropsActivations: Bool {
        [attentionDropout, attentionOutputDropout ?? 0, embeddingDropout, mlpDropout].contains { $0 > 0 }
    }
}

extension Module {
    /// Whether a layer has an adapter, which may have dropout of its own.
    var hasAdaptedLayers: Bool { modules().contains { ($0.module as? Linear)?.hasAdapters == true } }
}
