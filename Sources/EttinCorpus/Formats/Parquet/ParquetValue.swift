import EttinFiles
package import EttinJSON

/// A value of a Parquet row.
///
/// Dates, times and decimals are the integers or bytes that are stored for them.
package enum ParquetValue: Hashable, Sendable {
    /// No value.
    case null
    /// A Boolean.
    case bool(Bool)
    /// An integer of up to 64 bits.
    case integer(Int64)
    /// An unsigned integer of 64 bits.
    case unsigned(UInt64)
    /// A number in single or double precision.
    case double(Double)
    /// Text.
    case string(String)
    /// Bytes that are not declared as text.
    case bytes([UInt8])
    /// A list; a map is a list of structures with a key and a value.
    case list([ParquetValue])
    /// Named values, in the order of the schema.
    case structure([Field])

    /// A named value.
    package struct Field: Hashable, Sendable {
        /// The name.
        package let name: String
        /// The value.
        package let value: ParquetValue

        /// Creates a field.
        ///
        /// - Parameters:
        ///   - name: The name.
        ///   - value: The value.
        package init(name: String, value: ParquetValue) {
            self.name = name
            self.value = value
        }
    }

    /// The value as JSON; bytes become text of hexadecimal digits.
    package var json: JSONValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): JSONValue(Int(value))
        case .unsigned(let value): .number(JSONNumber(value))
        case .double(let value): JSONValue(value)
        case .string(let text): .string(text)
        case .bytes(let bytes): .string(hexadecimal(bytes))
        case .list(let values): .array(values.map(\.json))
        case .structure(let fields): .object(JSONObject(fields.map { ($0.name, $0.value.json) }))
        }
    }

    /// The word for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a Boolean"
        case .integer, .unsigned: "an integer"
        case .double: "a number"
        case .string: "a string"
        case .bytes: "bytes"
        case .list: "a list"
        case .structure: "a structure"
        }
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
