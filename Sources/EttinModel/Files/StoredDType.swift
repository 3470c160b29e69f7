/// The element types a checkpoint file can hold, by their safetensors names.
///
/// The cases stand in the order of the safetensors library, which also orders tensors in the files it writes.
///
/// > Source: safetensors 0.8.0.
public enum StoredDType: String, Sendable, Hashable, CaseIterable {
    /// One byte per value, 0 or 1.
    case bool = "BOOL"
    /// Four-bit float, two per byte.
    case float4 = "F4"
    /// Six-bit float, two exponent bits, four values in three bytes.
    case float6E2M3 = "F6_E2M3"
    /// Six-bit float, three exponent bits, four values in three bytes.
    case float6E3M2 = "F6_E3M2"
    /// Unsigned byte.
    case uint8 = "U8"
    /// Signed byte.
    case int8 = "I8"
    /// Eight-bit float, five exponent bits.
    case float8E5M2 = "F8_E5M2"
    /// Eight-bit float, four exponent bits, no infinities.
    case float8E4M3 = "F8_E4M3"
    /// Eight-bit power of two.
    case float8E8M0 = "F8_E8M0"
    /// Eight-bit float, four exponent bits, no negative zero.
    case float8E4M3FNUZ = "F8_E4M3FNUZ"
    /// Eight-bit float, five exponent bits, no negative zero.
    case float8E5M2FNUZ = "F8_E5M2FNUZ"
    /// Signed 16-bit integer.
    case int16 = "I16"
    /// Unsigned 16-bit integer.
    case uint16 = "U16"
    /// IEEE half precision.
    case float16 = "F16"
    /// The upper half of a float32.
    case bfloat16 = "BF16"
    /// Signed 32-bit integer.
    case int32 = "I32"
    /// Unsigned 32-bit integer.
    case uint32 = "U32"
    /// IEEE single precision.
    case float32 = "F32"
    /// Two float32: real, imaginary.
    case complex64 = "C64"
    /// IEEE double precision.
    case float64 = "F64"
    /// Signed 64-bit integer.
    case int64 = "I64"
    /// Unsigned 64-bit integer.
    case uint64 = "U64"

    /// The width of one value in bits.
    package var bitWidth: Int {
        switch self {
        case .float4: 4
        case .float6E2M3, .float6E3M2: 6
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
        case .int16, .uint16, .float16, .bfloat16: 16
        case .int32, .uint32, .float32: 32
        case .complex64, .float64, .int64, .uint64: 64
        }
    }

    /// The alignment in bytes that a pointer to such values needs.
    package var alignment: Int {
        self == .complex64 ? 4 : max(1, bitWidth / 8)
    }

    /// The place in the library's order.
    var rank: Int {
        Self.ranks[self] ?? 0
    }

    private static let ranks = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })

    /// The number of bytes that a tensor of this type occupies.
    ///
    /// - Parameter shape: The dimensions, none negative.
    /// - Returns: Nil when a dimension is negative, the product overflows, or the values do not fill whole bytes.
    package func byteCount(of shape: [Int]) -> Int? {
        guard let values = elementCount(shape) else { return nil }
        let (bits, overflow) = values.multipliedReportingOverflow(by: bitWidth)
        guard !overflow, bits % 8 == 0 else { return nil }
        return bits / 8
    }
}

/// The number of values in a shape.
///
/// - Parameter shape: The dimensions.
/// - Returns: Nil when one is negative or the product overflows, where a zero does not excuse the others.
func elementCount(_ shape: [Int]) -> Int? {
    var product = 1
    for dimension in shape where dimension != 0 {
        guard dimension > 0 else { return nil }
        let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
        guard !overflow else { return nil }
        product = next
    }
    return shape.contains(0) ? 0 : product
}
