import CTorch

/// The element type of a tensor.
public enum DType: String, CaseIterable, Sendable, Hashable {
    case bool
    case uint8
    case int8
    case int16
    case int32
    case int64
    case float16
    case bfloat16
    case float32
    case float64
    case uint16
    case uint32
    case uint64
    /// 8-bit floating point with 4 exponent and 3 mantissa bits.
    case float8E4M3 = "float8_e4m3fn"
    /// 8-bit floating point with 5 exponent and 2 mantissa bits.
    case float8E5M2 = "float8_e5m2"

    /// The size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8E4M3, .float8E5M2: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// Whether values of this type have a fraction and can carry gradients.
    public var isFloatingPoint: Bool {
        switch self {
        case .float16, .bfloat16, .float32, .float64, .float8E4M3, .float8E5M2: true
        default: false
        }
    }

    var cValue: CTDType {
        switch self {
        case .bool: CT_BOOL
        case .uint8: CT_UINT8
        case .int8: CT_INT8
        case .int16: CT_INT16
        case .int32: CT_INT32
        case .int64: CT_INT64
        case .float16: CT_FLOAT16
        case .bfloat16: CT_BFLOAT16
        case .float32: CT_FLOAT32
        case .float64: CT_FLOAT64
        case .uint16: CT_UINT16
        case .uint32: CT_UINT32
        case .uint64: CT_UINT64
        case .float8E4M3: CT_FLOAT8_E4M3
        case .float8E5M2: CT_FLOAT8_E5M2
        }
    }

    init(_ value: CTDType) {
        switch value {
        case CT_BOOL: self = .bool
        case CT_UINT8: self = .uint8
        case CT_INT8: self = .int8
        case CT_INT16: self = .int16
        case CT_INT32: self = .int32
        case CT_INT64: self = .int64
        case CT_FLOAT16: self = .float16
        case CT_BFLOAT16: self = .bfloat16
        case CT_FLOAT64: self = .float64
        case CT_UINT16: self = .uint16
        case CT_UINT32: self = .uint32
        case CT_UINT64: self = .uint64
        case CT_FLOAT8_E4M3: self = .float8E4M3
        case CT_FLOAT8_E5M2: self = .float8E5M2
        default: self = .float32
        }
    }
}

/// A Swift number type that tensors can be made from and read into.
public protocol TensorElement: BitwiseCopyable, Sendable {
    /// The tensor element type with this layout.
    static var dtype: DType { get }
}

extension Float: TensorElement {
    /// The tensor element type of this layout.
    public static var dtype: DType { .float32 }
}

extension Double: TensorElement {
    /// The tensor element type of this layout.
    public static var dtype: DType { .float64 }
}

extension Int32: TensorElement {
    /// The tensor element type of this layout.
    public static var dtype: DType { .int32 }
}

extension Int64: TensorElement {
    /// The tensor element type of this layout.
    public static var dtype: DType { .int64 }
}

extension UInt8: TensorElement {
    /// The tensor element type of this layout.
    public static var dtype: DType { .uint8 }
}
