import EttinModel
import Foundation
import Synchronization
import TestSupport
import Testing
import Torch

@testable import EttinInference

/// Models that any number of tasks share.
@Suite(.timeLimit(.minutes(2))) struct ModelActorTests {
    /// The texts of one task: one, or some dozens, of several lengths.
    private static func texts(_ task: Int) -> [String] {
        let words = ["cat", "fox", "the sea", "Übung", "日本語", "dog", "jumps over", "once upon a time"]
        return (0..<(task % 8 == 0 ? 40 : 1 + task % 3)).map { text in
            (0..<(1 + (task * 7 + text * 3) % 12)).map { words[($0 + task + text) % words.count] }.joined(
                separator: " "
            )
        }
    }

    private static func url(_ checkpoint: TinyCheckpoint) -> URL { URL(filePath: checkpoint.folder.path) }

    private static func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
        a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
    }

    @Test func sixtyFourTasksGetTheVectorsOfSequentialCalls() async throws {
        let checkpoint = try TinyCheckpoint(.encoder, positions: 128)
        let pipeline = try TextEmbeddingPipeline(folder: checkpoint.folder.path)
        let encoder = try await TextEncoder(folder: Self.url(checkpoint), maxBatchTokens: 256)
        #expect(encoder.dimensions == pipeline.model.dimensions && encoder.notices == pipeline.notices)
        let found = try await withThrowingTaskGroup(of: (Int, TextEmbeddings).self) { group in
            for task in 0..<64 {
                group.addTask {
                    (task, try await encoder.encode(Self.texts(task), normalize: task % 2 == 0, truncateDimension: 16))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for task in 0..<64 {
            let expected = try pipeline.encode(Self.texts(task), normalize: task % 2 == 0, truncateDimension: 16)
            let embeddings = try #require(found[task])
            #expect(embeddings.dimensions == 16 && embeddings.isTruncated == expected.isTruncated)
            #expect(Self.largestDifference(embeddings.values, expected.values) < 1e-5)
        }
        let one = try await encoder.encode("A cat")
        #expect(Self.largestDifference(one, try pipeline.encode(["A cat"]).values) < 1e-6)
        #expect(try await encoder.encode([String]()) == pipeline.encode([]))
        // Any collection will do.
        #expect(try await encoder.encode(["a": "A cat"].values).values == one)
    }

    @Test func textsAreCountedOverTheWholeRequest() async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let encoder = try await TextEncoder(folder: Self.url(checkpoint))
        let texts = Array(repeating: "A cat", count: 1100) + [String(repeating: "fox ", count: 100)]
        let error = await #expect(throws: InferenceError.self) { try await encoder.encode(texts) }
        #expect("\(try #require(error))".hasPrefix("text 1101 has"))
        await #expect(throws: InferenceError.self) { try await encoder.encode(["A"], prompt: .named("query")) }
        await #expect(throws: InferenceError.self) { try await encoder.encode(["A"], truncateDimension: 0) }
        await #expect(throws: InferenceError.self) {
            try await TextEncoder(folder: Self.url(checkpoint), maxBatchTokens: 0)
        }
        await #expect(throws: CheckpointError.self) { try await TextEncoder(folder: URL(filePath: "/no such folder")) }
    }

    @Test func aCancelledTaskThrowsAtOnceAndFreesItsPlaces() async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let encoder = try await TextEncoder(folder: Self.url(checkpoint), maxBatchTokens: 64)
        let huge = Task {
            try await encoder.encode(Array(repeating: TinyCheckpoint.texts[0], count: 20_000))
        }
        while await encoder.isIdle { await Task.yield() }
        // Between its batches small requests are answered.
        for _ in 0..<3 { #expect(try await encoder.encode("A cat").count == encoder.dimensions) }
        huge.cancel()
        await #expect(throws: CancellationError.self) { try await huge.value }
        #expect(try await encoder.encode("A cat").count == encoder.dimensions)
        // Requests that are over leave before the next batch; nothing is left in the end.
        while await !encoder.isIdle { await Task.yield() }
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await encoder.encode(["A cat"])
        }
        await #expect(throws: CancellationError.self) { try await late.value }
    }

    // MARK: - Pairs, classes and spans

    /// A folder of a classifier with random weights.
    private static func classifier<Model: PretrainedModel>(_ type: Model.Type, labels: [String]) throws
        -> TinyCheckpoint
    {
        let checkpoint = try TinyCheckpoint(.encoder, positions: 128)
        var configuration = checkpoint.configuration
        configuration.labels = labels
        let model = Model(configuration, windowRule: .transformers)
        model.initialize(.transformers, seed: 3)
        try model.save(folder: checkpoint.folder.path)
        return checkpoint
    }

    @Test func sixtyFourTasksGetTheScoresOfSequentialCalls() async throws {
        let checkpoint = try Self.classifier(SequenceClassificationModel.self, labels: ["relevance"])
        let pipeline = try RerankingPipeline(folder: checkpoint.folder.path)
        let reranker = try await Reranker(folder: Self.url(checkpoint), maxBatchTokens: 256)
        let found = try await withThrowingTaskGroup(of: (Int, [RerankingPipeline.RankedDocument]).self) { group in
            for task in 0..<64 {
                let activation: Activation? = task % 3 == 0 ? .identity : nil
                group.addTask {
                    (task, try await reranker.rank("the sea", Self.texts(task), topK: 3, activation: activation))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for task in 0..<64 {
            let activation: Activation? = task % 3 == 0 ? .identity : nil
            let all = try pipeline.rank("the sea", Self.texts(task), activation: activation)
            let ranking = try #require(found[task])
            #expect(ranking.count == min(3, all.count))
            // Documents with the same text tie, up to rounding.
            for (hit, expected) in zip(ranking, all) { #expect(abs(hit.score - expected.score) < 1e-5) }
            for hit in ranking { #expect(hit.text == Self.texts(task)[hit.index]) }
        }
        #expect(try await reranker.rank("the sea", [String]()).isEmpty)
        await #expect(throws: InferenceError.self) { try await reranker.rank("the sea", ["a"], topK: 0) }
    }

    @Test func textsAreClassifiedWithAndWithoutLabelsOfTheCaller() async throws {
        let labels = ["contradiction", "neutral", "entailment"]
        let checkpoint = try Self.classifier(SequenceClassificationModel.self, labels: labels)
        let pipeline = try TextClassificationPipeline(folder: checkpoint.folder.path)
        let classifier = try await TextClassifier(folder: Self.url(checkpoint))
        #expect(classifier.labels == labels && classifier.defaultFunction == .softmax)
        let inputs = ["A cat", "A dog", .init("A cat", textPair: "An animal")] as [TextClassificationPipeline.Input]
        async let classes = classifier(inputs, topK: 2)
        async let chosen = classifier.zeroShot(["A cat", "The sea"], candidateLabels: ["animal", "water"])
        async let one = classifier("A cat")
        for (found, expected) in try await zip(classes, pipeline(inputs, topK: 2)) {
            #expect(found.labels.map(\.label) == expected.labels.map(\.label))
        }
        let expected = try pipeline.zeroShot(["A cat", "The sea"], candidateLabels: ["animal", "water"])
        #expect(try await chosen.map { $0.labels.map(\.label) } == expected.map { $0.labels.map(\.label) })
        #expect(try await one.labels.count == 3)
    }

    @Test func entitiesHaveRangesOfTheTextGiven() async throws {
        let checkpoint = try Self.classifier(TokenClassificationModel.self, labels: ["O", "B-X", "I-X"])
        let pipeline = try TokenClassificationPipeline(folder: checkpoint.folder.path)
        let tagger = try await TokenClassifier(folder: Self.url(checkpoint))
        let texts = TinyCheckpoint.texts
        let found = try await tagger(texts, ignoredLabels: [])
        let expected = try pipeline(texts, ignoredLabels: [])
        for (text, (found, expected)) in zip(texts, zip(found, expected)) {
            #expect(found.entities.map(\.range) == expected.entities.map(\.range) && !found.entities.isEmpty)
            for entity in found.entities {
                let scalars = text.unicodeScalars
                #expect(scalars.distance(from: scalars.startIndex, to: entity.range.lowerBound) == entity.start)
            }
        }
        #expect(try await tagger(texts[0], ignoredLabels: []).entities.map(\.range) == found[0].entities.map(\.range))
        let answer = TokenClassificationPipeline.GroundedAnswer("A cat", context: "A cat sat.", question: "Who?")
        #expect(try await tagger([answer], ignoredLabels: []).count == 1)
        await #expect(throws: InferenceError.self) { try await tagger(texts, strategy: .none, stride: 2) }
    }

    @Test func questionsAreAnsweredAndChoicesMade() async throws {
        let reader = try Self.classifier(QuestionAnsweringModel.self, labels: ["start", "end"])
        let answerer = try await QuestionAnswerer(folder: Self.url(reader))
        let context = TinyCheckpoint.texts[1]
        let answer = try #require(try await answerer("Who sat?", context: context).answers.first)
        #expect(context[answer.range] == answer.text)
        let expected = try QuestionAnsweringPipeline(folder: reader.folder.path)([.init("Who sat?", context: context)])
        #expect(expected[0].answers[0].range == answer.range)
        let swag = try Self.classifier(MultipleChoiceModel.self, labels: ["choice"])
        let chooser = try await MultipleChoice(folder: Self.url(swag))
        let choice = try await chooser("A cat", choices: ["sat.", "ran to the sea."])
        let pipeline = try MultipleChoicePipeline(folder: swag.folder.path)
        #expect(try choice.choice == pipeline([.init("A cat", choices: ["sat.", "ran to the sea."])])[0].choice)
        await #expect(throws: InferenceError.self) { try await chooser("A cat", choices: ["sat."]) }
    }

    @Test func weightsAndTokenVectorsAreThoseOfOneThread() async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let texts = TinyCheckpoint.texts
        let sparse = try await SparseEncoder(folder: Self.url(checkpoint))
        let weights = try await sparse.encode(texts, maxActiveDimensions: 8)
        let expected = try SparseEmbeddingPipeline(folder: checkpoint.folder.path).encode(texts, maxActiveDimensions: 8)
        #expect(weights.vectors.map(\.indices) == expected.vectors.map(\.indices) && weights.count == texts.count)
        #expect(sparse.decode(weights[0], topK: 2).count == 2)
        #expect(sparse.similarity(weights, weights)[0].count == texts.count)

        let denseFolder = checkpoint.folder.file("1_Dense")
        try FileManager.default.createDirectory(atPath: denseFolder, withIntermediateDirectories: true)
        let width = checkpoint.configuration.hiddenSize
        let entries: [(name: String, content: String)] = [
            (
                "modules.json",
                """
                [{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
                 {"idx":1,"name":"1","path":"1_Dense","type":"pylate.models.Dense.Dense"}]
                """
            ),
            (
                "1_Dense/config.json",
                """
                {"in_features":\(width),"out_features":8,"bias":false,
                 "activation_function":"torch.nn.modules.linear.Identity"}
                """
            ),
            ("config_sentence_transformers.json", #"{"model_type":"ColBERT"}"#),
        ]
        for entry in entries { try checkpoint.folder.write(entry.content, entry.name) }
        let projection = (0..<8 * width).map { Float(sin(Double($0))) / 2 }
        let tensor = TensorToWrite(name: "linear.weight", tensor: Tensor(projection, shape: [8, width]))
        try SafetensorsWriter.write([tensor], to: checkpoint.folder.file("1_Dense/model.safetensors"))
        let encoder = try await LateInteractionEncoder(folder: Self.url(checkpoint))
        let pipeline = try LateInteractionPipeline(folder: checkpoint.folder.path)
        async let first = encoder.encode(texts)
        async let second = encoder.encode(["A cat"], as: .query)
        let (documents, query) = try await (first, second)
        #expect(try documents.lengths == pipeline.encode(texts).lengths && documents.dimensions == 8)
        #expect(Self.largestDifference(documents.values, try pipeline.encode(texts).values) < 1e-5)
        let expectedRanking = try pipeline.rank(query, documents, topK: 2)[0].map(\.index)
        #expect(try await encoder.rank(query, documents, topK: 2)[0].map(\.index) == expectedRanking)
        #expect(try await encoder.rank("A cat", texts, topK: 2).map(\.index) == expectedRanking)
        await #expect(throws: InferenceError.self) { try await encoder.rank(query, documents, topK: -1) }
        #expect(throws: InferenceError.self) { try pipeline.rank(query, documents, topK: 0) }
    }

    @Test func masksAreFilledForSeveralTasks() async throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let pipeline = try FillMaskPipeline(folder: checkpoint.folder.path)
        let fillMask = try await FillMask(folder: Self.url(checkpoint))
        let texts = (0..<16).map { "A [MASK] sat on the mat \($0)." }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for (index, text) in texts.enumerated() {
                group.addTask {
                    let found = try await fillMask(text, topK: 1 + index % 3)
                    return found.masks[0].count == 1 + index % 3
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
        let ids = try await fillMask(texts).map { $0.masks.map { $0.map(\.tokenID) } }
        #expect(try ids == pipeline(texts).map { $0.masks.map { $0.map(\.tokenID) } })
        await #expect(throws: InferenceError.self) { try await fillMask("no mask") }
        await #expect(throws: InferenceError.self) { try await fillMask("a [MASK]", topK: 0) }
    }

    // MARK: - Generation

    private static func options(_ count: Int, seed: UInt64? = nil) -> GenerationOptions {
        var options = GenerationOptions()
        options.maxNewTokens = count
        options.endTokenIDs = []
        if let seed { (options.temperature, options.seed) = (1, seed) }
        return options
    }

    @Test func textsAreContinuedTogetherAsTheyAreAlone() async throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let pipeline = try TextGenerationPipeline(folder: checkpoint.folder.path)
        let generator = try await TextGenerator(folder: Self.url(checkpoint), maxSequences: 5)
        let prompts = TextGeneratorTests.prompts
        let found = try await withThrowingTaskGroup(of: (Int, [TextGenerationPipeline.Result]).self) { group in
            for task in 0..<12 {
                group.addTask {
                    let options = Self.options(3 + task * 2, seed: task % 2 == 0 ? UInt64(task) : nil)
                    return (task, try await generator.generate(prompts.prefix(1 + task % 5), options: options))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for task in 0..<12 {
            let options = Self.options(3 + task * 2, seed: task % 2 == 0 ? UInt64(task) : nil)
            #expect(try found[task] == pipeline.generate(Array(prompts.prefix(1 + task % 5)), options: options))
        }
    }

    @Test func piecesOfAStreamAreTheText() async throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let generator = try await TextGenerator(folder: Self.url(checkpoint))
        let expected = try await generator.generate(["The quick"], options: Self.options(12))[0]
        var text = ""
        for try await piece in generator.stream("The quick", options: Self.options(12)) { text += piece }
        #expect(text == expected.text)
        // Leaving the loop ends generation; the next request does not wait for fifty more tokens.
        for try await _ in generator.stream("The quick", options: Self.options(50)) { break }
        #expect(try await generator.generate(["The quick"], options: Self.options(12)) == [expected])
        let long = generator.stream(String(repeating: "fox ", count: 100))
        await #expect(throws: InferenceError.self) { for try await _ in long {} }
        let cancelled = Task { try await generator.generate(["The quick"], options: Self.options(50)) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }

    @Test func optionsAreCheckedAgainstTheModelsOwn() async throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        try checkpoint.folder.write(#"{"typical_p":0.9,"do_sample":false}"#, "generation_config.json")
        let generator = try await TextGenerator(folder: Self.url(checkpoint))
        #expect(try await generator.generate(["The quick"], options: Self.options(2)).count == 1)
        // What is not implemented matters once tokens are drawn.
        let error = await #expect(throws: CheckpointError.self) {
            try await generator.generate(["The quick"], options: Self.options(2, seed: 1))
        }
        #expect("\(try #require(error))".contains("typical_p"))
    }

    // MARK: - Threads

    #if os(Linux)
        @Test func aThreadEndsWithItsActor() async throws {
            let checkpoint = try TinyCheckpoint(.encoder)
            var encoder: TextEncoder? = try await TextEncoder(folder: Self.url(checkpoint))
            let first = try #require(await encoder?.threadFolder)
            _ = try await encoder?.encode(["A cat"])
            // All jobs of an actor run on one thread, which no other task has.
            #expect(await encoder?.threadFolder == first)
            #expect(first != readLink("/proc/thread-self"))
            let name = try String(contentsOfFile: "/proc/\(first)/comm", encoding: .utf8)
            #expect(name == ModelThread.name + "\n")
            encoder = nil
            for _ in 0..<500 where FileManager.default.fileExists(atPath: "/proc/\(first)") {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(!FileManager.default.fileExists(atPath: "/proc/\(first)"))
        }
    #endif
}

private func readLink(_ path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
}

extension TextEncoder {
    /// Whether no request waits.
    fileprivate var isIdle: Bool { scheduler.isIdle }

    /// The folder of the thread that this runs on.
    fileprivate var threadFolder: String? { readLink("/proc/thread-self") }
}
