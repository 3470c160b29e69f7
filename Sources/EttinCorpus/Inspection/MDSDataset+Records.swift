import EttinFiles
import EttinJSON

extension MDSDataset {
    /// Compares counts with those that the pipeline's own files beside the index give.
    ///
    /// The files are `manifest.json`, `stats.json` and `num_tokens.json`; those that are not there say nothing. An
    /// unfinished run in the folder is a problem too.
    ///
    /// - Parameters:
    ///   - sampleCount: The number of samples that were found.
    ///   - tokenCount: The number of tokens that were found; nil when they were not counted.
    /// - Returns: Everything that differs.
    package func recordProblems(sampleCount: Int, tokenCount: Int?) -> [CorpusError] {
        var problems: [CorpusError] = []
        if FilePath.exists(FilePath.joined(folder, StageJournal.fileName)) {
            problems.append(
                CorpusError(
                    .malformed,
                    file: folder,
                    found: "holds an unfinished run",
                    expected: "a finished one; run the same command again"
                )
            )
        }
        let records: [(file: String, keys: [String], count: Int?, unit: String)] = [
            (StageOutput.manifestName, ["results", "samples"], sampleCount, "samples"),
            (StageOutput.manifestName, ["results", "tokens"], tokenCount, "tokens"),
            ("stats.json", ["total_tokens_written"], tokenCount, "tokens"),
            ("num_tokens.json", ["num_tokens"], tokenCount, "tokens"),
        ]
        for record in records {
            guard let count = record.count else { continue }
            do {
                try check(record.file, record.keys, count, record.unit)
            } catch let error as CorpusError {
                problems.append(error)
            } catch {
                problems.append(CorpusError(.malformed, file: record.file, found: "\(error)"))
            }
        }
        return problems
    }

    private func check(_ name: String, _ keys: [String], _ count: Int, _ unit: String) throws {
        let path = FilePath.joined(folder, name)
        guard FilePath.exists(path) else { return }
        let file = try CorpusError.translating { try MappedFile(path: path) }
        var value: JSONValue?
        do {
            value = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
        } catch {
            throw CorpusError(.malformed, file: path, found: "is not JSON: \(error)")
        }
        for key in keys { value = value?[key] }
        guard value?.intValue != count else { return }
        throw CorpusError(
            .malformed,
            file: path,
            item: shown(keys.joined(separator: ".")),
            found: value.map { "is \(shown($0.text()))" } ?? "is not there",
            expected: "\(count), the number of \(unit) in the shards"
        )
    }
}
