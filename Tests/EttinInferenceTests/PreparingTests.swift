import EttinInference
import EttinModel
import EttinTokenizer
import Testing

/// Preparing and computing as two steps, with an isolation boundary between them.
@Suite struct PreparingTests {
    static let texts = ["A cat sat.", "", "The quick brown fox jumps over the lazy dog.", "fox"]
    static let masked = ["A [MASK] sat.", "[MASK] and [MASK]", "The quick brown fox jumps over the [MASK] dog."]

    /// Compiles for values that may cross an isolation boundary only.
    private func onAnotherTask<Preparer: Sendable, Prepared: Sendable>(
        _ preparer: Preparer,
        _ prepare: @escaping @Sendable (Preparer) throws -> Prepared
    ) async throws -> Prepared {
        try await Task.detached { try prepare(preparer) }.value
    }

    @Test func theTokenizerMayCrossToo() async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let ids = try await onAnotherTask(checkpoint.tokenizer) { $0.encodeIDs("A cat sat.") }
        #expect(ids == checkpoint.tokenizer.encodeIDs("A cat sat."))
    }

    @Test(arguments: [TextEmbeddingPipeline.Prompt.default, .text("The dog: ")])
    func embeddingsOfPreparedTextsAreThoseOfTexts(prompt: TextEmbeddingPipeline.Prompt) async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let encoder = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        let prepared = try await onAnotherTask(encoder.preparer) { try $0.prepare(Self.texts, prompt: prompt) }
        let whole = try encoder.encode(Self.texts, prompt: prompt, normalize: true, maxBatchTokens: 12)
        #expect(try encoder.embeddings(of: prepared, normalize: true, maxBatchTokens: 12) == whole)
        // A queue computes what several requests prepared, in batches of its own.
        let queue = prepared + (try encoder.preparer.prepare(["A cat sat."], prompt: prompt))
        for batch in queue.batches(maxTokens: 12) {
            let vectors = try encoder.embeddings(of: batch.map { queue[$0] }, normalize: true)
            for (row, index) in batch.enumerated() {
                for (one, other) in zip(vectors[row], whole[index % Self.texts.count]) {
                    #expect(abs(one - other) < 1e-5)
                }
            }
        }
    }

    @Test func predictionsForPreparedTextsAreThoseForTexts() async throws {
        let fillMask = try TinyCheckpoint(.encoder).loaded { try FillMaskPipeline(folder: $0) }
        let prepared = try await onAnotherTask(fillMask.preparer) { try $0.prepare(Self.masked) }
        #expect(try fillMask.predictions(for: prepared, topK: 3) == fillMask(Self.masked, topK: 3))
        #expect {
            try fillMask.preparer.prepare(["fox", "[MASK]"])
        } throws: {
            "\($0)" == "text 1 has no mask; expected at least one [MASK]"
        }
    }

    @Test(arguments: [0, 0.9])
    func continuationsOfPreparedPromptsAreThoseOfPrompts(temperature: Double) async throws {
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        var options = GenerationOptions()
        options.maxNewTokens = 12
        options.temperature = temperature
        let prepared = try await onAnotherTask(generator.preparer) { try $0.prepare(Self.texts) }
        let results = try generator.generate(from: prepared, options: options, batchSize: 3)
        #expect(try results == generator.generate(Self.texts, options: options, batchSize: 3))
    }

    @Test func whatAnotherModelsPreparerMadeIsAnError() throws {
        let long = try TinyCheckpoint(.encoder).loaded { try TextEmbeddingPipeline(folder: $0) }.preparer.prepare(
            Self.texts
        )
        let short = try TinyCheckpoint(.encoder, positions: 8).loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect {
            try short.embeddings(of: long)
        } throws: {
            "\($0)".hasPrefix("text 3 has ") && "\($0)".contains("expected at most 8")
        }
        let fillMask = try TinyCheckpoint(.encoder).loaded { try FillMaskPipeline(folder: $0) }
        #expect {
            try fillMask.predictions(for: long)
        } throws: {
            "\($0)".hasPrefix("text 1 has no mask")
        }
    }

    @Test func aCancelledTaskComputesNoFurtherBatch() async throws {
        let generator = try TinyCheckpoint(.decoder).loaded { try TextGenerationPipeline(folder: $0) }
        var options = GenerationOptions()
        options.maxNewTokens = 20
        options.endTokenIDs = []
        var steps = 0
        #expect(throws: CancellationError.self) {
            try generator.generate(
                ["A cat"],
                options: options,
                shouldStop: {
                    steps += 1
                    return steps > 5
                }
            )
        }
        #expect(steps == 6)
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try TinyCheckpoint(.encoder).loaded { try TextEmbeddingPipeline(folder: $0) }.encode(Self.texts)
        }
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }
}
