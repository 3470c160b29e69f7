/// The only names that a checkpoint's pickle may mention, and what each means to us.
///
/// Nothing is ever looked up or called: a name selects one of these cases or is an error.
enum PickleGlobal {
    /// `torch._utils._rebuild_tensor` (no `requires_grad`), `_v2`, `_v3` (with a dtype).
    case rebuildTensor(takesDType: Bool)
    /// `torch._utils._rebuild_parameter`, also with state: the first argument is the tensor.
    case rebuildParameter
    /// `torch._tensor._rebuild_from_type_v2`: a call within a call, for tensors with attributes.
    case rebuildFromType
    /// A storage class; nil for the untyped one.
    case storage(StoredDType?)
    case dtype(StoredDType)
    /// `torch.Size` and `tuple`.
    case tuple
    case list
    case set
    case dictionary
    /// `collections.defaultdict`: a dictionary whose first argument is the maker of defaults.
    case defaultDictionary
    /// `_codecs.encode`, which older protocols use for bytes.
    case encode
    case byteArray
    /// Harmless, and kept as a description.
    case inert(String)

    /// Finds the meaning of a name.
    ///
    /// - Parameters:
    ///   - module: The Python module.
    ///   - name: The name in it.
    /// - Returns: Nil when the name is not on the list.
    static func named(module: String, name: String) -> PickleGlobal? {
        switch module {
        case "torch": torch(name)
        case "torch._utils": rebuild(name)
        case "torch._tensor": name == "_rebuild_from_type_v2" ? .rebuildFromType : nil
        case "torch.storage": storages[name] ?? nil
        case "torch.nn.parameter": name == "Parameter" ? .inert("torch.nn.parameter.Parameter") : nil
        case "collections": collections(name)
        case "builtins", "__builtin__": builtin(name)
        case "_codecs": name == "encode" ? .encode : nil
        default: inertNames.contains("\(module).\(name)") ? .inert("\(module).\(name)") : nil
        }
    }

    private static func torch(_ name: String) -> PickleGlobal? {
        if let storage = storages[name] { return storage }
        if let dtype = dtypes[name] { return .dtype(dtype) }
        return switch name {
        case "Size": .tuple
        case "device", "Tensor", "strided": .inert("torch.\(name)")
        default: nil
        }
    }

    private static func rebuild(_ name: String) -> PickleGlobal? {
        switch name {
        case "_rebuild_tensor", "_rebuild_tensor_v2": .rebuildTensor(takesDType: false)
        case "_rebuild_tensor_v3": .rebuildTensor(takesDType: true)
        case "_rebuild_parameter", "_rebuild_parameter_with_state": .rebuildParameter
        default: nil
        }
    }

    private static func collections(_ name: String) -> PickleGlobal? {
        switch name {
        case "OrderedDict", "Counter": .dictionary
        case "defaultdict": .defaultDictionary
        case "deque": .list
        default: nil
        }
    }

    private static func builtin(_ name: String) -> PickleGlobal? {
        switch name {
        case "list": .list
        case "tuple": .tuple
        case "set", "frozenset": .set
        case "dict": .dictionary
        case "bytearray", "bytes": .byteArray
        case "int", "float", "bool", "str", "complex", "slice", "range", "object": .inert("builtins.\(name)")
        default: nil
        }
    }

    private static let storages: [String: PickleGlobal] = [
        "FloatStorage": .storage(.float32),
        "DoubleStorage": .storage(.float64),
        "HalfStorage": .storage(.float16),
        "BFloat16Storage": .storage(.bfloat16),
        "LongStorage": .storage(.int64),
        "IntStorage": .storage(.int32),
        "ShortStorage": .storage(.int16),
        "CharStorage": .storage(.int8),
        "ByteStorage": .storage(.uint8),
        "BoolStorage": .storage(.bool),
        "ComplexFloatStorage": .storage(.complex64),
        "UntypedStorage": .storage(nil),
    ]

    private static let dtypes: [String: StoredDType] = [
        "float32": .float32, "float": .float32, "float64": .float64, "double": .float64,
        "float16": .float16, "half": .float16, "bfloat16": .bfloat16, "complex64": .complex64,
        "int64": .int64, "long": .int64, "int32": .int32, "int": .int32, "int16": .int16, "short": .int16,
        "int8": .int8, "uint8": .uint8, "uint16": .uint16, "uint32": .uint32, "uint64": .uint64, "bool": .bool,
        "float8_e5m2": .float8E5M2, "float8_e4m3fn": .float8E4M3, "float8_e8m0fnu": .float8E8M0,
        "float8_e4m3fnuz": .float8E4M3FNUZ, "float8_e5m2fnuz": .float8E5M2FNUZ,
    ]

    /// What raw training states hold besides weights: clocks, random generators, optimizer groups.
    private static let inertNames: Set<String> = [
        "datetime.timedelta", "datetime.datetime", "datetime.date",
        "numpy.ndarray", "numpy.dtype",
        "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
        "pathlib.PosixPath", "pathlib.PurePosixPath",
    ]
}
