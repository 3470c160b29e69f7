import EttinFiles
package import EttinJSON

/// What `index.json` says about one shard.
package struct MDSShardDescription: Hashable, Sendable {
    /// One file of a shard.
    package struct File: Hashable, Sendable {
        /// The path relative to the folder of the index.
        package let basename: String
        /// The size in bytes.
        package let byteCount: Int
        /// Hashes of the content by algorithm, in hexadecimal digits.
        package let hashes: [String: String]

        /// Describes a file.
        ///
        /// - Parameters:
        ///   - basename: The path relative to the folder of the index.
        ///   - byteCount: The size in bytes.
        ///   - hashes: Hashes of the content by algorithm, in hexadecimal digits.
        package init(basename: String, byteCount: Int, hashes: [String: String]) {
            self.basename = basename
            self.byteCount = byteCount
            self.hashes = hashes
        }

        func inside(_ folder: String) -> File {
            File(basename: FilePath.joined(folder, basename), byteCount: byteCount, hashes: hashes)
        }

        var json: JSONValue {
            let sorted = hashes.sorted { ExactName($0.key) < ExactName($1.key) }
            return [
                "basename": .string(basename), "bytes": JSONValue(byteCount),
                "hashes": .object(JSONObject(sorted.map { ($0.key, JSONValue.string($0.value)) })),
            ]
        }
    }

    /// The columns.
    package let schema: MDSSchema
    /// The compression's name; nil for uncompressed shards.
    package let compression: String?
    /// The algorithms whose hashes were written.
    package let hashes: [String]
    /// The uncompressed file.
    package let raw: File
    /// The compressed file; nil for uncompressed shards.
    package let zip: File?
    /// The number of samples.
    package let sampleCount: Int
    /// The writer's size limit as it stands there: a number, a text such as `64mb`, or `null`.
    package let sizeLimit: JSONValue

    /// The same shard seen from the folder above.
    func inside(_ folder: String) -> MDSShardDescription {
        MDSShardDescription(
            schema: schema,
            compression: compression,
            hashes: hashes,
            raw: raw.inside(folder),
            zip: zip?.inside(folder),
            sampleCount: sampleCount,
            sizeLimit: sizeLimit
        )
    }

    /// The members that a shard's own configuration and its entry in the index share.
    static func configuration(
        schema: MDSSchema,
        compression: String?,
        hashes: [String],
        sizeLimit: JSONValue
    ) -> JSONObject {
        JSONObject(
            schema.members + [
                ("compression", compression.map { .string($0) } ?? .null), ("format", "mds"),
                ("hashes", .array(hashes.map { .string($0) })), ("size_limit", sizeLimit), ("version", 2),
            ]
        )
    }

    /// The entry in `index.json`.
    var json: JSONValue {
        var object = Self.configuration(
            schema: schema,
            compression: compression,
            hashes: hashes,
            sizeLimit: sizeLimit
        )
        object["raw_data"] = raw.json
        object["samples"] = JSONValue(sampleCount)
        object["zip_data"] = zip?.json ?? .null
        return .object(object)
    }

    static let writingOptions = JSONWritingOptions(layout: .singleLine, sortsKeys: true, escapesNonASCII: true)
}

extension MDSShardDescription {
    /// Offsets in a shard have 32 bits, so that no shard is larger.
    static let largestShardBytes = Int(UInt32.max)

    /// Reads an entry of `index.json`; `item` says which, for messages.
    init(_ value: JSONValue, file: String, item: String) throws {
        func refused(_ key: String, _ expected: String) -> CorpusError {
            let found = value[key].map { "is \(shown($0.text()))" } ?? "is not there"
            return CorpusError(.malformed, file: file, item: "\(item) \"\(key)\"", found: found, expected: expected)
        }
        guard value["format"]?.stringValue == "mds" else { throw refused("format", "\"mds\"") }
        guard value["version"]?.intValue == 2 else { throw refused("version", "2") }
        guard
            let names = value["column_names"]?.arrayValue?.compactMap(\.stringValue),
            names.count == value["column_names"]?.arrayValue?.count, !names.isEmpty
        else { throw refused("column_names", "a list of names") }
        guard
            let encodings = value["column_encodings"]?.arrayValue?.compactMap(\.stringValue),
            encodings.count == names.count, encodings.count == value["column_encodings"]?.arrayValue?.count
        else { throw refused("column_encodings", "an encoding for each of \(names.count) columns") }
        guard Set(names.map { ExactName($0) }).count == names.count else {
            throw refused("column_names", "every name once")
        }
        let columns = try Swift.zip(names, encodings).map { name, encoding in
            MDSSchema.Column(name, try MDSEncoding(name: encoding, file: "\(file): \(item) column \(shown(name))"))
        }
        let sizes = value["column_sizes"]?.arrayValue ?? []
        let expectedSizes = columns.map { $0.fixedByteCount.map { JSONValue($0) } ?? .null }
        guard sizes == expectedSizes else {
            throw refused("column_sizes", shown(JSONValue.array(expectedSizes).text()))
        }
        guard let sampleCount = value["samples"]?.intValue, sampleCount >= 0 else {
            throw refused("samples", "a number from 0")
        }
        guard let raw = try File(value["raw_data"], file: file, item: "\(item) \"raw_data\"") else {
            throw refused("raw_data", "an object")
        }
        // Checked here, because much is allotted by this number before a shard is opened.
        let schema = MDSSchema(inFileOrder: columns)
        let mostSamples = schema.mostSamples(inShardOf: raw.byteCount)
        guard sampleCount <= mostSamples else {
            throw refused("samples", "at most \(mostSamples), which is what \(raw.byteCount) bytes can hold")
        }
        let compression = value["compression"] ?? .null
        guard compression.isNull || compression.stringValue != nil else {
            throw refused("compression", "a name or null")
        }
        let hashes = (value["hashes"] ?? []).arrayValue
        guard let hashes, hashes.allSatisfy({ $0.stringValue != nil }) else {
            throw refused("hashes", "a list of names")
        }
        self.init(
            schema: schema,
            compression: compression.stringValue,
            hashes: hashes.compactMap(\.stringValue),
            raw: raw,
            zip: try File(value["zip_data"], file: file, item: "\(item) \"zip_data\""),
            sampleCount: sampleCount,
            sizeLimit: value["size_limit"] ?? .null
        )
    }
}

extension MDSShardDescription.File {
    /// Reads the description of a file; nil for `null` and an absent member.
    init?(_ value: JSONValue?, file: String, item: String) throws {
        guard let value, !value.isNull else { return nil }
        func refused(_ key: String, _ expected: String) -> CorpusError {
            let found = value[key].map { "is \(shown($0.text()))" } ?? "is not there"
            return CorpusError(.malformed, file: file, item: "\(item).\(key)", found: found, expected: expected)
        }
        guard let basename = value["basename"]?.stringValue, Self.staysInside(basename) else {
            throw refused("basename", "a relative path without \"..\"")
        }
        guard
            let byteCount = value["bytes"]?.intValue, (0...MDSShardDescription.largestShardBytes).contains(byteCount)
        else { throw refused("bytes", "a number from 0 to \(MDSShardDescription.largestShardBytes)") }
        var hashes: [String: String] = [:]
        let members = value["hashes"] ?? .null
        guard let members = members.isNull ? JSONObject() : members.objectValue else {
            throw refused("hashes", "hexadecimal digits by name")
        }
        for member in members {
            guard let text = member.value.stringValue else { throw refused("hashes", "hexadecimal digits by name") }
            hashes[member.key] = text
        }
        self.init(basename: basename, byteCount: byteCount, hashes: hashes)
    }

    /// Whether a path leads nowhere but into the folder that it is joined to.
    private static func staysInside(_ path: String) -> Bool {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        return components.allSatisfy { FilePath.isPlainName(String($0)) }
    }
}
