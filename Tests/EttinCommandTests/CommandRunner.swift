import EttinJSON
import Foundation
import TestSupport
import Testing

/// What a run of the command left behind.
struct CommandResult {
    let code: Int32
    let output: String
    let errors: String

    /// The lines of standard output.
    var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }

    /// Standard output as one JSON document.
    func document() throws -> JSONValue { try JSONValue(parsing: output) }

    /// Standard output as lines of JSON.
    func objects() throws -> [JSONValue] { try lines.map { try JSONValue(parsing: String($0)) } }
}

/// Runs the built `ettin`.
enum Command {
    /// The binary, which lies beside the test bundle; the main bundle is its file or its folder.
    static let binary: URL = {
        let bundle = Bundle.main.bundleURL
        let folders = [bundle, bundle.deletingLastPathComponent()]
        let files = folders.map { $0.appending(path: "ettin") }
        return files.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? files[0]
    }()

    /// Runs to the end; output goes through files, so that no pipe can fill up.
    static func run(
        _ arguments: [String],
        input: [UInt8] = [],
        in folder: String? = nil,
        environment: [String: String] = [:]
    ) throws -> CommandResult {
        try withTemporaryFolder { scratch in
            let paths = ["in", "out", "err"].map { "\(scratch)/\($0)" }
            try Data(input).write(to: URL(filePath: paths[0]))
            for path in paths.dropFirst() { try Data().write(to: URL(filePath: path)) }
            let process = Process()
            process.executableURL = binary
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
            if let folder { process.currentDirectoryURL = URL(filePath: folder) }
            process.standardInput = try FileHandle(forReadingFrom: URL(filePath: paths[0]))
            process.standardOutput = try FileHandle(forWritingTo: URL(filePath: paths[1]))
            process.standardError = try FileHandle(forWritingTo: URL(filePath: paths[2]))
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationReason == .exit, "ettin \(arguments) was ended by a signal")
            return CommandResult(
                code: process.terminationStatus,
                output: try String(contentsOfFile: paths[1], encoding: .utf8),
                errors: try String(contentsOfFile: paths[2], encoding: .utf8)
            )
        }
    }

    /// Runs, and expects success.
    @discardableResult
    static func succeed(_ arguments: [String], input: String = "", in folder: String? = nil) throws -> CommandResult {
        let result = try run(arguments, input: Array(input.utf8), in: folder)
        #expect(result.code == 0, "ettin \(arguments) failed: \(result.errors)")
        return result
    }

    /// Runs, and expects one error line with a text in it, nothing on standard output.
    static func fail(
        _ arguments: [String],
        input: [UInt8] = [],
        environment: [String: String] = [:],
        code: Int32 = 1,
        saying text: String
    ) throws {
        let result = try run(arguments, input: input, environment: environment)
        #expect(result.code == code, "ettin \(arguments) exited with \(result.code): \(result.errors)")
        #expect(result.output == "")
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(lines.count == 1, "ettin \(arguments) said: \(result.errors)")
        #expect(lines.first?.contains(text) == true, "ettin \(arguments) said: \(result.errors)")
    }
}

/// A tokenizer, an encoder and a decoder, made by the command itself.
struct TinyModels {
    let folder: String
    var tokenizer: String { "\(folder)/tokenizer" }
    var encoder: String { "\(folder)/encoder" }
    var decoder: String { "\(folder)/decoder" }

    static let shape = ["--layers", "2", "--hidden-size", "32", "--intermediate-size", "48", "--heads", "2"]
    static let context = ["--max-position-embeddings", "32"]

    private static let made = Result { try TinyModels() }

    /// The models, which all tests share and none changes.
    static func shared() throws -> TinyModels { try made.get() }

    private init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "ettin-models-\(UUID().uuidString)").path
        Self.folderToRemove = folder
        atexit { try? FileManager.default.removeItem(atPath: TinyModels.folderToRemove) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let corpus = "\(folder)/corpus.txt"
        let text = String(
            repeating: "The capital of France is Paris.\nA cat sits on the mat, and a dog runs.\n",
            count: 9
        )
        try Data(text.utf8).write(to: URL(filePath: corpus))
        try Command.succeed(["tokenizer", "train", corpus, "--vocab-size", "300", "--output", tokenizer])
        for (folder, kind) in [(encoder, "encoder"), (decoder, "decoder")] {
            let arguments = ["init", folder, "--size", "17m", "--kind", kind, "--tokenizer", tokenizer]
            try Command.succeed(arguments + Self.shape + Self.context)
        }
    }

    // Written once, before it is read when the process ends.
    nonisolated(unsafe) private static var folderToRemove = ""
}

/// Gives a body the path of a new folder, which is removed when it has run.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    try TestSupport.withTemporaryFolder { folder in try body(folder.path) }
}

/// Writes a file and gives its path.
func write(_ text: String, to path: String) throws -> String {
    try Data(text.utf8).write(to: URL(filePath: path))
    return path
}
