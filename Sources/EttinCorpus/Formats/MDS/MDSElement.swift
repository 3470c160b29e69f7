/// The number types of MDS scalars and arrays; raw values are their names.
public enum MDSElement: String, Hashable, Sendable, CaseIterable {
    /// Unsigned, 8 bits.
    case uint8
    /// Signed, 8 bits.
    case int8
    /// Unsigned, 16 bits.
    case uint16
    /// Signed, 16 bits.
    case int16
    /// IEEE half precision.
    case float16
    /// Unsigned, 32 bits.
    case uint32
    /// Signed, 32 bits.
    case int32
    /// IEEE single precision.
    case float32
    /// Unsigned, 64 bits.
    case uint64
    /// Signed, 64 bits.
    case int64
    /// IEEE double precision.
    case float64

    /// The size of one value.
    package var byteCount: Int {
        switch self {
        case .uint8, .int8: 1
        case .uint16, .int16, .float16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        }
    }

    /// Whether values are whole numbers.
    package var isInteger: Bool {
        switch self {
        case .float16, .float32, .float64: false
        default: true
        }
    }

    /// The byte that names the type in an array whose encoding does not.
    var code: UInt8 {
        switch self {
        case .uint8: 8
        case .int8: 9
        case .uint16: 16
        case .int16: 17
        case .float16: 18
        case .uint32: 32
        case .int32: 33
        case .float32: 34
        case .uint64: 64
        case .int64: 65
        case .float64: 66
        }
    }

    init?(code: UInt8) {
        guard let element = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = element
    }
}
