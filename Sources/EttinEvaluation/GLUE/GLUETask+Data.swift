import EttinFiles
public import EttinTables

extension GLUETask {
    /// Opens a part of the task's data.
    ///
    /// - Parameters:
    ///   - reference: The folder of the task's original files (`RTE`), the folder that has it (`glue`), a copy of
    ///     `nyu-mll/glue`, that name on the Hub, or a file of rows; what names a split is taken as it is.
    ///   - part: The part.
    ///   - opening: Opens files, and downloads those of the Hub.
    /// - Returns: The rows.
    /// - Throws: `TableError` and ``EvaluationError`` for what is not there, is broken, or has other labels.
    public func table(_ reference: String, _ part: GLUEPart, with opening: TableOpening) throws -> GLUETable {
        let data = try DatasetReference(reference)
        switch (data.location, data.qualifiers.isEmpty) {
        case (.hub, true): return try table(open(["\(reference):\(rawValue):\(part.split)"], opening))
        case (.path(let path), true) where FilePath.kind(of: path) == .folder:
            return try table(files(of: part, in: path), opening)
        default: return try table(open([reference], opening))
        }
    }

    private func table(_ rows: TableView) throws -> GLUETable { try GLUETable(rows, task: self) }

    private func table(_ files: [String], _ opening: TableOpening) throws -> GLUETable {
        try table(open(files, opening))
    }

    /// Opens files with tabs as the originals are: without quoting, and those of CoLA without names of columns.
    private func open(_ references: [String], _ opening: TableOpening) throws -> TableView {
        var opening = opening
        var name = (references.first ?? "").lowercased()[...]
        for packing in [".gz", ".zst"] where name.hasSuffix(packing) { name = name.dropLast(packing.count) }
        if !name.hasSuffix(".csv") {
            opening.options.quoting = .none
            opening.options.readsMissingValues = false
        }
        if self == .cola, name.hasSuffix(".tsv") {
            opening.options.columnNames = ["source", "label", "mark", "sentence"]
        }
        return try opening.open(references)
    }

    /// The files of a part: those of the folder itself, or of the task's in it.
    private func files(of part: GLUEPart, in folder: String) throws -> [String] {
        func refused(_ found: String, _ expected: String) -> EvaluationError {
            EvaluationError(.missing, file: folder, found: found, expected: expected)
        }
        let own = try EvaluationError.translating {
            try FilePath.names(inFolder: folder).first { name in
                [title.lowercased(), rawValue].contains(name.lowercased())
                    && FilePath.kind(of: FilePath.joined(folder, name)) == .folder
            }
        }
        let home = own.map { FilePath.joined(folder, $0) } ?? folder
        let names = try EvaluationError.translating { try FilePath.names(inFolder: home) }
        let files = names.filter { part.isPart($0) && FilePath.kind(of: FilePath.joined(home, $0)) == .file }
        guard !files.isEmpty else {
            let originals = part.originalName
            throw refused(
                "has no files of the \(part.split) split of \(title)",
                "\(originals).tsv, \(part.split).jsonl or \(part.split)-00000-of-00001.parquet in it, or in \(title)"
            )
        }
        let formats = Set(files.map { $0.split(separator: ".").last ?? "" })
        guard formats.count == 1 else {
            throw refused(
                "has the \(part.split) split of \(title) as \(files.sorted().joined(separator: " and "))",
                "files of one format"
            )
        }
        return files.sorted().map { FilePath.joined(home, $0) }
    }
}

extension GLUEPart {
    /// The name of the original file, without its extension.
    var originalName: String {
        switch self {
        case .train: "train"
        case .validation: "dev"
        case .matched, .mismatched: "dev_\(rawValue)"
        }
    }

    /// Whether a file is one of this part, by its name: `dev.tsv`, `validation.jsonl`, `train-00000-of-00002.parquet`.
    func isPart(_ fileName: String) -> Bool {
        let formats = [".tsv", ".csv", ".jsonl", ".json", ".parquet", ".arrow"]
        var name = fileName.lowercased()[...]
        for packing in [".gz", ".zst"] where name.hasSuffix(packing) { name = name.dropLast(packing.count) }
        guard let format = formats.first(where: { name.hasSuffix($0) }) else { return false }
        let stem = name.dropLast(format.count).split(separator: "-", maxSplits: 1).first.map(String.init) ?? ""
        return stem == originalName || stem == split
    }
}
