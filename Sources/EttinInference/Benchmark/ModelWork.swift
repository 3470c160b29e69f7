package import EttinModel

/// The floating-point operations of a computation, counted from the shape of the model.
package struct ModelWork: Sendable, Hashable {
    /// Of the linear layers: two for each of their weights and each row.
    package var denseOperations: Double
    /// Of attention: four for each pair of a query and a key that it sees, and each component.
    package var attentionOperations: Double

    /// The work of the trunk on some sequences.
    ///
    /// - Parameters:
    ///   - lengths: The number of tokens of each sequence.
    ///   - configuration: The model.
    /// - Returns: The operations of one pass.
    package static func encoding(lengths: [Int], _ configuration: ModernBERTConfiguration) -> ModelWork {
        let tokens = Double(lengths.reduce(0, +))
        var pairs = 0.0
        for layer in 0..<configuration.layerCount {
            let window = configuration.window(layer: layer)
            for length in lengths { pairs += visiblePairs(length, window) }
        }
        return ModelWork(
            denseOperations: 2 * trunkWeights(configuration) * tokens,
            attentionOperations: 4 * Double(configuration.hiddenSize) * pairs
        )
    }

    /// The work of continuing prompts with a cache: each token passes the trunk once, and the head runs for each new one.
    ///
    /// - Parameters:
    ///   - sequences: The number of prompts.
    ///   - promptLength: The tokens of each.
    ///   - newTokens: The tokens added to each, at least one; the last of them does not pass the trunk.
    ///   - configuration: The model.
    /// - Returns: The operations of all steps.
    package static func generating(
        sequences: Int,
        promptLength: Int,
        newTokens: Int,
        _ configuration: ModernBERTConfiguration
    ) -> ModelWork {
        let lengths = [Int](repeating: promptLength + newTokens - 1, count: sequences)
        var work = encoding(lengths: lengths, configuration)
        let width = Double(configuration.hiddenSize)
        let headWeights = width * width + Double(configuration.vocabularySize) * width
        work.denseOperations += 2 * headWeights * Double(sequences * newTokens)
        return work
    }

    /// The shapes of the trunk's linear layers.
    static func linearShapes(_ configuration: ModernBERTConfiguration) -> [(inputs: Int, outputs: Int)] {
        let (width, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        return [(width, 3 * width), (width, width), (width, 2 * inner), (inner, width)]
    }

    private static func trunkWeights(_ configuration: ModernBERTConfiguration) -> Double {
        let layer = linearShapes(configuration).map { Double($0.inputs) * Double($0.outputs) }.reduce(0, +)
        return Double(configuration.layerCount) * layer
    }

    /// The number of (query, key) pairs within the window of one sequence.
    static func visiblePairs(_ length: Int, _ window: LayerWindow) -> Double {
        let count = Double(length)
        /// How many keys on one side all queries see together, at most `reach` each.
        func side(_ reach: Int?) -> Double {
            let reach = min(Double(reach ?? length), max(0, count - 1))
            return reach * (reach + 1) / 2 + max(0, count - 1 - reach) * reach
        }
        return count + side(window.left) + side(window.right)
    }
}
