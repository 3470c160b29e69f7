import EttinFiles

/// How the values of a column become bytes.
public enum MDSEncoding: Hashable, Sendable {
    /// Bytes as they are.
    case bytes
    /// Text in UTF-8.
    case string
    /// A signed integer of 64 bits.
    case integer
    /// One number.
    case scalar(MDSElement)
    /// A decimal number as text, of any size: `str_int`, `str_float`, `str_decimal`.
    case decimal(DecimalKind)
    /// Any JSON document.
    case json
    /// An array; what the encoding leaves open is stored with each value.
    case array(element: MDSElement?, shape: [Int]?)
    /// An image format whose bytes are carried along and not looked into.
    case image(ImageFormat)

    /// The kinds of number that are stored as text; raw values are the encodings' names.
    public enum DecimalKind: String, Hashable, Sendable, CaseIterable {
        /// A whole number.
        case integer = "str_int"
        /// A floating-point number.
        case float = "str_float"
        /// A decimal fraction.
        case fraction = "str_decimal"
    }

    /// The image encodings; raw values are their names.
    public enum ImageFormat: String, Hashable, Sendable, CaseIterable {
        /// Uncompressed pixels.
        case pil
        /// JPEG.
        case jpeg
        /// PNG.
        case png
        /// Several JPEG images.
        case jpegArray = "jpeg_array"
        /// Several JPEG images, by its other name.
        case jpegarray
        /// Several images of uncompressed pixels.
        case pilList = "list[pil]"
        /// Several JPEG images in a list.
        case jpegList = "list[jpeg]"
        /// Several PNG images in a list.
        case pngList = "list[png]"
    }

    /// Reads the name of an encoding.
    ///
    /// - Parameters:
    ///   - name: For example `ndarray:uint16`.
    ///   - file: The file or option that the name comes from, for messages.
    /// - Throws: `CorpusError` when the encoding is unknown, or is `pkl`, which would execute what it reads.
    package init(name: String, file: String = "encoding") throws {
        func refused(_ expected: String) -> CorpusError {
            CorpusError(.unsupported, file: file, item: "encoding", found: "is \(shown(name))", expected: expected)
        }
        switch name {
        case "bytes": self = .bytes
        case "str": self = .string
        case "int": self = .integer
        case "json": self = .json
        case "pkl": throw refused("any other encoding, because reading Python pickles executes code")
        default:
            if let element = MDSElement(rawValue: name) {
                self = .scalar(element)
            } else if let kind = DecimalKind(rawValue: name) {
                self = .decimal(kind)
            } else if let format = ImageFormat(rawValue: name) {
                self = .image(format)
            } else {
                guard let array = Self.array(name: name) else {
                    throw refused(
                        "bytes, str, int, json, str_int, str_float, str_decimal, an image format, a number type, "
                            + "or ndarray[:type[:dimensions]]"
                    )
                }
                self = array
            }
        }
    }

    private static func array(name: String) -> MDSEncoding? {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts[0] == "ndarray", parts.count <= 3 else { return nil }
        // "ndarray:" is accepted by mosaicml-streaming as another spelling of "ndarray".
        guard parts.count > 1, !(parts.count == 2 && parts[1].isEmpty) else {
            return .array(element: nil, shape: nil)
        }
        guard let element = MDSElement(rawValue: String(parts[1])) else { return nil }
        guard parts.count == 3 else { return .array(element: element, shape: nil) }
        var shape: [Int] = []
        for part in parts[2].split(separator: ",", omittingEmptySubsequences: false) {
            guard let dimension = Int(part), dimension > 0 else { return nil }
            shape.append(dimension)
        }
        guard byteCount(element, shape) != nil else { return nil }
        return .array(element: element, shape: shape)
    }

    /// The size of an array's values; nil when it does not fit the format.
    static func byteCount(_ element: MDSElement, _ shape: [Int]) -> Int? {
        var product = element.byteCount
        for dimension in shape {
            guard let value = product.multiplied(checked: dimension), value <= UInt32.max else { return nil }
            product = value
        }
        return product
    }

    /// The name as shards and `index.json` have it.
    package var name: String {
        switch self {
        case .bytes: "bytes"
        case .string: "str"
        case .integer: "int"
        case .scalar(let element): element.rawValue
        case .decimal(let kind): kind.rawValue
        case .json: "json"
        case .array(nil, _): "ndarray"
        case .array(let element?, nil): "ndarray:\(element.rawValue)"
        case .array(let element?, let shape?):
            "ndarray:\(element.rawValue):\(shape.map(String.init).joined(separator: ","))"
        case .image(let format): format.rawValue
        }
    }

    /// The size that every value has; nil when values differ in size and each stores its own.
    package var fixedByteCount: Int? {
        switch self {
        case .integer: 8
        case .scalar(let element): element.byteCount
        case .array(let element?, let shape?): Self.byteCount(element, shape)
        default: nil
        }
    }
}
