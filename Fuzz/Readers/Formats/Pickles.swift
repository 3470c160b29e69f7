/// A value that a training program saved, and its pickle.
indirect enum Pickle {
    case none
    case bool(Bool)
    case integer(Int)
    /// Two's complement bytes, as long as they are.
    case longInteger([UInt8])
    case float(Double)
    case text(String)
    case bytes([UInt8])
    case list([Pickle])
    case tuple([Pickle])
    case set([Pickle])
    case dictionary([(Pickle, Pickle)])
    case tensor(Tensor)
    case call(module: String, name: String, [Pickle])

    struct Tensor {
        var storage = "0"
        var type = "FloatStorage"
        var count: Int
        var offset = 0
        var shape: [Int]
        var strides: [Int]

        init(_ storage: String, _ shape: [Int]) {
            self.storage = storage
            self.shape = shape
            count = shape.reduce(1, *)
            strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
        }
    }

    static func named(_ entries: [(String, Pickle)]) -> Pickle { .dictionary(entries.map { (.text($0.0), $0.1) }) }

    var children: [Pickle] {
        switch self {
        case .list(let items), .tuple(let items), .set(let items), .call(_, _, let items): items
        case .dictionary(let entries): entries.flatMap { [$0.0, $0.1] }
        default: []
        }
    }

    // MARK: - Writing

    /// The pickle, of protocol 2 with opcodes that the dice choose where several say the same.
    func pickled(_ dice: inout Dice) -> [UInt8] {
        var code: [UInt8] = [0x80, 2]
        write(&code, &dice)
        return code + [0x2E]
    }

    private func write(_ code: inout [UInt8], _ dice: inout Dice) {
        switch self {
        case .none: code.append(ascii("N"))
        case .bool(let flag): code.append(flag ? 0x88 : 0x89)
        case .integer(let number):
            if let small = UInt8(exactly: number), dice.chance(0.5) {
                code += [ascii("K"), small]
            } else if let half = Int32(exactly: number), dice.chance(0.5) {
                code += [ascii("J")] + littleEndian(half)
            } else {
                code += [0x8A, 8] + littleEndian(Int64(number))
            }
        case .longInteger(let bytes): code += [0x8A, UInt8(truncatingIfNeeded: bytes.count)] + bytes.prefix(255)
        case .float(let number): code += [ascii("G")] + littleEndian(number.bitPattern).reversed()
        case .text(let text): Self.write(text, &code)
        case .bytes(let bytes): code += [ascii("B")] + littleEndian(UInt32(bytes.count)) + bytes
        case .list(let items):
            code += [ascii("]"), ascii("(")]
            for item in items { item.write(&code, &dice) }
            code.append(ascii("e"))
        case .tuple(let items):
            code.append(ascii("("))
            for item in items { item.write(&code, &dice) }
            code.append(ascii("t"))
        case .set(let items):
            code += [0x8F, ascii("(")]
            for item in items { item.write(&code, &dice) }
            code.append(0x90)
        case .dictionary(let entries):
            code += [ascii("}"), ascii("(")]
            for (key, value) in entries {
                key.write(&code, &dice)
                value.write(&code, &dice)
            }
            code.append(ascii("u"))
        case .tensor(let tensor):
            code += Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8)
            Self.write("storage", &code)
            code += Array("ctorch\n\(tensor.type)\n".utf8)
            Self.write(tensor.storage, &code)
            Self.write("cpu", &code)
            code += [0x8A, 8] + littleEndian(Int64(tensor.count)) + Array("tQ".utf8)
            code += [0x8A, 8] + littleEndian(Int64(tensor.offset))
            for numbers in [tensor.shape, tensor.strides] {
                Pickle.tuple(numbers.map { .integer($0) }).write(&code, &dice)
            }
            code += [0x89] + Array("ccollections\nOrderedDict\n)RtR".utf8)
        case .call(let module, let name, let arguments):
            code += Array("c\(module)\n\(name)\n".utf8)
            Pickle.tuple(arguments).write(&code, &dice)
            code.append(ascii("R"))
        }
    }

    private static func write(_ text: String, _ code: inout [UInt8]) {
        code += [UInt8(ascii: "X")] + littleEndian(UInt32(text.utf8.count)) + Array(text.utf8)
    }

    private func ascii(_ scalar: Unicode.Scalar) -> UInt8 { UInt8(ascii: scalar) }

    // MARK: - Changing

    func mutated(_ dice: inout Dice) -> Pickle {
        var value = self
        for _ in 0..<dice.pick([0, 1, 1, 1, 2, 3]) {
            var index = 0
            value = value.edited(&index, dice.below(value.size), &dice)
        }
        return value
    }

    private var size: Int { children.reduce(1) { $0 + $1.size } }

    private func edited(_ index: inout Int, _ target: Int, _ dice: inout Dice) -> Pickle {
        let own = index
        index += 1
        if own == target { return changed(&dice) }
        func all(_ items: [Pickle], _ index: inout Int, _ dice: inout Dice) -> [Pickle] {
            var result: [Pickle] = []
            for item in items { result.append(item.edited(&index, target, &dice)) }
            return result
        }
        switch self {
        case .list(let items): return .list(all(items, &index, &dice))
        case .tuple(let items): return .tuple(all(items, &index, &dice))
        case .set(let items): return .set(all(items, &index, &dice))
        case .call(let module, let name, let items):
            return .call(module: module, name: name, all(items, &index, &dice))
        case .dictionary(let entries):
            var result: [(Pickle, Pickle)] = []
            for entry in entries {
                let key = entry.0.edited(&index, target, &dice)
                result.append((key, entry.1.edited(&index, target, &dice)))
            }
            return .dictionary(result)
        default: return self
        }
    }

    private func changed(_ dice: inout Dice) -> Pickle {
        if dice.chance(0.15) { return Self.anything(&dice) }
        switch self {
        case .integer: return .integer(dice.pick(Hostile.integers))
        case .float:
            return .float(dice.pick([0, -1, .nan, .infinity, 1e308, .leastNonzeroMagnitude, 0x1p63, -0.0, 1e19, 0.5]))
        case .text(let text): return .text(dice.pick([text + "x", dice.pick(Hostile.words), "model." + text]))
        case .bool(let flag): return .bool(!flag)
        case .tensor(var tensor):
            let number = dice.pick(Hostile.integers)
            switch dice.below(6) {
            case 0: tensor.count = number
            case 1: tensor.offset = number
            case 2: if !tensor.shape.isEmpty { tensor.shape[dice.below(tensor.shape.count)] = number }
            case 3: if !tensor.strides.isEmpty { tensor.strides[dice.below(tensor.strides.count)] = number }
            case 4:
                tensor.type = dice.pick([
                    "LongStorage", "ByteStorage", "BFloat16Storage", "BoolStorage", "UntypedStorage",
                ])
            default:
                tensor.shape.append(dice.pick([0, 1, 2, number]))
                tensor.strides.append(dice.pick([0, 1, number]))
            }
            return .tensor(tensor)
        case .list(let items): return .list(Self.reordered(items, &dice))
        case .tuple(let items): return .tuple(Self.reordered(items, &dice))
        case .set(let items): return .set(Self.reordered(items, &dice))
        case .dictionary(var entries):
            guard !entries.isEmpty else { return Self.anything(&dice) }
            let place = dice.below(entries.count)
            switch dice.below(4) {
            case 0: entries.remove(at: place)
            case 1: entries.append(entries[place])
            case 2: entries[place].0 = Self.anything(&dice)
            default: entries[place].1 = entries[dice.below(entries.count)].1
            }
            return .dictionary(entries)
        case .call(let module, let name, let arguments):
            let others = [
                ("collections", "OrderedDict"), ("builtins", "set"), ("builtins", "list"), ("datetime", "timedelta"),
                ("_codecs", "encode"), ("torch._utils", "_rebuild_parameter"), ("os", "system"), ("a.b", "C"),
                ("collections", "defaultdict"), ("builtins", "bytearray"),
            ]
            let other = dice.pick(others + [(module, name)])
            return .call(module: other.0, name: other.1, Self.reordered(arguments, &dice))
        default: return Self.anything(&dice)
        }
    }

    private static func reordered(_ items: [Pickle], _ dice: inout Dice) -> [Pickle] {
        var items = items
        guard !items.isEmpty else { return [anything(&dice)] }
        let place = dice.below(items.count)
        switch dice.below(4) {
        case 0: items.remove(at: place)
        case 1: items.insert(items[place], at: place)
        case 2: items += Array(repeating: items[place], count: dice.pick([3, 100]))
        default: items[place] = anything(&dice)
        }
        return items
    }

    private static func anything(_ dice: inout Dice) -> Pickle {
        switch dice.below(10) {
        case 0: .none
        case 1: .integer(dice.pick(Hostile.integers))
        case 2:
            .longInteger(
                Array(repeating: dice.pick([0, 0x7F, 0x80, 0xFF]), count: dice.pick([0, 1, 7, 8, 9, 30, 255]))
            )
        case 3: .text(dice.pick(Hostile.words))
        case 4: .bytes([1, 2, 3])
        case 5: .list([])
        case 6: .tensor(Tensor("0", [2, 2]))
        case 7: .call(module: "a.b", name: "C", [])
        case 8: (0..<dice.pick([3, 130, 300])).reduce(Pickle.none) { value, _ in .tuple([value]) }
        default: .dictionary([(.text("a"), .float(1.5))])
        }
    }

    /// Inserts, removes or repeats opcodes, with their arguments whole.
    static func withChangedOpcodes(_ code: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var code = code
        let pieces: [[UInt8]] = [
            [0x30], [0x32], [0x28], [0x31], [0x74], [0x85], [0x86], [0x87], [0x61], [0x65], [0x73], [0x75], [0x62],
            [0x52], [0x81], [0x92], [0x93], [0x94], [0x71, 0], [0x68, 0], [0x72, 0, 0, 0, 0x80], [0x6A, 0, 0, 0, 0x80],
            [0x51], [0x4E], [0x5D], [0x7D], [0x29], [0x8F], [0x90], [0x91], [0x2E], [0x80, 4], [0x80, 9],
            [0x95] + littleEndian(UInt64.max), [0x8D] + littleEndian(UInt64.max),
            [0x8E] + littleEndian(UInt64(1) << 63),
            [0x58] + littleEndian(UInt32.max), [0x8B] + littleEndian(Int32(-1)), [0x8B] + littleEndian(Int32.max),
            [0x8A, 9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x4A] + littleEndian(Int32.min),
        ]
        for _ in 0..<dice.pick([1, 1, 2, 3]) {
            let place = 2 + dice.below(max(1, code.count - 2))
            code.replaceSubrange(min(place, code.count)..<min(place, code.count), with: dice.pick(pieces))
        }
        return code
    }
}
