// What many tasks do with models that they share, for Thread Sanitizer to watch: `make tsan`.
//
//     ThreadCheck ENCODER DECODER
//
// Results are compared with those of one thread, so that the program checks itself where the sanitizer finds nothing.
import EttinInference
import Foundation

struct Difference: Error, CustomStringConvertible {
    let description: String
}

@main
struct ThreadCheck {
    static let tasks = 64

    static func texts(_ task: Int) -> [String] {
        (0..<(1 + task % 5)).map { "A cat sits on mat \(task) " + String(repeating: "and runs ", count: (task + $0) % 9) }
    }

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            print("usage: ThreadCheck ENCODER DECODER")
            exit(64)
        }
        for _ in 0..<3 {
            try await shareEncoder(arguments[1])
            try await shareDecoder(arguments[2])
        }
        print("\(tasks) tasks shared an encoder and a decoder")
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
        cancelled.cancel()
        _ = await cancelled.result
        let pipeline = try TextEmbeddingPipeline(folder: path)
        for (task, embeddings) in found {
            let expected = try pipeline.encode(texts(task), normalize: task % 2 == 0)
            guard embeddings.count == expected.count,
                zip(embeddings.values, expected.values).allSatisfy({ abs($0 - $1) < 1e-4 })
            else { throw Difference(description: "embeddings of task \(task) are not those of one thread") }
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
