package import EttinInference
package import EttinModel

/// The vectors of a pipeline in batches of a given size; truncated texts are counted.
package final class CountedVectors: TextVectors {
    private let pipeline: TextEmbeddingPipeline
    private let maxBatchTokens: Int
    /// The number of texts that were truncated so far.
    private(set) var truncatedTexts = 0

    /// Wraps a pipeline.
    ///
    /// - Parameters:
    ///   - pipeline: What computes.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    package init(pipeline: TextEmbeddingPipeline, maxBatchTokens: Int) {
        self.pipeline = pipeline
        self.maxBatchTokens = maxBatchTokens
    }

    package var similarity: EmbeddingSimilarity { pipeline.similarity }
    package var modelName: String { pipeline.modelName }

    package func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings {
        let vectors = try pipeline.encode(
            texts,
            prompt: prompt,
            task: role,
            normalize: normalize,
            truncateDimension: truncateDimension,
            overlong: pipeline.truncatesLeft(role) ? .keepEnd : .keepStart,
            maxBatchTokens: maxBatchTokens
        )
        truncatedTexts += vectors.isTruncated.count { $0 }
        return vectors
    }
}
