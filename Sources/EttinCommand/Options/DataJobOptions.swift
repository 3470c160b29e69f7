import ArgumentParser
import EttinCorpus
import EttinFiles
import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where and how a stage of the data pipeline writes, and which part of the job it does.
struct DataJobOptions: ParsableArguments {
    static let standardCompression = "zstd"
    static let standardHashes = "xxh64"

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output folder; an unfinished one is resumed.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @Option(help: ArgumentHelp("Part of the job to run, from 0/n to n-1/n.", valueName: "i/n"))
    var shard = "0/1"

    @Option(
        help: ArgumentHelp(
            "Shard compression (br, bz2, gz, snappy, zstd) and optional level; or none.",
            valueName: "name[:n]"
        )
    )
    var compression = Self.standardCompression

    @Option(help: ArgumentHelp("Hashes to store in the index, comma-separated; or none.", valueName: "names"))
    var hashes = Self.standardHashes

    @Option(help: ArgumentHelp("Maximum shard size in bytes, such as 67108864 or 64mb; or none.", valueName: "bytes"))
    var sizeLimit = "64mb"

    @Option(help: ArgumentHelp("Number of threads (default: all available).", valueName: "count"))
    var threads: Int?

    func validate() throws {
        _ = try stageOptions()
        if output.isEmpty { throw ValidationError("--output is empty; expected a folder") }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); expected 1 to 1024")
        }
    }

    /// Runs a stage with progress on standard error, and reports its results.
    func run(
        _ json: JSONOption,
        manifestPath: String? = nil,
        _ stage: (StageOptions) throws -> JSONValue
    ) throws {
        let start = ContinuousClock.now
        let wasFinished = FilePath.exists(manifestPath ?? FilePath.joined(output, "manifest.json"))
        let manifest = try withProgress(stage)
        let results = manifest["results"]?.objectValue ?? JSONObject()
        let steps = results["steps"]?.intValue.map { "\($0) steps, " } ?? ""
        let counts =
            steps + "\(results["samples"]?.intValue ?? 0) samples, \(results["tokens"]?.intValue ?? 0) tokens"
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        Diagnostics.note(
            wasFinished
                ? "\(output) is already complete: \(counts)" : "wrote \(counts) to \(output) in \(milliseconds) ms"
        )
        guard json.isOn else { return }
        var summary: JSONObject = ["output": .string(output), "shard": manifest["shard"] ?? .null]
        for result in results { summary[result.key] = result.value }
        try StandardOutput.write(document: .object(summary))
    }

    /// Runs a stage with progress on standard error.
    func withProgress(_ stage: (StageOptions) throws -> JSONValue) throws -> JSONValue {
        let report = ProgressReport()
        defer { report.finish() }
        var options = try stageOptions()
        options.progress = { report.update($0) }
        return try stage(options)
    }

    private func stageOptions() throws -> StageOptions {
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        return StageOptions(
            output: output,
            part: try jobPart(shard),
            writing: try writing(),
            threads: threads ?? processors
        )
    }

    private func writing() throws -> MDSWriter.Options {
        let names = hashes == "none" ? [] : hashes.split(separator: ",", omittingEmptySubsequences: false)
        return MDSWriter.Options(
            compression: try compressed(),
            hashes: try names.map { name in
                if let hash = HashAlgorithm(rawValue: String(name)) { return hash }
                let known = HashAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--hashes has \"\(name)\"; expected one or more of \(known), or none")
            },
            sizeLimit: sizeLimit == "none" ? nil : try byteCount(sizeLimit, flag: "--size-limit")
        )
    }

    private func compressed() throws -> Compression? {
        do {
            return compression == "none" ? nil : try Compression(name: compression)
        } catch let error as CorpusError {
            throw ValidationError("--compression \(error.found); expected \(error.expected ?? "another"), or none")
        }
    }
}

/// The part of a job that `--shard` names.
func jobPart(_ shard: String) throws -> JobPart {
    let numbers = shard.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard
        numbers.count == 2, let index = numbers[0], let count = numbers[1],
        let part = try? JobPart(index: index, count: count)
    else { throw ValidationError("--shard is \"\(shard)\"; expected i/n with i from 0 to n - 1, such as 0/4") }
    return part
}

/// A number of bytes, with `kb`, `mb` or `gb` behind it for powers of 1024, as mosaicml-streaming reads it.
func byteCount(_ text: String, flag: String) throws -> Int {
    let units = [("kb", 10), ("mb", 20), ("gb", 30), ("b", 0)]
    let lower = text.lowercased()
    let unit = units.first { lower.hasSuffix($0.0) }
    let digits = lower.dropLast(unit?.0.count ?? 0)
    let (product, overflows) = (Int(digits) ?? 0).multipliedReportingOverflow(by: 1 << (unit?.1 ?? 0))
    guard !overflows, (1...Int(UInt32.max)).contains(product) else {
        throw ValidationError("\(flag) is \"\(text)\"; expected 1 to \(UInt32.max) bytes, such as 67108864 or 64mb")
    }
    return product
}
