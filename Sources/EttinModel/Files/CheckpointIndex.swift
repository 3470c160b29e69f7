import EttinFiles
import EttinJSON

/// The index of a sharded checkpoint: which file holds which tensor.
struct CheckpointIndex {
    /// Size limit of an index; a model of a million tensors needs less.
    static let sizeLimit = 256_000_000

    /// Tensor names and file names, in the order of the index.
    let map: [(tensor: String, file: String)]
    /// The file names, each once, in the order of their first use.
    let files: [String]

    /// Reads and checks an index.
    ///
    /// Every file name must be a plain name, so that an index cannot make us read outside its folder.
    ///
    /// - Parameter path: The index file.
    /// - Throws: `CheckpointError` with everything that is wrong with the index.
    init(path: String) throws {
        let name = FilePath.lastComponent(of: path)
        let root = try JSONFile.object(path: path, name: name, sizeLimit: Self.sizeLimit)
        guard let value = root["weight_map"] else {
            let item = "\"weight_map\""
            throw CheckpointError(.malformed, file: name, item: item, found: "is missing", expected: "an object")
        }
        guard let object = value.objectValue else {
            let found = "is \(value.kind)"
            throw CheckpointError(.malformed, file: name, item: "\"weight_map\"", found: found, expected: "an object")
        }
        var problems: [CheckpointError.Problem] = []
        var map: [(tensor: String, file: String)] = []
        var files: [String] = []
        var seen: Set<ExactName> = []
        for member in object {
            let item = "tensor \(quoted(member.key))"
            guard let file = member.value.stringValue else {
                let found = "is mapped to \(member.value.kind)"
                problems.append(.init(.malformed, file: name, item: item, found: found, expected: "a file name"))
                continue
            }
            guard FilePath.isPlainName(file) else {
                let found = "is mapped to \(quoted(file))"
                let expected = "the plain name of a file in the same folder"
                problems.append(.init(.unsupported, file: name, item: item, found: found, expected: expected))
                continue
            }
            map.append((member.key, file))
            if seen.insert(ExactName(file)).inserted { files.append(file) }
        }
        if problems.isEmpty, map.isEmpty {
            problems.append(.init(.malformed, file: name, item: "\"weight_map\"", found: "is empty"))
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        self.map = map
        self.files = files
    }

    /// Writes an index as transformers does: two spaces, sorted keys, a line feed at the end.
    static func serialized(map: [(String, String)], totalBytes: Int, totalParameters: Int) -> [UInt8] {
        let value: JSONValue = [
            "metadata": ["total_parameters": JSONValue(totalParameters), "total_size": JSONValue(totalBytes)],
            "weight_map": .object(JSONObject(map.map { ($0.0, .string($0.1)) })),
        ]
        return JSONFile.serialized(value)
    }
}

/// Small JSON files of a checkpoint folder, in the form in which transformers reads and writes them.
enum JSONFile {
    /// Size limit of a file of settings, far above what any has.
    static let settingsSizeLimit = 1_000_000
    /// Maximum nesting of such a file; written with indentation, a deep one would grow a hundred times.
    private static let depthLimit = 64

    /// Reads a file whose top level is an object.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - name: The file's name for messages.
    ///   - sizeLimit: Maximum number of bytes to read.
    /// - Returns: The object.
    /// - Throws: `CheckpointError` when there is no such file or it is not JSON.
    static func object(path: String, name: String, sizeLimit: Int) throws -> JSONObject {
        try object(value(path: path, name: name, sizeLimit: sizeLimit), name: name)
    }

    /// Reads a file of JSON.
    static func value(path: String, name: String, sizeLimit: Int) throws -> JSONValue {
        let file = try CheckpointError.translating { try MappedFile(path: path) }
        guard file.count <= sizeLimit else {
            let found = "has \(file.count) bytes"
            throw CheckpointError(.unsupported, file: name, found: found, expected: "at most \(sizeLimit)")
        }
        return try file.withUnsafeBytes { try value($0, name: name) }
    }

    /// Parses bytes whose top level is an object.
    static func object(_ bytes: UnsafeRawBufferPointer, name: String) throws -> JSONObject {
        try object(value(bytes, name: name), name: name)
    }

    /// Parses bytes; Python's `NaN` and `Infinity` are let through, to be refused by key.
    private static func value(_ bytes: UnsafeRawBufferPointer, name: String) throws -> JSONValue {
        do {
            let options = JSONParsingOptions(maximumDepth: depthLimit, allowsNonFiniteNumbers: true)
            return try JSONValue(parsing: bytes, options: options)
        } catch {
            throw CheckpointError(.malformed, file: name, found: "is not JSON: \(error)")
        }
    }

    private static func object(_ value: JSONValue, name: String) throws -> JSONObject {
        guard let object = value.objectValue else {
            throw CheckpointError(.malformed, file: name, found: "holds \(value.kind)", expected: "an object")
        }
        return object
    }

    /// Writes a file into a folder.
    static func write(_ value: JSONValue, toFolder folder: String, name: String) throws {
        try CheckpointError.translating {
            try AtomicFile.write(serialized(value), to: FilePath.joined(folder, name))
        }
    }

    /// The text that `json.dumps(value, indent=2, sort_keys=True) + "\n"` gives.
    static func serialized(_ value: JSONValue) -> [UInt8] {
        let options = JSONWritingOptions(
            layout: .indented(2),
            sortsKeys: true,
            escapesNonASCII: true,
            writesNonFiniteNumbers: true
        )
        return value.serialized(options) + [UInt8(ascii: "\n")]
    }
}
