import EttinFiles
import EttinJSON
import EttinTables

/// The formats in which mined rows are written.
package enum MinedFileFormat: String, Sendable, Hashable, CaseIterable {
    /// One JSON object for each row.
    case jsonl
    /// A line of names, then a line for each row.
    case csv

    /// The format that a file's name ends in.
    ///
    /// - Parameter path: Such as `triplets.jsonl`.
    package init?(path: String) {
        guard let format = Self.allCases.first(where: { path.hasSuffix(".\($0.rawValue)") }) else { return nil }
        self = format
    }
}

extension MiningOptions {
    /// Whether rows hold lists, which CSV cannot.
    package var rowsHoldLists: Bool {
        effectiveFormat == .labeledList || (outputScores && effectiveFormat != .labeledPair)
    }
}

extension MinedNegatives {
    /// Hands over the rows as lines of JSON Lines, each with its line feed.
    ///
    /// - Parameter body: Receives UTF-8 text.
    /// - Throws: What `body` throws.
    package func forEachJSONLine(_ body: ([UInt8]) throws -> Void) rethrows {
        let names = columnNames
        try forEachRow { row in
            let object = JSONObject(zip(names, row).map { ($0, $1.json) })
            try body(JSONValue.object(object).serialized(JSONWritingOptions(layout: .singleLine)) + [0x0A])
        }
    }

    /// Writes the rows to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The file to create or replace.
    ///   - format: The format; CSV is for rows without lists.
    /// - Throws: ``EvaluationError`` when the file cannot be written.
    package func write(to path: String, format: MinedFileFormat) throws {
        try EvaluationError.translating {
            let file = try AtomicFile(path: path)
            switch format {
            case .jsonl: try forEachJSONLine { try file.write($0) }
            case .csv:
                precondition(!options.rowsHoldLists, "rows with lists are no CSV")
                try file.write(csvLine(columnNames))
                try forEachRow { try file.write(csvLine($0.map(\.csv))) }
            }
            try file.commit()
        }
    }
}

/// A line of CSV as RFC 4180 has it, with a line feed.
private func csvLine(_ fields: [String]) -> [UInt8] {
    var line: [UInt8] = []
    for (number, field) in fields.enumerated() {
        if number > 0 { line.append(UInt8(ascii: ",")) }
        let needsQuotes = field.isEmpty || field.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
        guard needsQuotes else {
            line += field.utf8
            continue
        }
        line.append(0x22)
        for byte in field.utf8 { line += byte == 0x22 ? [0x22, 0x22] : [byte] }
        line.append(0x22)
    }
    return line + [0x0A]
}

extension TableValue {
    /// The value in JSON; numbers with a fraction are float32 scores, in as few digits as tell them apart.
    fileprivate var json: JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .integer(let number): JSONValue(number)
        case .real(let number): .number(JSONNumber(Float(number)))
        case .boolean(let value): .bool(value)
        case .list(let values): .array(values.map(\.json))
        }
    }

    /// The value as a field of CSV.
    fileprivate var csv: String {
        if case .text(let text) = self { return text }
        return json.text()
    }
}
