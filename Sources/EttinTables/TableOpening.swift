import EttinCorpus
import EttinFiles
import EttinJSON

/// Opens data sets as tables: files, folders, patterns, folders that `datasets` saved, and data sets on the Hub.
///
/// ```swift
/// let table = try TableOpening().open(["data/train.jsonl"])
/// let (train, dev) = try table.trainTestSplit(testSize: .count(1000), seed: 12)
/// ```
public struct TableOpening: Sendable {
    /// How files are read.
    public var options: TableOptions
    private let download: (@Sendable (DatasetReference) throws -> [String])?

    /// Creates an opening.
    ///
    /// - Parameters:
    ///   - options: How files are read.
    ///   - download: Downloads the split of a data set on the Hub that a reference means, and gives the paths of its
    ///     files; nil to refuse data sets on the Hub.
    public init(
        options: TableOptions = TableOptions(),
        download: (@Sendable (DatasetReference) throws -> [String])? = nil
    ) {
        self.options = options
        self.download = download
    }

    /// Opens data sets as one table.
    ///
    /// - Parameter references: What ``DatasetReference`` reads; the rows follow one another in this order.
    /// - Returns: The table.
    /// - Throws: `TableError` for what is not there, is broken, or has other columns than the first.
    public func open(_ references: [String]) throws -> TableView {
        let tables = try references.flatMap { try parts(DatasetReference($0)) }
        guard let first = tables.first else {
            throw TableError(.invalidOption, file: "data set", found: "is not given", expected: "a path or a name")
        }
        return TableView(tables.count == 1 ? first : try ConcatenatedTable(tables))
    }

    private func parts(_ reference: DatasetReference) throws -> [any TextTable] {
        switch reference.location {
        case .hub:
            guard let download else {
                throw TableError(
                    .missing,
                    file: reference.description,
                    found: "is not there",
                    expected: "a file or a folder"
                )
            }
            return try download(reference).map { try file($0) }
        case .path(let path): return try parts(path, reference)
        }
    }

    private func parts(_ path: String, _ reference: DatasetReference) throws -> [any TextTable] {
        switch FilePath.kind(of: path) {
        case .file:
            try refuseQualifiers(of: reference, "a file has no splits")
            return [try file(path)]
        case .folder: return try folder(path, reference)
        case .absent:
            try refuseQualifiers(of: reference, "a pattern has no splits")
            let matches = CorpusInput.matches(path)
            guard !matches.isEmpty else {
                let isPattern = path.utf8.contains { "*?[".utf8.contains($0) }
                throw TableError(
                    .missing,
                    file: path,
                    found: isPattern ? "matches nothing" : "is not there",
                    expected: "a file, a folder, a pattern that matches some, or owner/name on the Hub"
                )
            }
            return try matches.map { try file($0) }
        }
    }

    private func refuseQualifiers(of reference: DatasetReference, _ reason: String) throws {
        guard reference.qualifiers.isEmpty else {
            throw TableError(
                .invalidOption,
                file: reference.description,
                found: "has \(shown(reference.qualifiers.joined(separator: ":"))) behind it",
                expected: "nothing there: \(reason)"
            )
        }
    }

    private func folder(_ path: String, _ reference: DatasetReference) throws -> [any TextTable] {
        if SavedDataset.isDictionary(path) {
            let splits = try SavedDataset.splits(ofDictionary: path)
            let choice = try reference.choice(among: splits.map { ("default", $0) })
            return [try SavedDataset.open(FilePath.joined(path, splits[choice]))]
        }
        if SavedDataset.isDataset(path) {
            try refuseQualifiers(of: reference, "the folder holds one split")
            return [try SavedDataset.open(path)]
        }
        let card = FilePath.joined(path, "README.md")
        let splits = try TableError.translating {
            try DatasetFiles.splits(
                in: FilePath.filesBelow(path),
                card: FilePath.exists(card) ? OpenFile.contents(of: card) : nil
            )
        }
        return try reference.files(among: splits).map { try file(FilePath.joined(path, $0)) }
    }

    private func file(_ path: String) throws -> any TextTable {
        let plainName = DecompressedFile.plainName(path)
        guard let format = options.format ?? TableOptions.Format(fileName: plainName ?? path) else {
            throw TableError(
                .unsupported,
                file: path,
                found: "has no known extension",
                expected:
                    "\(TableOptions.Format.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")), or format:"
            )
        }
        switch format {
        case .jsonLines: return try JSONLinesTable(try content(path), name: path)
        case .csv, .tsv: return try SeparatedTable(try content(path), name: path, format: format, options: options)
        case .parquet, .arrow:
            guard plainName == nil else {
                throw TableError(
                    .unsupported,
                    file: path,
                    found: "is a compressed \(format == .arrow ? "Arrow" : "Parquet") file",
                    expected: "the file itself, which compresses its content"
                )
            }
            if format == .arrow { return try ArrowTable(path: path) }
            return try SpooledTable(parquet: path)
        }
    }

    /// The map of a file, or of a temporary copy of what is compressed in it.
    private func content(_ path: String) throws -> MappedFile {
        try TableError.naming {
            DecompressedFile.plainName(path) == nil
                ? try MappedFile(path: path) : try DecompressedFile.mapped(path)
        }
    }
}
