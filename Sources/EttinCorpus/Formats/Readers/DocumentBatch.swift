import EttinFiles
import EttinJSON

/// A document to tokenise.
package struct Document: Hashable, Sendable {
    /// What the input calls it, or its place.
    package let id: String
    /// The text.
    package let text: String
}

/// Some consecutive records of one input, not yet looked into.
///
/// Looking into them is work for several threads; finding their ends is not.
package struct DocumentBatch: Sendable {
    enum Content: Sendable {
        /// Records of a file: the bytes of all, and where each lies there.
        case bytes([UInt8], [Range<Int>])
        /// Samples of a data set.
        case samples(MDSDataset, Range<Int>)
        /// Rows of a Parquet file, and the number of the first.
        case rows([ParquetDocument], first: Int)
    }

    let input: CorpusInput
    let options: ReadingOptions
    let content: Content
    /// The position of each record in the file's content; empty for samples and rows.
    let offsets: [Int]
    /// The number of the first record's line; nil when reading began in the middle of the file.
    let firstLine: Int?

    /// The number of records.
    package var count: Int {
        switch content {
        case .bytes(_, let ranges): ranges.count
        case .samples(_, let range): range.count
        case .rows(let rows, _): rows.count
        }
    }

    /// The documents of the batch in order.
    ///
    /// - Parameter first: The number of records to pass over.
    /// - Returns: A document for each record; nil for one that is left out.
    /// - Throws: `CorpusError` naming file and line when a record is malformed.
    package func documents(from first: Int = 0) throws -> [Document?] {
        switch content {
        case .bytes(let bytes, let ranges):
            try bytes.withUnsafeBytes { bytes in
                try (first..<max(first, ranges.count)).map {
                    try document($0, UnsafeRawBufferPointer(rebasing: bytes[ranges[$0]]))
                }
            }
        case .samples(let dataset, let range):
            try range.dropFirst(first).map { try document(dataset, $0) }
        case .rows(let rows, let firstRow):
            try rows.indices.dropFirst(first).map { index -> Document? in
                let text = try rows[index].text.withUnsafeBytes { try self.text($0, firstRow + index) }
                return try kept(text, rows[index].id, firstRow + index)
            }
        }
    }

    // MARK: - Records

    private func document(_ record: Int, _ bytes: UnsafeRawBufferPointer) throws -> Document? {
        if input.format == .jsonLines {
            let isFirst = offsets[record] == 0
            if JSONLine.isBlank(JSONLine.withoutMark(bytes, isFirst: isFirst)) {
                guard options.emptyDocuments == .refuse else { return try kept("", nil, record) }
                throw malformed(
                    record,
                    "is blank",
                    "an object with the field \(shown(options.textField)) on every line, or --empty-documents skip or keep"
                )
            }
            return try fields(bytes, record)
        }
        var bytes = JSONLine.withoutMark(bytes, isFirst: offsets[record] == 0)
        if options.splitting == .line, bytes.last == 0x0D { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast()) }
        return try kept(try text(bytes, record), nil, record)
    }

    private func document(_ dataset: MDSDataset, _ sample: Int) throws -> Document? {
        let values = try dataset.values(at: sample)
        func refused(_ found: String) -> CorpusError {
            CorpusError(
                .malformed,
                file: input.path,
                item: "sample \(sample) column \(shown(options.textField))",
                found: found,
                expected: "a string"
            )
        }
        guard let value = values[options.textField] else { throw refused("is not there") }
        guard case .string(let text) = value else { throw refused("is \(value.kind)") }
        var id: String?
        switch values[options.idField] {
        case .string(let name)?: id = name
        case .integer(let number)?: id = String(number)
        default: break
        }
        return try kept(text, id, sample)
    }

    /// Applies the rule for empty documents and names the document.
    private func kept(_ text: String, _ id: String?, _ record: Int) throws -> Document? {
        if text.isEmpty {
            switch options.emptyDocuments {
            case .skip: return nil
            case .keep: break
            case .refuse:
                throw malformed(record, "is an empty document", "text, or --empty-documents skip or keep")
            }
        }
        return Document(id: id ?? name(record), text: text)
    }

    /// A document's name when the input gives none: file and position, which do not depend on how a job is divided.
    private func name(_ record: Int) -> String {
        let file = FilePath.lastComponent(of: input.path)
        if input.format == .text, options.splitting == .file { return file }
        return offsets.isEmpty ? "\(file)#\(record)" : "\(file)@\(offsets[record])"
    }

    private func place(_ record: Int) -> String {
        if input.format == .parquet { return "row \(record)" }
        if offsets.isEmpty { return "sample \(record)" }
        if case .separator = options.splitting, input.format == .text { return "byte \(offsets[record])" }
        return "line \(line(record))"
    }

    /// The number of a line, counted anew from the front of the file when reading began in the middle.
    private func line(_ record: Int) -> Int {
        if let firstLine { return firstLine + record }
        guard let file = try? MappedFile(path: input.path) else { return 0 }
        return file.withUnsafeBytes { $0.prefix(offsets[record]).count { $0 == 0x0A } } + 1
    }

    private func text(_ bytes: UnsafeRawBufferPointer, _ record: Int) throws -> String {
        if let text = validatedText(bytes) { return text }
        guard options.invalidText == .refuse else { return String(decoding: bytes, as: UTF8.self) }
        throw malformed(record, "is not UTF-8", "UTF-8, or --invalid-text replace")
    }

    // MARK: - JSON Lines

    private func fields(_ bytes: UnsafeRawBufferPointer, _ record: Int) throws -> Document? {
        let expected = "an object with the field \(shown(options.textField))"
        var text: String?
        var id: String?
        var others: [String] = []
        do {
            try JSONLine.read(
                bytes,
                isFirst: offsets[record] == 0,
                expected: expected,
                replacesInvalidText: options.invalidText == .replace
            ) { reader, key in
                if key.elementsEqual(options.textField.utf8) {
                    let kind = try reader.peekKind()
                    guard kind == .string else {
                        throw JSONLine.Fault(
                            found: "has a \(kind.rawValue) in \(shown(options.textField))",
                            expected: "a string"
                        )
                    }
                    text = try reader.readString()
                } else if key.elementsEqual(options.idField.utf8) {
                    let kind = try reader.peekKind()
                    switch kind {
                    case .string: id = try reader.readString()
                    case .number: id = try reader.readNumber().spelling
                    case .null: try reader.skipValue()
                    default:
                        throw JSONLine.Fault(
                            found: "has a \(kind.rawValue) in \(shown(options.idField))",
                            expected: "a string, a number or null; --id-key names another field"
                        )
                    }
                } else {
                    if text == nil, others.count < 8 { others.append(String(decoding: key, as: UTF8.self)) }
                    try reader.skipValue()
                }
            }
        } catch let fault as JSONLine.Fault {
            throw malformed(record, fault.found, fault.expected)
        }
        guard let text else {
            let names = others.isEmpty ? "none" : others.map { shown($0) }.joined(separator: ", ")
            let found = "has no field \(shown(options.textField)); its fields: \(names)"
            throw malformed(record, found, "a string there; --text-key names another field")
        }
        return try kept(text, id, record)
    }

    private func malformed(_ record: Int, _ found: String, _ expected: String) -> CorpusError {
        CorpusError(.malformed, file: input.path, item: place(record), found: found, expected: expected)
    }
}
