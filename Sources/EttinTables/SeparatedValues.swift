/// Cuts CSV and TSV into records and values, as pandas does.
///
/// Lines without anything but blanks are passed over. A value in quotes may hold separators and line ends; a quote within
/// is written twice. Behind the closing quote the value goes on, if it does, with quotes as ordinary characters. A line
/// ends with a line feed, a carriage return, or both.
struct SeparatedValues {
    /// A value as it lies in the file.
    struct Field {
        /// Its bytes, with the quotes around it.
        let range: Range<Int>
        let isQuoted: Bool
    }

    /// What is wrong with a record.
    struct OpenQuote: Error {}

    let bytes: UnsafeRawBufferPointer
    let separator: UInt8
    let allowsQuotes: Bool
    private(set) var position: Int
    /// The number of values of the last record.
    private(set) var fieldCount = 0

    init(_ bytes: UnsafeRawBufferPointer, separator: UInt8, allowsQuotes: Bool, at position: Int = 0) {
        self.bytes = bytes
        self.separator = separator
        self.allowsQuotes = allowsQuotes
        self.position = position
    }

    private static let (lineFeed, carriageReturn, quote): (UInt8, UInt8, UInt8) = (0x0A, 0x0D, 0x22)

    /// Finds the next record.
    ///
    /// - Parameters:
    ///   - fields: Becomes its values, or the first of them.
    ///   - limit: Maximum number of values to note; `fieldCount` counts all.
    /// - Returns: Where it begins; nil when there is none.
    /// - Throws: `OpenQuote` when the file ends within quotes.
    mutating func next(_ fields: inout [Field], limit: Int) throws(OpenQuote) -> Int? {
        fields.removeAll(keepingCapacity: true)
        fieldCount = 0
        passBlankLines()
        guard position < bytes.count else { return nil }
        let start = position
        while true {
            let field = try field()
            if fieldCount < limit { fields.append(field) }
            fieldCount += 1
            guard position < bytes.count, bytes[position] == separator else { break }
            position += 1
        }
        passLineEnd()
        return start
    }

    private mutating func passBlankLines() {
        while position < bytes.count {
            var end = position
            while end < bytes.count, bytes[end] != separator, bytes[end] == 0x20 || bytes[end] == 0x09 { end += 1 }
            guard end == bytes.count || bytes[end] == Self.lineFeed || bytes[end] == Self.carriageReturn else { return }
            position = end
            passLineEnd()
        }
    }

    private mutating func passLineEnd() {
        guard position < bytes.count else { return }
        let isReturn = bytes[position] == Self.carriageReturn
        position += 1
        if isReturn, position < bytes.count, bytes[position] == Self.lineFeed { position += 1 }
    }

    /// Passes over a value, up to the separator or line end behind it.
    private mutating func field() throws(OpenQuote) -> Field {
        let start = position
        let isQuoted = allowsQuotes && position < bytes.count && bytes[position] == Self.quote
        if isQuoted {
            position += 1
            while true {
                guard position < bytes.count else { throw OpenQuote() }
                let byte = bytes[position]
                position += 1
                guard byte == Self.quote else { continue }
                guard position < bytes.count, bytes[position] == Self.quote else { break }
                position += 1
            }
        }
        while position < bytes.count {
            let byte = bytes[position]
            if byte == separator || byte == Self.lineFeed || byte == Self.carriageReturn { break }
            position += 1
        }
        return Field(range: start..<position, isQuoted: isQuoted)
    }

    /// Calls a body with the bytes of a value, without the quotes around it.
    static func withContent<Result>(
        _ field: Field,
        of bytes: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let stored = UnsafeRawBufferPointer(rebasing: bytes[field.range])
        guard field.isQuoted else { return try body(stored) }
        var content: [UInt8] = []
        content.reserveCapacity(stored.count)
        var position = 1
        var isInside = true
        while position < stored.count {
            let byte = stored[position]
            position += 1
            if isInside, byte == quote {
                guard position < stored.count, stored[position] == quote else {
                    isInside = false
                    continue
                }
                position += 1
            }
            content.append(byte)
        }
        return try content.withUnsafeBytes(body)
    }
}
