/// An array of numbers as a data set stores it: row by row, least significant byte first.
public struct MDSArray: Hashable, Sendable {
    /// The type of the values.
    public let element: MDSElement
    /// The dimensions.
    public let shape: [Int]
    /// The values.
    public let bytes: [UInt8]

    /// Creates an array from its bytes.
    ///
    /// - Parameters:
    ///   - element: The type of the values.
    ///   - shape: The dimensions.
    ///   - bytes: The values, row by row, least significant byte first.
    /// - Throws: `CorpusError` when the bytes do not fill the shape exactly.
    public init(element: MDSElement, shape: [Int], bytes: [UInt8]) throws {
        guard shape.allSatisfy({ $0 >= 0 }), MDSEncoding.byteCount(element, shape) == bytes.count else {
            throw CorpusError(
                .malformed,
                file: "array",
                found: "has \(bytes.count) bytes",
                expected: "as many as the shape \(shape) of \(element.rawValue) needs"
            )
        }
        self.init(uncheckedElement: element, shape: shape, bytes: bytes)
    }

    init(uncheckedElement element: MDSElement, shape: [Int], bytes: [UInt8]) {
        self.element = element
        self.shape = shape
        self.bytes = bytes
    }

    /// Creates a one-dimensional array of token ids.
    ///
    /// - Parameters:
    ///   - tokenIDs: The ids, none negative.
    ///   - element: `uint16` for vocabularies of at most 65 536 tokens, else `uint32`.
    /// - Throws: `CorpusError` when an id does not fit the type.
    public init(tokenIDs: some Collection<Int32>, element: MDSElement) throws {
        let count = tokenIDs.count
        var outside: Int32?
        let bytes: [UInt8]
        switch element {
        case .uint16:
            bytes = [UInt8](unsafeUninitializedCapacity: count * 2) { buffer, filled in
                filled = count * 2
                let raw = UnsafeMutableRawBufferPointer(buffer)
                for (index, id) in tokenIDs.enumerated() {
                    if UInt16(exactly: id) == nil { outside = id }
                    let value = UInt16(truncatingIfNeeded: id).littleEndian
                    raw.storeBytes(of: value, toByteOffset: index * 2, as: UInt16.self)
                }
            }
        default:
            bytes = [UInt8](unsafeUninitializedCapacity: count * 4) { buffer, filled in
                filled = count * 4
                let raw = UnsafeMutableRawBufferPointer(buffer)
                for (index, id) in tokenIDs.enumerated() {
                    if id < 0 { outside = id }
                    raw.storeBytes(of: id.littleEndian, toByteOffset: index * 4, as: Int32.self)
                }
            }
        }
        guard outside == nil, element == .uint16 || element == .uint32 || element == .int32 else {
            throw CorpusError(
                .unsupported,
                file: "token ids",
                found: outside.map { "hold \($0)" } ?? "are to be stored as \(element.rawValue)",
                expected: "values from 0 that fit uint16 or uint32"
            )
        }
        self.init(uncheckedElement: element, shape: [count], bytes: bytes)
    }

    /// The values as token ids.
    ///
    /// - Returns: The ids; nil when the values are not whole numbers or one does not fit.
    public func tokenIDs() -> [Int32]? {
        bytes.withUnsafeBytes { Self.tokenIDs(element, $0) }
    }

    static func tokenIDs(_ element: MDSElement, _ bytes: UnsafeRawBufferPointer) -> [Int32]? {
        switch element {
        case .uint8: converted(bytes, UInt8.self)
        case .int8: converted(bytes, Int8.self)
        case .uint16: converted(bytes, UInt16.self)
        case .int16: converted(bytes, Int16.self)
        case .uint32: converted(bytes, UInt32.self)
        case .int32: converted(bytes, Int32.self)
        case .uint64: converted(bytes, UInt64.self)
        case .int64: converted(bytes, Int64.self)
        case .float16, .float32, .float64: nil
        }
    }

    private static func converted<Value: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer,
        _: Value.Type
    ) -> [Int32]? {
        let width = MemoryLayout<Value>.size
        let count = bytes.count / width
        var fits = true
        let ids = [Int32](unsafeUninitializedCapacity: count) { buffer, filled in
            for index in 0..<count {
                let value = Value(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* width, as: Value.self))
                let id = Int32(truncatingIfNeeded: value)
                fits = fits && value == id
                buffer.initializeElement(at: index, to: id)
            }
            filled = count
        }
        return fits ? ids : nil
    }
}
