import EttinCorpus
import EttinFiles
import EttinJSON
import EttinTokenizer
import Foundation

/// A stage of the data pipeline on a few documents, which is killed half way and resumed.
private struct InterruptedJob: Sendable {
    /// The journal's place below the job's folder.
    let journal: String
    /// Runs the stage in a folder, and gives what it counts.
    let run: @Sendable (_ folder: String, _ progress: @escaping () throws -> Void) throws -> JSONValue

    static let documentCount = 12

    static let all = [
        InterruptedJob(journal: "out/.progress.jsonl") { folder, progress in
            try tokenized(folder, to: "out", progress)["results"] ?? .null
        },
        InterruptedJob(journal: "out/.progress.jsonl") { folder, progress in
            let stage = ChunkStage(
                input: folder + "/tokens",
                tokenizer: try tokenizer(),
                chunking: try ChunkOptions(chunkSize: 6, minimumSize: 3, alwaysSkipSize: 1)
            )
            return try stage.run(options(folder, "out", progress))["results"] ?? .null
        },
        InterruptedJob(journal: "out/validation/.progress.jsonl") { folder, progress in
            let stage = SplitStage(input: folder + "/tokens", fraction: 0.3)
            return try stage.run(options(folder, "out", progress))
        },
        InterruptedJob(journal: ".out.jsonl.progress.jsonl") { folder, progress in
            let stage = OrderExportStage(
                inputs: [OrderExportStage.Input(path: folder + "/tokens")],
                batchSize: 2,
                steps: 9
            )
            return try stage.run(options(folder, "out.jsonl", progress))["results"] ?? .null
        },
    ]

    private static func tokenizer() throws -> Tokenizer {
        guard let tokenizer = FuzzReader.awkwardTokenizer else {
            throw BrokenPromise("the built-in tokenizer does not load")
        }
        return tokenizer
    }

    private static func options(
        _ folder: String,
        _ output: String,
        _ progress: @escaping () throws -> Void
    ) -> StageOptions {
        // Small shards, so that the journal has several pieces.
        let writing = MDSWriter.Options(hashes: [.xxh64], sizeLimit: 120)
        return StageOptions(output: folder + "/" + output, writing: writing) { _ in try progress() }
    }

    @discardableResult
    private static func tokenized(
        _ folder: String,
        to output: String,
        _ progress: @escaping () throws -> Void = {}
    ) throws -> JSONValue {
        let stage = TokenizeStage(
            inputs: [folder + "/in.txt"],
            reading: ReadingOptions(splitting: .line, emptyDocuments: .skip),
            tokenizer: try tokenizer()
        )
        return try stage.run(options(folder, output, progress))
    }

    /// The files of the job when it was killed, with what it counts when it is not.
    func interrupted() throws -> (files: FuzzInput, results: JSONValue) {
        let folder = FilePath.joined(NSTemporaryDirectory(), "ettin-fuzz-\(FilePath.randomName())")
        defer { try? FilePath.removeTree(folder) }
        let text = (0..<Self.documentCount).map { "a e \($0 % 3) zz aa" }.joined(separator: "\n")
        try FuzzInput("in.txt", Array(text.utf8)).write(below: folder)
        try Self.tokenized(folder, to: "tokens")
        struct Stop: Error {}
        do {
            _ = try run(folder) { throw Stop() }
            throw BrokenPromise("the job of \(journal) was not interrupted")
        } catch is Stop {}
        var files = try FuzzReader.contents(folder)
        // Journals name their inputs by the paths that they were read from.
        let lines = String(decoding: files[journal], as: UTF8.self)
        guard !lines.isEmpty else { throw BrokenPromise("\(journal) is empty or missing") }
        files[journal] = Array(lines.replacing(folder, with: Self.placeholder).utf8)
        return (files, try run(folder) {})
    }

    static let placeholder = "@FOLDER@"
}

extension FuzzReader {
    private static let jobs = Result {
        try InterruptedJob.all.map { job in (job: job, interrupted: try job.interrupted()) }
    }

    /// Says in an input which job it belongs to.
    private static let numberName = "job"

    /// What shards can be checked for; how many tokens of their sources were left out or doubled, they do not say.
    private static func verifiable(_ results: JSONValue) -> JSONValue {
        guard var object = results.objectValue else { return results }
        for key in ["duplicated_tokens", "skipped_tokens"] { object[key] = nil }
        return .object(object)
    }

    static let journal = FuzzReader(
        name: "journal",
        make: { dice in
            let jobs = try jobs.get()
            let number = dice.below(jobs.count)
            let name = jobs[number].job.journal
            var input = jobs[number].interrupted.files
            var lines = String(decoding: input[name], as: UTF8.self).split(separator: "\n").map { Array($0.utf8) }
            let place = dice.below(lines.count)
            if dice.chance(0.9) { lines[place] = JSONMutation().mutated(lines[place], &dice) }
            input[name] = lines.flatMap { $0 + [0x0A] }
            input[numberName] = Array("\(number)".utf8)
            return input
        },
        read: { input, folder in
            let jobs = try jobs.get()
            // Inputs from before there was more than one job do not say which.
            let number = Int(String(decoding: input[numberName], as: UTF8.self)) ?? 0
            let (job, interrupted) = jobs[min(max(0, number), jobs.count - 1)]
            let text = String(decoding: input[job.journal], as: UTF8.self)
            let lines = Array(text.replacing(InterruptedJob.placeholder, with: folder).utf8)
            try FuzzInput(job.journal, lines).write(below: folder)
            let results = verifiable(try job.run(folder) {})
            try BrokenPromise.unless(
                results == verifiable(interrupted.results),
                "a job that was resumed counts \(results) instead of \(interrupted.results)"
            )
        },
        leavesFiles: true
    )
}
