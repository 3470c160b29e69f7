import EttinFiles

/// What a check of a data set found.
public struct MDSVerification: Hashable, Sendable {
    /// The number of shards looked at.
    public internal(set) var shardCount = 0
    /// The number of samples looked at.
    public internal(set) var sampleCount = 0
    /// The number of tokens counted; zero when no token column was asked for.
    public internal(set) var tokenCount = 0
    /// The number of hashes compared.
    public internal(set) var hashCount = 0
    /// Everything that is wrong, in the order of the shards; at most one entry per shard and kind of check.
    public internal(set) var problems: [CorpusError] = []
}

extension MDSDataset {
    /// Checks the whole data set: sizes, hashes, offsets, every value, and the range of token ids.
    ///
    /// Nothing is written; compressed shards are decompressed in memory.
    ///
    /// - Parameters:
    ///   - tokenColumn: The column of token ids to check; nil for none.
    ///   - vocabularySize: The number of tokens; ids must be below it. Nil for no limit.
    ///   - progress: Called after each shard with the number of shards done.
    /// - Returns: Counts and problems; the data set is sound when there are no problems.
    public func verified(
        tokenColumn: String? = nil,
        vocabularySize: Int? = nil,
        progress: (Int) -> Void = { _ in }
    ) -> MDSVerification {
        var report = MDSVerification()
        for position in index.shards.indices {
            func check(_ body: () throws -> Void) {
                do {
                    try body()
                } catch let error as CorpusError {
                    report.problems.append(error)
                } catch {
                    report.problems.append(
                        CorpusError(.inputOutput, file: index.shards[position].raw.basename, found: "\(error)")
                    )
                }
            }
            check { try verifyFiles(position, &report) }
            check { try verifySamples(position, tokenColumn, vocabularySize, &report) }
            report.shardCount += 1
            progress(report.shardCount)
        }
        return report
    }

    /// Hashes of the files that are there.
    private func verifyFiles(_ position: Int, _ report: inout MDSVerification) throws {
        let description = index.shards[position]
        for file in [description.raw, description.zip].compactMap(\.self) where !file.hashes.isEmpty {
            let path = FilePath.joined(folder, file.basename)
            guard FilePath.exists(path) else { continue }
            let mapped = try CorpusError.translating { try MappedFile(path: path) }
            try mapped.withUnsafeBytes { try verifyHashes(file, path, $0, &report) }
        }
    }

    /// Checks the hashes of the file that a shard is stored in, compressed or not.
    func verifyStoredFile(_ position: Int) throws {
        let description = index.shards[position]
        let file = description.zip ?? description.raw
        let path = FilePath.joined(folder, file.basename)
        let mapped = try CorpusError.translating { try MappedFile(path: path) }
        var report = MDSVerification()
        try mapped.withUnsafeBytes { try verifyHashes(file, path, $0, &report) }
    }

    private func verifyHashes(
        _ file: MDSShardDescription.File,
        _ path: String,
        _ bytes: UnsafeRawBufferPointer,
        _ report: inout MDSVerification
    ) throws {
        for (name, expected) in file.hashes.sorted(by: { ExactName($0.key) < ExactName($1.key) }) {
            guard let algorithm = HashAlgorithm(rawValue: name) else {
                throw CorpusError(
                    .unsupported,
                    file: path,
                    item: "hash \(shown(name))",
                    found: "cannot be checked",
                    expected: "one of \(HashAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            let found = algorithm.hexadecimal(bytes)
            guard found == expected.lowercased() else {
                throw CorpusError(
                    .malformed,
                    file: path,
                    item: "hash \(name)",
                    found: "is \(found)",
                    expected: "\(shown(expected)), as the index has it"
                )
            }
            report.hashCount += 1
        }
    }

    private func verifySamples(
        _ position: Int,
        _ tokenColumn: String?,
        _ vocabularySize: Int?,
        _ report: inout MDSVerification
    ) throws {
        let description = index.shards[position]
        let path = FilePath.joined(folder, description.raw.basename)
        let shard: MDSShard
        if FilePath.exists(path) {
            shard = try MDSShard(path: path, description: description)
        } else if let bytes = try decompressed(position) {
            try bytes.withUnsafeBytes { try verifyHashes(description.raw, path, $0, &report) }
            shard = try MDSShard(path: path, bytes: bytes, description: description)
        } else {
            throw CorpusError(.missing, file: path, found: "is not there, compressed or not")
        }
        let column = try tokenColumn.map { try shard.column($0) }
        for sample in 0..<shard.sampleCount {
            _ = try shard.values(sample: sample)
            report.sampleCount += 1
            guard let column, let tokenColumn else { continue }
            let ids = try shard.tokenIDs(sample: sample, column: column)
            report.tokenCount += ids.count
            guard let offender = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize ?? .max }) else { continue }
            throw CorpusError(
                .malformed,
                file: path,
                item: "sample \(sample) column \(shown(tokenColumn))",
                found: "holds the id \(offender)",
                expected: "ids from 0 to \((vocabularySize ?? Int(Int32.max)) - 1)"
            )
        }
    }
}
