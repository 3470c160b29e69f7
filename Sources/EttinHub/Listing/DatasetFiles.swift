import EttinFiles

/// The files of a split of a dataset configuration.
public struct DatasetSplit: Sendable, Hashable {
    /// The configuration; `default` if the dataset has a single unnamed one.
    public let configuration: String
    /// The split, such as `train`, `validation` or `test`.
    public let split: String
    /// Where the files are: the dataset or its Parquet conversion.
    public let reference: HubReference
    /// The files, sorted by path.
    public let files: [RepositoryFile]
    /// Whether the Hub converted only the first part of the split.
    public let isPartial: Bool
}

extension HubClient {
    /// The branch of the Parquet conversion.
    static let parquetRevision = "refs/convert/parquet"

    /// Lists the configurations and splits of a dataset.
    ///
    /// Uses the Parquet conversion if there is one, whose folders are named after configuration and split. Otherwise they
    /// are derived from file names by the conventions of the `datasets` library.
    ///
    /// - Parameters:
    ///   - reference: The dataset; the conversion is only used for the default revision.
    ///   - prefersConversion: Whether to use the Parquet conversion if there is one.
    /// - Returns: The splits, sorted by configuration and name.
    /// - Throws: `HubError`.
    public func splits(of reference: HubReference, prefersConversion: Bool = true) async throws -> [DatasetSplit] {
        if prefersConversion, reference.revision == HubReference.defaultRevision {
            let splits = try await convertedSplits(of: reference)
            if !splits.isEmpty { return splits }
        }
        return DatasetLayout.original(try await files(of: reference), in: reference)
    }

    /// Lists the configurations and splits of the Parquet conversion of a dataset.
    ///
    /// - Parameter reference: The dataset.
    /// - Returns: The splits, sorted by configuration and name; none where the dataset is not converted.
    /// - Throws: `HubError`.
    package func convertedSplits(of reference: HubReference) async throws -> [DatasetSplit] {
        let converted = try HubReference(reference.repository, revision: Self.parquetRevision)
        do {
            return DatasetLayout.converted(try await files(of: converted), in: converted)
        } catch HubError.revisionNotFound {
            return []
        }
    }

    /// Finds a split of a dataset.
    ///
    /// - Parameters:
    ///   - split: The split.
    ///   - configuration: The configuration; may be nil if there is only one or one is named `default`.
    ///   - reference: The dataset.
    ///   - prefersConversion: Whether to use the Parquet conversion if there is one.
    /// - Returns: The files of the split.
    /// - Throws: `HubError.datasetChoice`, with the available ones, if there is no such split.
    public func split(
        _ split: String,
        configuration: String? = nil,
        of reference: HubReference,
        prefersConversion: Bool = true
    ) async throws -> DatasetSplit {
        let splits = try await self.splits(of: reference, prefersConversion: prefersConversion)
        let configurations = Set(splits.map(\.configuration))
        let chosen =
            configuration ?? (configurations.count == 1 ? configurations.first : nil)
            ?? (configurations.contains("default") ? "default" : nil)
        guard let chosen, configurations.contains(chosen) else {
            throw HubError.datasetChoice(
                reference.repository,
                asked: configuration.map { "configuration \(quoted($0))" } ?? "default configuration: choose one",
                available: configurations.sorted()
            )
        }
        let candidates = splits.filter { $0.configuration == chosen }
        guard let found = candidates.first(where: { $0.split == split }) else {
            throw HubError.datasetChoice(
                reference.repository,
                asked: "split \(quoted(split)) in configuration \(quoted(chosen))",
                available: candidates.map(\.split)
            )
        }
        return found
    }

    /// Downloads the files of a split.
    ///
    /// - Parameter split: The split.
    /// - Returns: Their paths in the cache, in the order of `split.files`.
    /// - Throws: `HubError`.
    public func download(_ split: DatasetSplit) async throws -> [String] {
        let info = try await info(of: split.reference)
        let commit = try HubReference(split.reference.repository, revision: info.commit)
        return try await download(split.files.map(\.path), of: commit)
    }

    /// Downloads files.
    ///
    /// - Parameters:
    ///   - files: Their paths in the repository.
    ///   - reference: The repository at a commit.
    /// - Returns: Their paths in the cache, in the same order.
    /// - Throws: `HubError`.
    package func download(_ files: [String], of reference: HubReference) async throws -> [String] {
        try await concurrently(files) { _ = try await self.file($0, of: reference) }
        var paths: [String] = []
        for file in files { paths.append(try await self.file(file, of: reference)) }
        return paths
    }
}

/// How the names of files tell configuration and split.
enum DatasetLayout {
    /// Files named `configuration/split/0000.parquet`, or with `partial-split`.
    static func converted(_ files: [RepositoryFile], in reference: HubReference) -> [DatasetSplit] {
        grouped(files, in: reference) { file in
            let parts = file.path.split(separator: "/").map(String.init)
            guard parts.count == 3, parts[2].hasSuffix(".parquet") else { return nil }
            let isPartial = parts[1].hasPrefix("partial-")
            let split = isPartial ? String(parts[1].dropFirst("partial-".count)) : parts[1]
            return (parts[0], split, isPartial)
        }
    }

    /// Data files of a repository; a word of the path names the split, the folder the configuration.
    static func original(_ files: [RepositoryFile], in reference: HubReference) -> [DatasetSplit] {
        grouped(files, in: reference) { file in
            guard isData(file.path) else { return nil }
            let parts = file.path.split(separator: "/").map(String.init)
            let folders = parts.dropLast().filter { $0 != "data" && split(in: $0) == nil }
            let named = parts.reversed().lazy.compactMap(split(in:)).first
            return (folders.first ?? "default", named ?? "train", false)
        }
    }

    private static func isData(_ path: String) -> Bool {
        var name = path.lowercased()[...]
        for packing in [".gz", ".zst", ".bz2", ".xz"] where name.hasSuffix(packing) {
            name = name.dropLast(packing.count)
        }
        return [".parquet", ".jsonl", ".json", ".csv", ".tsv", ".txt", ".arrow", ".mds"].contains { name.hasSuffix($0) }
            && !["dataset_infos.json", "state.json", "dataset_info.json"].contains { path.hasSuffix($0) }
    }

    /// The split that a file or folder name tells with a word of its own.
    private static func split(in name: String) -> String? {
        let words = name.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
        let known = [
            "train": "train", "training": "train", "validation": "validation", "valid": "validation",
            "dev": "validation", "val": "validation", "test": "test", "testing": "test", "eval": "test",
        ]
        return words.lazy.compactMap { known[$0] }.first
    }

    private static func grouped(
        _ files: [RepositoryFile],
        in reference: HubReference,
        by place: (RepositoryFile) -> (configuration: String, split: String, isPartial: Bool)?
    ) -> [DatasetSplit] {
        var groups: [String: DatasetSplit] = [:]
        for file in files.sorted(by: { $0.path < $1.path }) {
            guard let (configuration, split, isPartial) = place(file) else { continue }
            let key = configuration + "/" + split
            let others = groups[key]?.files ?? []
            groups[key] = DatasetSplit(
                configuration: configuration,
                split: split,
                reference: reference,
                files: others + [file],
                isPartial: isPartial
            )
        }
        return groups.values.sorted { ($0.configuration, $0.split) < ($1.configuration, $1.split) }
    }
}
