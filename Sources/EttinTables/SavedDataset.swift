import EttinFiles
import EttinJSON

/// Folders that `save_to_disk` of `datasets` wrote.
///
/// > Source: `datasets`, `Dataset.load_from_disk` and `DatasetDict.load_from_disk`.
enum SavedDataset {
    private static let dictionaryName = "dataset_dict.json"
    private static let stateName = "state.json"
    private static let infoName = "dataset_info.json"

    /// Whether a folder has several splits, each in a folder of its own.
    static func isDictionary(_ folder: String) -> Bool { FilePath.exists(FilePath.joined(folder, dictionaryName)) }

    /// Whether a folder has one data set.
    static func isDataset(_ folder: String) -> Bool { FilePath.exists(FilePath.joined(folder, stateName)) }

    /// The names of the splits of a folder, which are those of their folders.
    static func splits(ofDictionary folder: String) throws -> [String] {
        let path = FilePath.joined(folder, dictionaryName)
        let names = try object(path)["splits"]?.arrayValue?.map(\.stringValue)
        guard let names, !names.isEmpty else {
            throw TableError(.malformed, file: path, item: "\"splits\"", found: "is no list of names", expected: "one")
        }
        return try names.map { name in
            guard let name, FilePath.isPlainName(name) else {
                throw TableError(
                    .malformed,
                    file: path,
                    item: "\"splits\"",
                    found: "has \(name.map { shown($0) } ?? "a value that is not a text")",
                    expected: "names of folders"
                )
            }
            return name
        }
    }

    /// Opens a data set.
    static func open(_ folder: String) throws -> any TextTable {
        let path = FilePath.joined(folder, stateName)
        let state = try object(path)
        let info = FilePath.joined(folder, infoName)
        let classes = FilePath.exists(info) ? try classNames(object(info)) : [:]
        // Older releases wrote the second of each.
        let files = try files(state, ["_data_files", "_data_files_names"], path) ?? []
        guard !files.isEmpty else {
            throw TableError(.malformed, file: path, item: "\"_data_files\"", found: "names no files", expected: "some")
        }
        let parts = try files.map { try ArrowTable(path: FilePath.joined(folder, $0), classNames: classes) }
        var view = TableView(parts.count == 1 ? parts[0] : try ConcatenatedTable(parts))
        if let indices = try self.files(state, ["_indices_files", "_indices_data_files"], path), !indices.isEmpty {
            view = try view.select(try rows(indices.map { FilePath.joined(folder, $0) }))
        }
        if let columns = state["_format_columns"]?.arrayValue, state["_output_all_columns"]?.boolValue != true {
            let names = columns.compactMap(\.stringValue)
            view = try view.keeping(columns: view.columnNames.filter { names.contains($0) })
        }
        return view
    }

    private static func object(_ path: String) throws -> JSONObject {
        let bytes = try TableError.translating { try OpenFile.contents(of: path) }
        do {
            guard let object = try JSONValue(parsing: bytes).objectValue else {
                throw TableError(.malformed, file: path, found: "is no JSON object", expected: "what datasets saves")
            }
            return object
        } catch let error as JSONError {
            throw TableError(.malformed, file: path, found: "is not JSON: \(error)")
        }
    }

    /// The names of files of a state; nil where it has none of the keys.
    private static func files(_ state: JSONObject, _ keys: [String], _ path: String) throws -> [String]? {
        guard let key = keys.first(where: { state[$0]?.isNull == false }), let value = state[key] else { return nil }
        guard let entries = value.arrayValue else {
            throw TableError(.malformed, file: path, item: shown(key), found: "is no list", expected: "a list of files")
        }
        return try entries.map { entry in
            guard let name = entry["filename"]?.stringValue, FilePath.isPlainName(name) else {
                throw TableError(
                    .malformed,
                    file: path,
                    item: shown(key),
                    found: "has an entry without a file of this folder",
                    expected: "\"filename\" with the name of one"
                )
            }
            return name
        }
    }

    /// The rows that files of indices name, each in its one column.
    private static func rows(_ paths: [String]) throws -> [Int] {
        try paths.flatMap { path in
            let table = try ArrowTable(path: path)
            guard table.columnNames.count == 1, table.kind(ofColumn: 0) == .integer, table.rowCount <= Int(Int32.max)
            else {
                throw TableError(
                    .malformed,
                    file: path,
                    found: "has the columns \(listing(table.columnNames))",
                    expected: "the one column of indices"
                )
            }
            return try (0..<table.rowCount).map { row in
                guard case .integer(let number) = try table.value(row: row, column: 0) else {
                    throw TableError(.malformed, file: path, item: "row \(row)", found: "is null", expected: "an index")
                }
                return number
            }
        }
    }

    /// The names of the classes of columns that have some.
    private static func classNames(_ info: JSONObject) -> [String: [String]] {
        var classes: [String: [String]] = [:]
        for (name, feature) in (info["features"]?.objectValue?.members ?? []).map({ ($0.key, $0.value) }) {
            guard feature["_type"]?.stringValue == "ClassLabel", let names = feature["names"]?.arrayValue else {
                continue
            }
            classes[name] = names.compactMap(\.stringValue)
        }
        return classes
    }
}
