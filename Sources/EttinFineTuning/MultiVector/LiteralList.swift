import EttinJSON
import EttinTables

/// Reads lists that a table holds as texts, `"[1, 2]"` or `"['a', 'b']"`, as Python writes them.
///
/// > Source: PyLate 1.6, `KDProcessing`, which hands such texts to `ast.literal_eval`.
struct LiteralList {
    private let bytes: [UInt8]
    private var position = 0

    /// The values of a list that a text holds.
    ///
    /// - Parameter text: The text.
    /// - Returns: Its numbers and texts; nil for a text that is no list of those.
    static func values(of text: String) -> [TableValue]? {
        var reader = LiteralList(bytes: Array(text.utf8))
        guard let values = reader.list() else { return nil }
        reader.skipBlanks()
        return reader.position == reader.bytes.count ? values : nil
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func list() -> [TableValue]? {
        skipBlanks()
        let closing: UInt8
        switch byte {
        case UInt8(ascii: "["): closing = UInt8(ascii: "]")
        case UInt8(ascii: "("): closing = UInt8(ascii: ")")
        default: return nil
        }
        position += 1
        var values: [TableValue] = []
        while true {
            skipBlanks()
            if byte == closing {
                position += 1
                return values
            }
            guard let value = value() else { return nil }
            values.append(value)
            skipBlanks()
            if byte == UInt8(ascii: ",") {
                position += 1
            } else if byte != closing {
                return nil
            }
        }
    }

    private mutating func value() -> TableValue? {
        guard let first = byte else { return nil }
        if first == UInt8(ascii: "'") || first == UInt8(ascii: "\"") { return text(quote: first) }
        let start = position
        while let byte, byte != UInt8(ascii: ","), byte != UInt8(ascii: "]"), byte != UInt8(ascii: ")"), byte > 0x20 {
            position += 1
        }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        guard word.allSatisfy({ $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }) else { return nil }
        if let number = Int(word) { return .integer(number) }
        guard let number = Double(word), number.isFinite else { return nil }
        return .real(number)
    }

    private mutating func text(quote: UInt8) -> TableValue? {
        position += 1
        var result: [UInt8] = []
        while let byte {
            position += 1
            if byte == quote { return .text(String(decoding: result, as: UTF8.self)) }
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            guard let escaped = self.byte else { return nil }
            position += 1
            switch escaped {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(escaped)
            default: return nil
            }
        }
        return nil
    }
}
