public import EttinJSON

/// One value of a sample.
public enum MDSValue: Hashable, Sendable {
    /// Bytes: columns of encoding `bytes` and of images.
    case bytes([UInt8])
    /// Text.
    case string(String)
    /// An integer: columns of encoding `int`.
    case integer(Int64)
    /// A number of a given type, as its bits.
    case scalar(MDSElement, bits: UInt64)
    /// A number of any size as text.
    case decimal(String)
    /// A JSON document.
    case json(JSONValue)
    /// An array.
    case array(MDSArray)

    /// The kind of value, for messages.
    var kind: String {
        switch self {
        case .bytes: "bytes"
        case .string: "a string"
        case .integer: "an integer"
        case .scalar(let element, _): "one \(element.rawValue)"
        case .decimal: "a number as text"
        case .json: "a JSON document"
        case .array(let array): "an array of \(array.element.rawValue) with the shape \(array.shape)"
        }
    }
}

/// What is wrong with a value's bytes or with a value for an encoding; the caller adds file and place.
struct MDSValueFault: Error {
    let found: String
    let expected: String
}

extension MDSEncoding {
    /// Appends the bytes of a value.
    func encode(_ value: MDSValue, into bytes: inout [UInt8]) throws(MDSValueFault) {
        switch (self, value) {
        case (.bytes, .bytes(let content)), (.image, .bytes(let content)): bytes += content
        case (.string, .string(let text)): bytes += text.utf8
        case (.integer, .integer(let number)): bytes += number.littleEndianBytes
        case (.scalar(let element), .scalar(let given, let bits)) where element == given:
            bytes += bits.littleEndianBytes[..<element.byteCount]
        case (.decimal(let kind), .decimal(let text)):
            guard Self.isNumber(text, kind) else {
                throw MDSValueFault(found: "is \(shown(text))", expected: "a number for \(name)")
            }
            bytes += text.utf8
        case (.json, .json(let document)):
            let options = JSONWritingOptions(layout: .singleLine, escapesNonASCII: true, writesNonFiniteNumbers: true)
            bytes += document.serialized(options)
        case (.array(let element, let shape), .array(let array))
        where (element ?? array.element) == array.element && (shape ?? array.shape) == array.shape:
            try Self.encode(array, storesElement: element == nil, storesShape: shape == nil, into: &bytes)
        default:
            throw MDSValueFault(found: "is \(value.kind)", expected: "a value for \(name)")
        }
    }

    private static func encode(
        _ array: MDSArray,
        storesElement: Bool,
        storesShape: Bool,
        into bytes: inout [UInt8]
    ) throws(MDSValueFault) {
        // The format cannot say these: the Python library refuses them as well.
        guard (1...63).contains(array.shape.count), !array.bytes.isEmpty else {
            throw MDSValueFault(
                found: "has the shape \(array.shape)",
                expected: "1 to 63 dimensions, none of them zero"
            )
        }
        if storesElement { bytes.append(array.element.code) }
        if storesShape {
            let largest = array.shape.max() ?? 0
            let width = largest <= UInt8.max ? 0 : largest <= UInt16.max ? 1 : 2
            bytes.append(UInt8(array.shape.count << 2 | width))
            for dimension in array.shape { bytes += UInt64(dimension).littleEndianBytes[..<(1 << width)] }
        }
        bytes += array.bytes
    }

    /// The value of bytes.
    func decode(_ bytes: UnsafeRawBufferPointer) throws(MDSValueFault) -> MDSValue {
        switch self {
        case .bytes, .image: return .bytes(Array(bytes))
        case .string: return .string(try Self.text(bytes))
        case .integer:
            guard bytes.count == 8 else { throw Self.wrongSize(bytes, 8) }
            return .integer(Int64(littleEndian: bytes.loadUnaligned(as: Int64.self)))
        case .scalar(let element):
            guard bytes.count == element.byteCount else { throw Self.wrongSize(bytes, element.byteCount) }
            return .scalar(element, bits: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
        case .decimal(let kind):
            let text = try Self.text(bytes)
            guard Self.isNumber(text, kind) else {
                throw MDSValueFault(found: "is \(shown(text))", expected: "a number for \(name)")
            }
            return .decimal(text)
        case .json:
            do {
                return .json(try JSONValue(parsing: bytes, options: JSONParsingOptions(allowsNonFiniteNumbers: true)))
            } catch {
                throw MDSValueFault(found: "is not JSON: \(error)", expected: "a document for json")
            }
        case .array(let element, let shape):
            let view = try MDSArrayView(bytes, element: element, shape: shape)
            return .array(
                MDSArray(uncheckedElement: view.element, shape: view.shape, bytes: Array(view.values))
            )
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) throws(MDSValueFault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw MDSValueFault(found: "is not UTF-8", expected: "text")
        }
        return text
    }

    private static func wrongSize(_ bytes: UnsafeRawBufferPointer, _ expected: Int) -> MDSValueFault {
        MDSValueFault(found: "has \(bytes.count) bytes", expected: "\(expected)")
    }

    /// Whether text is what Python's `str` writes for an `int`, `float` or `Decimal`.
    private static func isNumber(_ text: String, _ kind: DecimalKind) -> Bool {
        var rest = Substring(text).utf8
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        if kind == .integer { return !rest.isEmpty && rest.allSatisfy(isDigit) }
        let word = String(Substring(rest)).lowercased()
        if ["inf", "infinity", "nan", "snan"].contains(word) { return true }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var digitCount = whole.count
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix(while: isDigit)
            digitCount += fraction.count
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard digitCount > 0 else { return false }
        guard rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") else { return rest.isEmpty }
        rest = rest.dropFirst()
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        return !rest.isEmpty && rest.allSatisfy(isDigit)
    }
}

/// An array in place, without a copy of its values.
struct MDSArrayView {
    let element: MDSElement
    let shape: [Int]
    let values: UnsafeRawBufferPointer

    /// Finds the parts of an array; `element` and `shape` are what the encoding fixes.
    init(_ bytes: UnsafeRawBufferPointer, element: MDSElement?, shape: [Int]?) throws(MDSValueFault) {
        var position = 0
        if let element {
            self.element = element
        } else {
            guard let code = bytes.first, let element = MDSElement(code: code) else {
                let found = bytes.first.map { "has the type code \($0)" } ?? "is empty"
                throw MDSValueFault(found: found, expected: "one of the eleven type codes of ndarray")
            }
            self.element = element
            position = 1
        }
        if let shape {
            self.shape = shape
        } else {
            guard position < bytes.count else { throw MDSValueFault(found: "is empty", expected: "a shape") }
            let rank = Int(bytes[position] >> 2)
            let width = 1 << Int(bytes[position] & 3)
            position += 1
            guard rank * width <= bytes.count - position else {
                throw MDSValueFault(found: "ends within its shape", expected: "\(rank) dimensions")
            }
            var shape: [Int] = []
            for _ in 0..<rank {
                let dimension = bytes[position..<position + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                shape.append(Int(clamping: dimension))
                position += width
            }
            self.shape = shape
        }
        values = UnsafeRawBufferPointer(rebasing: bytes[position...])
        guard MDSEncoding.byteCount(self.element, self.shape) == values.count else {
            throw MDSValueFault(
                found: "has \(values.count) bytes of values",
                expected: "as many as the shape \(self.shape) of \(self.element.rawValue) needs"
            )
        }
    }
}
