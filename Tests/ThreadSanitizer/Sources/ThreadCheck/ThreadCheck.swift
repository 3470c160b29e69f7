// What many tasks do with models that they share, for Thread Sanitizer to watch: `make tsan`.
//
//     ThreadCheck ENCODER DECODER
//
// Results are compared with those of one thread, so that the program checks itself where the sanitizer finds nothing.
import EttinInference
import EttinModel
import EttinTokenizer
import Foundation

struct Difference: Error, CustomStringConvertible {
    let description: String
}

@main
struct ThreadCheck {
    static let tasks = 64

    static func texts(_ task: Int) -> [String] {
        (0..<(1 + task % 5)).map { text in
            "A cat sits on mat \(task) " + String(repeating: "and runs ", count: (task + text) % 9)
        }
    }

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            print("usage: ThreadCheck ENCODER DECODER")
            exit(64)
        }
        let reranker = try makeReranker(like: arguments[1])
        defer { try? FileManager.default.removeItem(atPath: reranker) }
        for _ in 0..<3 {
            try await shareEncoder(arguments[1])
            try await shareReranker(reranker)
            try await shareDecoder(arguments[2])
        }
        print("\(tasks) tasks shared an encoder, a reranker and a decoder")
    }

    /// Cancels a task that has much left to do.
    static func cancel<Success>(_ task: Task<Success, any Error>) async throws {
        task.cancel()
        do {
            _ = try await task.value
        } catch is CancellationError {
            return
        }
        throw Difference(description: "a task that was cancelled got all it had asked for")
    }

    static func shareEncoder(_ path: String) async throws {
        let encoder = try await TextEncoder(folder: URL(filePath: path), maxBatchTokens: 128)
        let cancelled = Task { try await encoder.encode((0..<5000).map { "A dog \($0)" }) }
        let found = try await withThrowingTaskGroup(of: (Int, TextEmbeddings).self) { group in
            for task in 0..<tasks {
                group.addTask { (task, try await encoder.encode(texts(task), normalize: task % 2 == 0)) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        try await cancel(cancelled)
        let pipeline = try TextEmbeddingPipeline(folder: path)
        for (task, embeddings) in found {
            let expected = try pipeline.encode(texts(task), normalize: task % 2 == 0)
            guard embeddings.count == expected.count,
                zip(embeddings.values, expected.values).allSatisfy({ abs($0 - $1) < 1e-4 })
            else { throw Difference(description: "embeddings of task \(task) are not those of one thread") }
        }
    }

    /// Makes a reranker with random weights beside an encoder, of the same shape and with its tokenizer.
    static func makeReranker(like encoder: String) throws -> String {
        let folder = encoder + "-reranker"
        try FileManager.default.copyItem(atPath: encoder, toPath: folder)
        var configuration = try ModernBERTConfiguration(folder: folder)
        configuration.labels = ["relevance"]
        let model = SequenceClassificationModel(configuration)
        model.initialize(.transformers, seed: 1)
        try model.save(folder: folder)
        return folder
    }

    static func shareReranker(_ path: String) async throws {
        let reranker = try await Reranker(folder: URL(filePath: path), maxBatchTokens: 128)
        let pairs = { @Sendable (task: Int) in texts(task).map { TextPair("Where does a cat sit?", $0) } }
        let cancelled = Task { try await reranker.predict((0..<5000).map { TextPair("A cat", "A dog \($0)") }) }
        let found = try await withThrowingTaskGroup(of: (Int, [RerankingPipeline.Score]).self) { group in
            for task in 0..<tasks { group.addTask { (task, try await reranker.predict(pairs(task))) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        try await cancel(cancelled)
        let pipeline = try RerankingPipeline(folder: path)
        for (task, scores) in found {
            let expected = try pipeline.predict(pairs(task))
            guard scores.count == expected.count,
                zip(scores, expected).allSatisfy({ abs($0.value - $1.value) < 1e-4 })
            else { throw Difference(description: "scores of task \(task) are not those of one thread") }
        }
    }

    static func shareDecoder(_ path: String) async throws {
        let generator = try await TextGenerator(folder: URL(filePath: path), maxSequences: 8)
        var options = GenerationOptions()
        options.maxNewTokens = 12
        let chosen = options
        for try await _ in generator.stream("A cat", options: chosen) { break }
        let found = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for task in 0..<tasks {
                group.addTask {
                    var text = ""
                    for try await piece in generator.stream("A cat \(task)", options: chosen) { text += piece }
                    return (task, text)
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        let pipeline = try TextGenerationPipeline(folder: path)
        for (task, text) in found {
            guard try pipeline.generate(["A cat \(task)"], options: chosen)[0].text == text else {
                throw Difference(description: "the continuation of task \(task) is not that of one thread")
            }
        }
    }
}
